"""Detects by the beginning of a file what its name doesn't say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.records import BYTE_ORDER_MARK, UTF_16_MARKS, Readable, bad_line

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.formats.table import Format

LOOKED_AT = 64 * 1024  # bytes
_SAVE = "Save it as text in UTF-8"
_UNPACK = "Unpack it first"
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or an Excel workbook", "Save it as CSV in UTF-8"),
    (b"PK\x05\x06", "an empty ZIP archive", _UNPACK),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook", "Save it as CSV in UTF-8"),
    (b"\x1f\x8b", "compressed with gzip", _UNPACK),
    (b"BZh", "compressed with bzip2", _UNPACK),
    (b"\xfd7zXZ\x00", "compressed with xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"PAR1", "Parquet", _SAVE),
    (b"Obj\x01", "Avro", _SAVE),
    (b"SQLite format 3\x00", "a SQLite database", _SAVE),
    (b"%PDF-", "a PDF", _SAVE),
    (b"{\\rtf", "RTF", _SAVE),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS", "Fetch what it points to: git lfs pull"),
)
_MARKUP = re.compile(
    rb"<(?:!--|(?:!doctype|html|head|body|meta|title|script|table|div|center|h[1-6]|p|pre)[\s>])", re.IGNORECASE
)
# Also without a declaration: an element with a namespace, with another one in it, or closed.
_XML = re.compile(rb"<(?:\?xml\s|([A-Za-z_][\w:.-]*)(?:\s+xmlns|(?:\s[^<>]*)?>(?:\s*<|[^<>]*</\1>)))")
_JSON_OBJECT = re.compile(rb"\{\s*(?:[\"}]|\Z)")
_JSON_ARRAY = re.compile(rb"\[(?:\s*[\[{\"\]]|\s*[\r\n]|\s*\Z)")


class PeekedStream:
    """
    A stream whose beginning has been looked at, to be read from there.

    :param stream: at its beginning.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        parts, size = [], 0
        while size < LOOKED_AT and (part := stream.read(LOOKED_AT - size)):
            parts.append(part)
            size += len(part)
        self.start = b"".join(parts)
        self.is_whole = size < LOOKED_AT

    def read(self, size: int) -> bytes:
        """Read on."""
        if not self.start:
            return self._stream.read(size)
        part, self.start = self.start[:size], self.start[size:]
        return part


def refuse_other_kinds(start: bytes, name: str, format: Format) -> None:
    """
    Check that a file isn't something else than rows as text.

    :param start: its first bytes.
    :param format: what should be in it.
    :raises SixtyfourInputError: if it is: each of its lines would be sent and paid for as a row, or be rejected.
    """
    for signature, kind, help_ in _SIGNATURES:
        if start.startswith(signature):
            raise refused(f"The file is {kind}, whatever its name says. {help_}", name)
    if start.startswith(UTF_16_MARKS):
        raise bad_line(name, 1, "the file is UTF-16. Save it as UTF-8")
    text = start.removeprefix(BYTE_ORDER_MARK).lstrip()
    if _MARKUP.match(text):
        raise refused("The file is an HTML page, perhaps of a login or an error. Download it again", name)
    if _XML.match(text):
        raise refused("The file is XML, perhaps the error of a store. Download it again", name)
    if format.is_json and format.read is None:
        if not text.startswith((b"[", b"{")):
            raise refused("The file is no JSON array or object, whatever its name says", name)
    elif format.is_json:
        if text.startswith(b"["):
            raise refused("The file is a JSON array. Write one object a line instead, as jq -c '.[]' does", name)
    elif _JSON_ARRAY.match(text) or _JSON_OBJECT.match(text):
        raise refused("The file is JSON, not CSV. Let its name end in .json or .ndjson, as it is", name)


def refused(reason: str, name: str) -> SixtyfourInputError:
    """Return the error for a file that is recognised by its beginning."""
    return SixtyfourInputError(f"{reason}. {name}, line 1.")
