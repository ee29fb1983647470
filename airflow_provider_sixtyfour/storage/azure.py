"""A block blob of Azure, through the client that adlfs has for the path's connection."""

from __future__ import annotations

import asyncio
import importlib
import mimetypes
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.storage.protocols import Azure

_METADATA = {"is_directory": "false"}  # by which adlfs distinguishes files from folders


class AzureBlocks:
    """
    One blob's blocks.

    Azure hides blocks that aren't committed, forgets them when the blob is written, and after a week in any case.
    """

    most_parts = 50_000
    in_order = False

    def __init__(self, fs: Azure, path: str) -> None:
        self._fs = fs
        self._path = path
        self._container, self._name, _ = fs.split_path(path)
        self._mark = ""
        self.version: object = None

    def remove_leftovers(self) -> None:
        """Leave it to Azure: there is no call for it that doesn't touch the blob itself."""

    def put(self, data: bytes) -> None:
        """Publish a whole blob."""
        put = self._call("upload_blob", data, overwrite=True, metadata=_METADATA, content_settings=self._type())
        self.version = put.get("etag")
        self._fs.invalidate_cache()

    def begin(self) -> None:
        """Mark this upload's blocks, so that none of an earlier one is taken for them."""
        self._mark = uuid.uuid4().hex[:24]

    def send(self, number: int, data: bytes) -> None:
        """Send a block."""
        self._call("stage_block", self._id(number), data, length=len(data))

    def complete(self, count: int, last: bytes) -> None:
        """Publish the blocks."""
        if last:
            self.send(count, last)
        blocks = [_models().BlobBlock(self._id(number)) for number in range(count + bool(last))]
        completed = self._call("commit_block_list", blocks, metadata=_METADATA, content_settings=self._type())
        self.version = completed.get("etag")
        self._fs.invalidate_cache()

    def abort(self) -> None:
        """Leave the blocks to Azure."""

    def current_version(self) -> object:
        """Return the ETag of what is there."""
        try:
            return self._call("get_blob_properties").etag
        except Exception as error:
            if getattr(error, "status_code", None) == 404:
                raise FileNotFoundError(self._path) from None
            raise

    def probe(self) -> None:
        """Send a block that is never committed: nobody sees it, and Azure drops it after a week."""
        self.begin()
        self.send(0, b"probe")

    def _id(self, number: int) -> str:
        # As many characters as adlfs takes: all ids of a blob's blocks must have the same length.
        return f"{self._mark}{number:08d}"

    def _type(self) -> Any:
        return _models().ContentSettings(content_type=mimetypes.guess_type(self._path)[0] or "application/octet-stream")

    def _call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """Call the client on the event loop that adlfs runs it in."""

        async def call() -> Any:
            async with self._fs.service_client.get_blob_client(self._container, self._name) as client:
                return await getattr(client, method)(*arguments, **options)

        return asyncio.run_coroutine_threadsafe(call(), self._fs.loop).result()


def _models() -> Any:
    return importlib.import_module("azure.storage.blob")  # by name: only adlfs, not this package, requires it
