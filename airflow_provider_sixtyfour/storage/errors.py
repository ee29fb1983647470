"""
Calls to a store whose errors say what a reader of the log needs: what is missing, where, and what to do.

The clients of the stores raise what they like: ``[Errno 28]``, ``Access Denied.``, an exception of Azure's. Here all of
it becomes a `SixtyfourTransferError`, which Airflow retries.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourTransferError
from airflow_provider_sixtyfour.storage import atomic as stores
from airflow_provider_sixtyfour.storage.error_reasons import reason_of, words
from airflow_provider_sixtyfour.storage.object_paths import PROBE

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.storage.multipart import PartSenders
    from airflow_provider_sixtyfour.storage.protocols import Publication, Store

LANDS_AGAIN = "A retry of the task lands the same run and pays for nothing again."


class StoreDeniedError(SixtyfourTransferError, PermissionError):
    """A store refused access. Still a ``PermissionError``: to try again at once can't help."""


class StoreMissingError(SixtyfourTransferError, FileNotFoundError):
    """There is no such bucket or folder. Still a ``FileNotFoundError``: to try again at once can't help."""


_KINDS = {"denied": StoreDeniedError, "missing": StoreMissingError}


@contextmanager
def store_errors(act: str, fs: Any, path: str, *, then: str = LANDS_AGAIN) -> Iterator[None]:
    """
    Turn what a store's client raises in this block into an error that names the place.

    :param act: what the block does: ``write``, ``read`` or ``remove``.
    :param fs: the store.
    :param path: of the object, as the store's client spells it.
    :param then: what a retry does.
    :raises SixtyfourTransferError: for anything that is raised, but for the errors of this provider.
    """
    try:
        yield
    except SixtyfourError:
        raise
    except Exception as error:
        reason = reason_of(error, act, _protocol(fs))
        kind = _KINDS.get(reason.kind, SixtyfourTransferError)
        raise kind(
            f"{reason.text}: could not {act} {_protocol(fs)}://{path}. {reason.advice}{then} "
            f"From the store: {words(error)}"
        ) from None


@contextmanager
def publishing(
    fs: Store, path: str, *, senders: PartSenders | None = None, size: int | None = None, then: str = LANDS_AGAIN
) -> Iterator[Publication]:
    """
    Give a publication whose errors name its destination; see `storage.atomic.publishing`.

    :raises SixtyfourTransferError: in place of what the store's client raises.
    """
    with ExitStack() as ending:
        with store_errors("write", fs, path, then=then):
            publication = ending.enter_context(stores.publishing(fs, path, senders=senders, size=size))
        yield _Guarded(publication, fs, path, then)


def publish(fs: Store, path: str, content: bytes, *, then: str = LANDS_AGAIN) -> object:
    """Publish an object that is in memory; parameters and errors as for `publishing`. Return its version."""
    with publishing(fs, path, then=then) as publication:
        publication.write(content)
        publication.commit()
        return publication.version


def probe_writable(folder: ObjectStoragePath) -> None:
    """
    Check that objects can be written to a folder, before a run is paid for whose results go there.

    Costs two or three small requests, and leaves nothing that a reader sees: on a file system a hidden file that is
    removed at once; on S3 an upload that is begun and aborted; on Azure a block that is never committed; on other
    stores a small object that is removed.

    :raises SixtyfourTransferError: naming the folder, and what is missing.
    """
    path = folder / f"{PROBE}{secrets.token_hex(8)}"
    with store_errors("write", path.fs, path.path, then="Nothing was started or paid for."):
        stores.probe(path.fs, path.path)


class _Guarded:
    """A publication whose errors name its destination."""

    def __init__(self, publication: Publication, fs: Store, path: str, then: str) -> None:
        self._publication = publication
        self._where = (fs, path)
        self._then = then

    @property
    def version(self) -> object:
        return self._publication.version

    def write(self, chunk: bytes) -> None:
        with store_errors("write", *self._where, then=self._then):
            self._publication.write(chunk)

    def start_over(self) -> None:
        with store_errors("write", *self._where, then=self._then):
            self._publication.start_over()

    def commit(self) -> None:
        with store_errors("write", *self._where, then=self._then):
            self._publication.commit()

    def discard(self) -> None:
        self._publication.discard()


def _protocol(fs: Any) -> str:
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    return str(protocol)
