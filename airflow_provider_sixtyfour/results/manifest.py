"""
The manifest of a landing: what is at a destination, written when all of it is there.

Invariant: a manifest is written after the last of the objects that it names, and before one of them is replaced by
another run's, it is gone. So who finds it finds all that it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api.metrics import numbers
from airflow_provider_sixtyfour.formats.quality import Quality, read_quality, total
from airflow_provider_sixtyfour.storage.errors import store_errors
from airflow_provider_sixtyfour.storage.object_paths import MANIFEST

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

VERSION = 1


class LandedFile(NamedTuple):
    """
    One object at the destination.

    :param path: its URL.
    :param rows: counted; ``None`` for JSON that is no array, or nested too deeply.
    :param filename: as the API calls it.
    :param quality: of its columns; empty if that isn't known.
    """

    path: str
    rows: int | None
    bytes: int
    sha256: str
    block_number: int | None
    filename: str
    quality: Quality = {}  # noqa: RUF012 - of a tuple; nobody changes it

    @property
    def name(self) -> str:
        """Its name within the destination."""
        return self.path.rpartition("/")[2]

    @property
    def format(self) -> str:
        """What it is, by its ending: not what the manifest says where it could not be converted."""
        return self.name.rpartition(".")[2]

    def as_dict(self) -> dict[str, Any]:
        """Return it as a task returns it."""
        return {name: value for name, value in self._asdict().items() if name != "quality"}


class Manifest(NamedTuple):
    """
    What was landed of a run.

    :param format: what was asked for; a file that could not become Parquet has another.
    :param selection: the ``files`` that were asked for: ``final``, ``all``, or sorted block numbers.
    :param created_at: ISO 8601, UTC.
    :param input: a digest of what the run was asked to do, input and all; ``None`` where who landed it didn't know.
    :param metrics: what the run has used, see `api.metrics`; empty where who landed it didn't know.
    """

    job_id: str
    workflow_id: str | None
    format: str
    selection: str | tuple[int, ...]
    created_at: str
    files: tuple[LandedFile, ...]
    input: str | None = None
    metrics: Mapping[str, float] = MappingProxyType({})

    @property
    def total_rows(self) -> int | None:
        """The rows of all files; ``None`` if those of one aren't known."""
        rows = [file.rows for file in self.files]
        return None if None in rows else sum(row for row in rows if row is not None)

    @property
    def total_bytes(self) -> int:
        """The bytes of all files."""
        return sum(file.bytes for file in self.files)

    @property
    def quality(self) -> Quality:
        """The quality of all files together: a column is counted in the files that have it."""
        return total((file.quality for file in self.files), is_one_table=False)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return its files as a task returns them."""
        return [file.as_dict() for file in self.files]

    def text(self) -> str:
        """Return it as it is written: JSON. Where there are several files, each has its own quality, too."""
        quality = self.quality
        files: list[dict[str, Any]] = [{**file.as_dict(), "format": file.format} for file in self.files]
        if len(files) > 1:
            for file, written in zip(self.files, files, strict=True):
                written.update({"quality": file.quality} if file.quality else {})
        return json.dumps(
            {
                "version": VERSION,
                "job_id": self.job_id,
                "workflow_id": self.workflow_id,
                "format": self.format,
                "selection": self.selection,
                "created_at": self.created_at,
                "rows": self.total_rows,
                "bytes": self.total_bytes,
                "files": files,
                **({"input": self.input} if self.input else {}),
                **({"metrics": self.metrics} if self.metrics else {}),
                **({"quality": quality} if quality else {}),
            },
            indent=2,
            ensure_ascii=False,
        )

    @classmethod
    def read(cls, text: str | bytes) -> Manifest:
        """
        Read what `text` wrote.

        :raises ValueError: if it is something else, or of a later version.
        """
        try:
            data = json.loads(text)
            if data["version"] != VERSION:
                raise ValueError(f"a manifest of version {data['version']!r}")
            selection = data["selection"]
            is_one = len(data["files"]) == 1
            return cls(
                job_id=data["job_id"],
                workflow_id=data["workflow_id"],
                format=data["format"],
                selection=selection if isinstance(selection, str) else tuple(selection),
                created_at=data["created_at"],
                files=tuple(_read_file(file, data.get("quality") if is_one else None) for file in data["files"]),
                input=data.get("input"),
                metrics=numbers(data.get("metrics", {})),
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"no manifest: {error!r}") from None


def _read_file(data: Mapping[str, Any], quality: Any) -> LandedFile:
    """
    Return a file of a manifest.

    :param quality: of the whole, if it is the only file.
    """
    named = {name: data[name] for name in LandedFile._fields if name != "quality"}
    return LandedFile(**named, quality=read_quality(data.get("quality", quality)))


def now() -> str:
    """Return the time as a manifest gives it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_manifest(folder: ObjectStoragePath, name: str = MANIFEST) -> Manifest | None:
    """
    Return the manifest of a destination; ``None`` if there is none, or what is there is something else.

    :raises SixtyfourTransferError: if the store doesn't show it.
    """
    content = read_bytes(folder / name)
    try:
        return None if content is None else Manifest.read(content)
    except ValueError:
        return None


def read_bytes(path: ObjectStoragePath) -> bytes | None:
    """
    Return the content of a manifest; ``None`` if there is none.

    :raises SixtyfourTransferError: if the store doesn't show it.
    """
    with store_errors("read", path.fs, path.path):
        try:
            content: bytes = path.fs.cat_file(path.path)
        except FileNotFoundError:
            return None
    return content


def are_there(folder: ObjectStoragePath, files: Iterable[LandedFile]) -> bool:
    """Return whether each of these files is at the destination, with its size."""
    return all(is_there(folder, file) for file in files)


def is_there(folder: ObjectStoragePath, file: LandedFile) -> bool:
    """Return whether a file is at the destination, with its size."""
    path = folder / file.name
    with store_errors("read", path.fs, path.path):
        try:
            found: int = path.fs.info(path.path)["size"]
        except FileNotFoundError:
            return False
    return found == file.bytes
