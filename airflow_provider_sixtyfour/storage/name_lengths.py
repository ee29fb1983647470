"""How long a name may be in a store: found before anything is read or paid for, not when the store refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

LONGEST_COMPONENT = 255  # bytes that a file system takes between two slashes
LONGEST_FILE = 4095  # bytes that Linux takes as a whole
LONGEST_KEY = 1024  # bytes that S3 and Google Cloud Storage take as a key, and characters that Azure does
_DISK = {"file", "local"}
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az"}


def check_length(path: ObjectStoragePath, parameter: str, *, below: int = 0) -> None:
    """
    Check that the store of a path takes a name as long as it is.

    :param parameter: what the path is made of, for the message.
    :param below: bytes of the longest name that is to be written into it, where it is a folder.
    :raises SixtyfourInputError: if it doesn't.
    """
    protocols = {path.fs.protocol} if isinstance(path.fs.protocol, str) else set(path.fs.protocol)
    needed = below + 1 if below else 0
    whole = path.path.encode("utf-8", "surrogatepass")
    if protocols & _DISK:
        longest = max(map(len, whole.split(b"/")))
        if longest > LONGEST_COMPONENT:
            raise SixtyfourInputError(
                f"{parameter} has a name of {longest:,} bytes in it; file systems take {LONGEST_COMPONENT}. Shorten "
                f"it: {str(path)[:120]!r}…"
            )
        limit, size = LONGEST_FILE, len(whole)
    elif protocols & _OBJECT_STORES:
        limit, size = LONGEST_KEY, len(whole.partition(b"/")[2])
    else:
        return
    if size + needed > limit:
        raise SixtyfourInputError(
            f"{parameter} is too long by {size + needed - limit:,} bytes: its store takes names of {limit:,} bytes as "
            f"a whole, and {size + needed:,} are needed. Shorten it: {str(path)[:120]!r}…"
        )
