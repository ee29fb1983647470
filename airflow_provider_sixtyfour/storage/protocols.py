"""What files are written to, and what is used of the stores' clients: those of ``fsspec``, which has no type hints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol


class Writable(Protocol):
    """A file that is being written, from its first byte to its last."""

    def write(self, chunk: bytes, /) -> object:
        """
        Take in the next chunk.

        :raises OSError: or what else a store's client raises; maybe for a chunk that was taken in before.
        """


class Restartable(Writable, Protocol):
    """A file that may turn out to be written in vain, and is written from its first byte again."""

    def start_over(self) -> None:
        """Forget all that was written."""


class Publication(Restartable, Protocol):
    """One object on its way to a store. Its methods are called by one thread at a time."""

    def commit(self) -> None:
        """Let the object appear at its path, in place of what may be there; return when it has."""

    @property
    def version(self) -> object:
        """What identifies the object that was committed among all at its path; ``None`` if nothing does."""

    def discard(self) -> None:
        """Leave nothing behind of what was not committed. Raises nothing: there is an error already."""


class Store(Protocol):
    """Any store that ``fsspec`` knows."""

    protocol: str | Sequence[str]

    def put_file(self, local: str, path: str, /) -> object:
        """Upload a local file."""

    def rm_file(self, path: str, /) -> object:
        """Remove a file."""

    def ukey(self, path: str, /) -> str:
        """Return a digest of what the store says of a file: its size and, where it knows one, the time."""

    def invalidate_cache(self) -> object:
        """Forget what was listed."""


class ObjectStore(Store, Protocol):
    """A store of objects in buckets (containers)."""

    loop: asyncio.AbstractEventLoop

    def split_path(self, path: str) -> tuple[str, str, str | None]:
        """Return bucket, key and version."""


class S3(ObjectStore, Protocol):
    """``s3fs.S3FileSystem``."""

    def call_s3(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of botocore's client, with what the connection says and s3fs' own retries."""


class Azure(ObjectStore, Protocol):
    """``adlfs.AzureBlobFileSystem``."""

    service_client: Any  # azure.storage.blob.aio.BlobServiceClient, at home in `loop`


class Gcs(ObjectStore, Protocol):
    """``gcsfs.GCSFileSystem``."""

    def info(self, path: str) -> dict[str, Any]:
        """Return what Google says of an object."""

    def pipe_file(self, path: str, data: bytes, **options: Any) -> object:
        """Upload an object in one request."""

    def open(self, path: str, mode: str, **options: Any) -> Any:
        """Return a file object that holds a resumable upload."""
