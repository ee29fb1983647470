"""
Calls to a store whose errors say what a reader of the log needs: what is missing, where, and what to do.

The clients of the stores raise what they like: ``[Errno 28]``, ``Access Denied.``, an exception of Azure's. Here all of
it becomes a `SixtyfourTransferError`, which Airflow retries.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.errors import SixtyfourError, SixtyfourTransferError
from airflow_provider_sixtyfour.stores import publishing as stores

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.stores.clients import Store
    from airflow_provider_sixtyfour.stores.in_parts import PartSenders
    from airflow_provider_sixtyfour.stores.publishing import Publication

LANDS_AGAIN = "A retry of the task lands the same run and pays for nothing again."
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
        reason, *advice = _explained(error, act, _protocol(fs))
        raise SixtyfourTransferError(
            " ".join(
                (
                    f"{reason}: could not {act} {_protocol(fs)}://{path}.",
                    *advice,
                    then,
                    f"From the store: {_detail(error)}",
                )
            )
        ) from None


@contextmanager
def publishing(
    fs: Store, path: str, *, senders: PartSenders | None = None, size: int | None = None, then: str = LANDS_AGAIN
) -> Iterator[Publication]:
    """
    Give a publication whose errors name its destination; see `stores.publishing.publishing`.

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
    path = folder / f".sixtyfour-probe-{secrets.token_hex(8)}"
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

    def write(self, piece: bytes) -> None:
        with store_errors("write", *self._where, then=self._then):
            self._publication.write(piece)

    def start_over(self) -> None:
        with store_errors("write", *self._where, then=self._then):
            self._publication.start_over()

    def commit(self) -> None:
        with store_errors("write", *self._where, then=self._then):
            self._publication.commit()

    def discard(self) -> None:
        self._publication.discard()


def _explained(error: BaseException, act: str, protocol: str) -> tuple[str, ...]:
    """Return the reason of an error and, where it is known, what helps."""
    causes = list(_causes(error))
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError)}
    statuses = {_status(cause) for cause in causes}
    names = {type(cause).__name__ for cause in causes}
    words = " ".join(map(str, causes))
    if numbers & _FULL:
        return "No space is left on the device", "Free some space there, or raise the quota."
    if names & {"NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"}:
        return "No credential for the store", "Give its connection one."
    denied = any(isinstance(cause, PermissionError) for cause in causes) or words.startswith("Forbidden:")
    if denied or numbers & _DENIED or statuses & {401, 403}:
        missing = _missing(causes, act, _ALIASES.get(protocol, protocol))
        reason = "The file system is read-only" if errno.EROFS in numbers else "Permission denied"
        return reason, f"{missing} is needed for it."
    if any(isinstance(cause, FileNotFoundError) for cause in causes) or 404 in statuses:
        what = "folder" if protocol in ("file", "local") else "bucket or container"
        return f"No such {what}", "Create it, or correct the destination."
    if any(isinstance(cause, TimeoutError | ConnectionError) for cause in causes) or any(
        "connect" in name.lower() or "timeout" in name.lower() for name in names
    ):
        return "The store can't be reached", "Is its endpoint right, and is there a route to it?"
    number = next(iter(numbers - {None, errno.EIO}), None)
    if number is not None:
        return f"{os.strerror(number)} (errno {number})", "Correct the destination."
    return ("The store reported an error",)


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
        found = found.__cause__ or found.__context__


def _status(error: BaseException) -> object:
    """Return the HTTP status that an exception of botocore, Azure or gcsfs carries."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        return answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    for name in ("status_code", "code", "status"):
        value = getattr(error, name, None)
        if isinstance(value, int | str) and str(value).isdecimal():
            return int(value)
    return None


def _detail(error: BaseException) -> str:
    """Return the words of a store's client on one line, without the query of any URL: it may hold a signature."""
    words = " ".join(f"{type(error).__name__}: {error}".split())
    return re.sub(r"\?[^\s'\"<>]+", "?…", words)[:LONGEST_DETAIL]


def _protocol(fs: Any) -> str:
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    return str(protocol)
