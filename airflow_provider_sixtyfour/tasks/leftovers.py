"""
What unfinished work has left below a destination: found by the names that this provider gives, and by its age.

Never touched: result files, manifests, records of started runs and of submissions, batches that a user's own split
made, whatever anybody else wrote, and what a symbolic link leads to. A batch that was sent stays while the manifest of
the whole names it as missing: its task can be cleared, and reads it again.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.batches.names import is_batch_name
from airflow_provider_sixtyfour.storage import local, s3
from airflow_provider_sixtyfour.storage.errors import store_errors
from airflow_provider_sixtyfour.storage.object_paths import MANIFEST, PROBE, SENT
from airflow_provider_sixtyfour.tasks.started_runs import STARTED_RUNS_FILE
from airflow_provider_sixtyfour.tasks.submission_file import SUBMISSION_FILE

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

TEMPORARY_FILE, SENT_BATCH, UNFINISHED_UPLOAD = "temporary file", "sent batch", "unfinished upload"
_OWN = (MANIFEST, STARTED_RUNS_FILE, SUBMISSION_FILE)
_PROBE = re.compile(re.escape(PROBE) + r"[0-9a-f]{16}")
_DISK = {"file", "local"}
# Where the stores' clients say when an object was written.
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "created")
_THEN = "Nothing else was removed."


class Leftover(NamedTuple):
    """
    What unfinished work has left.

    :param kind: `TEMPORARY_FILE`, `SENT_BATCH` or `UNFINISHED_UPLOAD`.
    :param path: as the store's client spells it.
    :param bytes: ``None`` where that isn't known.
    :param modified_at: seconds of the epoch.
    :param remove: removes it.
    """

    kind: str
    path: str
    bytes: int | None
    modified_at: float
    remove: Callable[[], object]


class _File(NamedTuple):
    path: str
    bytes: int | None
    modified_at: float | None


def leftovers(folder: ObjectStoragePath, *, before: float) -> list[Leftover]:
    """
    Return what unfinished work has left below a destination, the oldest first.

    :param before: seconds of the epoch: what was written later may be of work that is still under way.
    :raises SixtyfourTransferError: if the store doesn't show it.
    """
    fs, root = folder.fs, folder.path.rstrip("/")
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    is_disk = bool(protocols & _DISK)
    with store_errors("read", fs, root, then=_THEN):
        fs.invalidate_cache()
        files = list(_on_disk(root) if is_disk else _in_store(fs, root))
        found = [*_files(fs, root, files, is_disk)]
        if protocols & {"s3", "s3a"} and hasattr(fs, "call_s3"):
            found += [
                Leftover(UNFINISHED_UPLOAD, f"{up.bucket}/{up.key}", None, up.began_at, partial(s3.abort, fs, up))
                for up in s3.unfinished_uploads(fs, root)
            ]
    old = [leftover for leftover in found if leftover.modified_at < before]
    return sorted(old, key=lambda leftover: leftover.modified_at)


def _files(fs: Any, root: str, files: list[_File], is_disk: bool) -> Iterator[Leftover]:
    sent: dict[str, list[_File]] = defaultdict(list)
    names: dict[str, set[str]] = defaultdict(set)
    for file in files:
        parent, _, name = file.path.rpartition("/")
        names[parent].add(name)
        if file.modified_at is None:  # of unknown age
            continue
        if is_disk and local.TEMPORARY.fullmatch(name):
            remove = partial(_remove_on_disk, root, file.path, local.remove_leftover)
            yield Leftover(TEMPORARY_FILE, file.path, file.bytes, file.modified_at, remove)
        elif not is_disk and _PROBE.fullmatch(name):
            yield Leftover(TEMPORARY_FILE, file.path, file.bytes, file.modified_at, partial(fs.rm_file, file.path))
        elif parent.rpartition("/")[2] == SENT and is_batch_name(name):
            sent[parent].append(file)
    for parent, batches in sent.items():
        whole = parent.rpartition("/")[0]
        if not _is_destination(whole, root, names):
            continue
        needed = _named_as_missing(fs, f"{whole}/{MANIFEST}") if MANIFEST in names[whole] else set()
        for file in batches:
            if needed is not None and file.path.rpartition("/")[2] not in needed and file.modified_at is not None:
                remove = partial(fs.rm_file, file.path)
                if is_disk:
                    remove = partial(_remove_on_disk, root, file.path, os.unlink)
                yield Leftover(SENT_BATCH, file.path, file.bytes, file.modified_at, remove)


def _is_destination(path: str, root: str, names: Mapping[str, set[str]]) -> bool:
    """Return whether an enrichment has written to a folder: it was named, or holds what only this provider writes."""
    if path == root or MANIFEST in names.get(path, ()):
        return True
    return any(parent.rpartition("/")[0] == path and its.intersection(_OWN) for parent, its in names.items())


def _named_as_missing(fs: Any, manifest: str) -> set[str] | None:
    """Return the names of the batches that a manifest lacks; ``None`` if it can't be read, and may lack any."""
    try:
        content = json.loads(fs.cat_file(manifest))
        return {str(each["path"]).rpartition("/")[2] for each in content.get("missing") or ()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, FileNotFoundError):
        return None


def _on_disk(root: str) -> Iterator[_File]:
    """Give the files below a folder, those behind symbolic links left out."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found = os.lstat(path)
            except FileNotFoundError:  # meanwhile it got its name, or is gone
                continue
            if stat.S_ISREG(found.st_mode):
                yield _File(path, found.st_size, found.st_mtime)


def _remove_on_disk(root: str, path: str, remove: Callable[[str], object]) -> None:
    """
    Remove a file, if its folder is still the one that was looked at.

    :raises OSError: if it isn't, or the file can't be removed.
    """
    parent, below = os.path.realpath(os.path.dirname(path)), os.path.realpath(root)
    if parent != below and not parent.startswith(f"{below}/"):
        raise OSError("its folder is a symbolic link by now")
    remove(path)


def _in_store(fs: Any, root: str) -> Iterator[_File]:
    try:
        found = fs.find(root, detail=True)
    except FileNotFoundError:
        return
    for path, info in found.items():
        if info.get("type") == "file":
            yield _File(path, info.get("size"), _time(info))


def _time(info: Mapping[str, Any]) -> float | None:
    """Return when an object was written, by what the store's client says of it."""
    value: Any = next((info[name] for name in _TIMES if info.get(name)), None)
    if isinstance(value, str):
        from datetime import datetime

        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if hasattr(value, "timestamp"):
        return float(value.timestamp())
    return float(value) if isinstance(value, int | float) else None
