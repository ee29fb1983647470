"""
Why a call to a store failed, from what its client raised: errors of the system, of botocore, Azure and gcsfs.

The clients are known by what their exceptions carry, not by their classes: none of them has to be installed.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_DETAIL = 300  # characters of a store's own words

# What a call of S3 needs, by the name of botocore's operation; and else by what was attempted.
_S3_CALLS = {
    "PutObject": "s3:PutObject",
    "CreateMultipartUpload": "s3:PutObject",
    "UploadPart": "s3:PutObject",
    "CompleteMultipartUpload": "s3:PutObject",
    "AbortMultipartUpload": "s3:AbortMultipartUpload",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "ListObjectsV2": "s3:ListBucket",
    "HeadBucket": "s3:ListBucket",
    "DeleteObject": "s3:DeleteObject",
}
_READ_S3 = "s3:GetObject (and s3:ListBucket, without which S3 doesn't say that there is no such object)"
_PERMISSIONS = {
    "s3": {"write": "s3:PutObject", "read": _READ_S3, "remove": "s3:DeleteObject"},
    "gs": {
        "write": "storage.objects.create (and storage.objects.delete, to replace an object)",
        "read": "storage.objects.get",
        "remove": "storage.objects.delete",
    },
    "abfs": {
        "write": "the role Storage Blob Data Contributor",
        "read": "the role Storage Blob Data Reader",
        "remove": "the role Storage Blob Data Contributor",
    },
}
_ALIASES = {"s3a": "s3", "gcs": "gs", "az": "abfs", "abfss": "abfs"}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_CREDENTIAL = {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}


class Reason(NamedTuple):
    """
    Why a call failed.

    :param kind: ``denied``, ``missing`` or ``other``.
    :param text: the reason, as a message begins.
    :param advice: a sentence and a space, or nothing.
    """

    kind: str
    text: str
    advice: str = ""


def reason_of(error: BaseException, act: str, protocol: str) -> Reason:
    """
    Return the reason of an error.

    :param act: what was attempted: ``write``, ``read`` or ``remove``.
    :param protocol: of the store: ``s3``, ``file`` …
    """
    causes = list(_causes(error))
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    statuses = {_status(cause) for cause in causes}
    names = {type(cause).__name__ for cause in causes}
    is_disk = protocol in ("file", "local")
    if numbers & _FULL:
        return Reason("other", "No space is left on the device", "Free some space there, or raise the quota. ")
    if names & _NO_CREDENTIAL:
        return Reason("denied", "No credential for the store", "Give its connection one. ")
    denied = any(isinstance(cause, PermissionError) or str(cause).startswith("Forbidden:") for cause in causes)
    if denied or numbers & _DENIED or statuses & {401, 403}:
        text = "The file system is read-only" if errno.EROFS in numbers else "Permission denied"
        missing = _missing(causes, act, _ALIASES.get(protocol, protocol))
        return Reason("denied", text, f"{missing} is needed for it. ")
    if any(isinstance(cause, FileNotFoundError) for cause in causes) or 404 in statuses:
        what = "folder" if is_disk else "bucket or container"
        return Reason("missing", f"No such {what}", "Create it, or correct the destination. ")
    if any(isinstance(cause, TimeoutError | ConnectionError) for cause in causes) or any(
        "connect" in name.lower() or "timeout" in name.lower() for name in names
    ):
        return Reason("other", "The store can't be reached", "Is its endpoint right, and is there a route to it? ")
    number = next((each for each in numbers if each not in (None, errno.EIO)), None)
    if number is not None:
        return Reason("other", f"{os.strerror(number)} (errno {number})", "Correct the destination. ")
    return Reason("other", "The store reported an error")


def words(error: BaseException) -> str:
    """Return the words of a store's client on one line, without the query of any URL: it may hold a signature."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return re.sub(r"\?[^\s'\"<>]+", "?…", text)[:LONGEST_DETAIL]


def _missing(causes: list[BaseException], act: str, protocol: str) -> str:
    """Name the permission that an act takes."""
    called = {str(getattr(cause, "operation_name", "")) for cause in causes}
    if (found := [_S3_CALLS[name] for name in called if name in _S3_CALLS]) and protocol == "s3":
        return found[0]
    if protocol in ("file", "local"):
        user = f"user {os.getuid()}" if hasattr(os, "getuid") else "the worker's user"
        return f"Access to {act} for {user}"
    return _PERMISSIONS.get(protocol, {}).get(act, f"Permission to {act}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an exception to what caused it."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _status(error: BaseException) -> object:
    """Return the HTTP status that an exception carries."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        return answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for name in ("status_code", "code", "status"):
        value = getattr(error, name, None)
        if isinstance(value, int | str) and str(value).isdecimal():
            return int(value)
    return None
