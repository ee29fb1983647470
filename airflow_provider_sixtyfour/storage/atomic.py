"""
Publishing an object: whole, or not at all.

Invariant: nothing of an object can be seen at its path before ``commit``, and after ``discard`` nothing of it is left.
What a process that was killed has left (parts, a temporary file) goes when the same path is published again.

How: on a disk a temporary file and a rename; to S3, Azure and Google Cloud Storage an upload in parts, which runs while
the object is still being written and is completed last; to any other store one upload from a file on local disk.
``fsspec``'s own ``open(…, autocommit=False)`` does this well for Google only: s3fs sends its parts one after the other,
and adlfs publishes what was written so far when such a file is closed, be it by the garbage collector.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.storage import local, spooled
from airflow_provider_sixtyfour.storage.local import LocalFile
from airflow_provider_sixtyfour.storage.multipart import MultipartUpload, PartSenders, PartStore
from airflow_provider_sixtyfour.storage.spooled import Spooled

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.storage.protocols import Publication, Store

_DISK = {"file", "local"}


@contextmanager
def publishing(
    fs: Store, path: str, *, senders: PartSenders | None = None, size: int | None = None
) -> Iterator[Publication]:
    """
    Give a publication to write to and to commit; if the block ends without that, it is discarded.

    :param fs: the store.
    :param path: of the object, as the store's client spells it.
    :param senders: the threads that parts are sent by, to share them (and the bound on memory) between publications.
    :param size: bytes, where it is known: what decides how large the parts must be.
    """
    with ExitStack() as ending:
        if senders is None:
            senders = PartSenders()
            ending.callback(senders.close)
        publication = _open(fs, path, senders, size)
        ending.callback(publication.discard)  # of one that was committed, nothing is left to discard
        yield publication


def publish(fs: Store, path: str, content: bytes) -> None:
    """Publish an object that is in memory; parameters as for `publishing`."""
    with publishing(fs, path) as publication:
        publication.write(content)
        publication.commit()


def current_version(fs: Store, path: str) -> object:
    """
    Return the `Publication.version` of the object that is at a path now; ``None`` if nothing identifies it.

    :raises FileNotFoundError: if there is none.
    """
    protocols = _protocols(fs)
    if protocols & _DISK:
        return local.current_version(path)
    store = _part_store(fs, path, protocols)
    return spooled.current_version(fs, path) if store is None else store.current_version()


def probe(fs: Store, path: str) -> None:
    """
    Do the least that shows whether an object could be published at a path; leave nothing that a reader sees.

    :raises OSError: or what else the store's client raises, if it could not.
    """
    protocols = _protocols(fs)
    if protocols & _DISK:
        local.probe(path)
        return
    store = _part_store(fs, path, protocols)
    if store is None:
        spooled.probe(fs, path)
    else:
        store.probe()


def _protocols(fs: Store) -> set[str]:
    return {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)


def _open(fs: Store, path: str, senders: PartSenders, size: int | None) -> Publication:
    protocols = _protocols(fs)
    if protocols & _DISK:
        return LocalFile(path)
    store = _part_store(fs, path, protocols)
    return Spooled(fs, path) if store is None else MultipartUpload(store, senders, size=size)


def _part_store(fs: Any, path: str, protocols: set[str]) -> PartStore | None:
    """Return the multipart upload of the store, where there is one; each is imported with the client that it needs."""
    if protocols & {"s3", "s3a"} and hasattr(fs, "call_s3"):
        from airflow_provider_sixtyfour.storage.s3 import S3Parts

        return S3Parts(fs, path)
    if protocols & {"abfs", "az"} and hasattr(fs, "service_client"):
        from airflow_provider_sixtyfour.storage.azure import AzureBlocks

        return AzureBlocks(fs, path)
    if protocols & {"gs", "gcs"} and hasattr(fs, "credentials"):
        from airflow_provider_sixtyfour.storage.gcs import GcsSession

        return GcsSession(fs, path)
    return None
