"""An S3 multipart upload, through the client that s3fs has for the path's connection."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.storage.protocols import S3

log = logging.getLogger(__name__)


class Unfinished(NamedTuple):
    """
    An upload that was neither completed nor aborted; its parts are paid for.

    :param began_at: in seconds of the epoch.
    """

    bucket: str
    key: str
    upload_id: str
    began_at: float


def unfinished_uploads(fs: S3, path: str) -> Iterator[Unfinished]:
    """
    Give the unfinished uploads below a folder, by whomever they were begun.

    :param path: of the folder, as s3fs spells it.
    :raises OSError: if the store doesn't list them.
    """
    bucket, key, _ = fs.split_path(path.rstrip("/"))
    marker: dict[str, str] = {}
    while True:
        prefix = f"{key}/" if key else ""
        listed = fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **marker)
        for each in listed.get("Uploads") or ():
            yield Unfinished(bucket, each["Key"], each["UploadId"], each["Initiated"].timestamp())
        if not listed.get("IsTruncated"):
            return
        marker = {"KeyMarker": listed["NextKeyMarker"], "UploadIdMarker": listed["NextUploadIdMarker"]}


def abort(fs: S3, upload: Unfinished) -> None:
    """
    Abort an unfinished upload.

    :raises OSError: if the store doesn't.
    """
    fs.call_s3("abort_multipart_upload", Bucket=upload.bucket, Key=upload.key, UploadId=upload.upload_id)


class S3Parts:
    """One object's parts. Parts of an upload that was neither completed nor aborted are hidden, and are paid for."""

    most_parts = 10_000
    in_order = False

    def __init__(self, fs: S3, path: str) -> None:
        self._fs = fs
        self._path = path
        bucket, key, _ = fs.split_path(path)
        self._object = {"Bucket": bucket, "Key": key}
        self._type = {"ContentType": mimetypes.guess_type(path)[0] or "application/octet-stream"}
        self._upload: dict[str, str] = {}
        self._tags: dict[int, str] = {}
        self.version: object = None

    def remove_leftovers(self) -> None:
        """Abort all uploads to this very key: the newest writer wins."""
        try:
            for upload in self._uploads():
                self._fs.call_s3("abort_multipart_upload", **self._object, UploadId=upload)
                log.info("Removed an upload to %s that was left unfinished.", self._path)
        except FileNotFoundError:  # no such bucket
            raise
        except OSError as error:
            # No permission, or a server that knows no such call. Whatever else is wrong comes up again at once.
            log.info("Can't look for unfinished uploads to %s: %s", self._path, error)

    def _uploads(self) -> list[str]:
        key = self._object["Key"]
        listed = self._fs.call_s3("list_multipart_uploads", Bucket=self._object["Bucket"], Prefix=key)
        return [upload["UploadId"] for upload in listed.get("Uploads") or () if upload["Key"] == key]

    def put(self, data: bytes) -> None:
        """Publish a whole object."""
        put = self._fs.call_s3("put_object", **self._object, **self._type, Body=data)
        self.version = put.get("ETag")
        self._fs.invalidate_cache()

    def begin(self) -> None:
        """Begin an upload."""
        begun = self._fs.call_s3("create_multipart_upload", **self._object, **self._type)
        self._upload = {**self._object, "UploadId": begun["UploadId"]}
        self._tags.clear()

    def send(self, number: int, data: bytes) -> None:
        """Send a part; the client adds a checksum that the store compares."""
        sent = self._fs.call_s3("upload_part", **self._upload, PartNumber=number + 1, Body=data)
        self._tags[number] = sent["ETag"]

    def complete(self, count: int, last: bytes) -> None:
        """Publish the parts."""
        if last:
            self.send(count, last)
        parts: list[dict[str, Any]] = [
            {"PartNumber": number + 1, "ETag": tag} for number, tag in sorted(self._tags.items())
        ]
        completed = self._fs.call_s3("complete_multipart_upload", **self._upload, MultipartUpload={"Parts": parts})
        self.version = completed.get("ETag")
        self._upload = {}
        self._fs.invalidate_cache()

    def abort(self) -> None:
        """Drop the upload."""
        if self._upload:
            self._fs.call_s3("abort_multipart_upload", **self._upload)
            self._upload = {}

    def current_version(self) -> object:
        """Return the ETag of what is there."""
        return self._fs.call_s3("head_object", **self._object).get("ETag")

    def probe(self) -> None:
        """Begin an upload, which takes the permission to write an object, and abort it: no reader ever sees it."""
        self.remove_leftovers()  # there are none, but some servers look for the bucket here and not below
        self.begin()
        try:
            self.abort()
        except OSError as error:
            log.info("The probe of %s can't be aborted (is s3:AbortMultipartUpload missing?): %s", self._path, error)
