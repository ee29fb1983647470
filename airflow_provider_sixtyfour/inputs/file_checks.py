"""
What can be wrong with an input file, found before it is sent: read once, in constant memory.

The limits are those that the vendor documents for its sister endpoint; for uploads it documents none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.input_formats import SEPARATED, check_delimiter
from airflow_provider_sixtyfour.formats.table import FORMATS, Format, extension_of, format_of

if TYPE_CHECKING:
    from typing import BinaryIO

EXTENSIONS = sorted(one for each in FORMATS.values() if each.is_upload for one in each.extensions)
_BLOCK = 1024 * 1024  # bytes


def check_name(name: str, delimiter: str | None = None) -> None:
    """
    Check that a file's name ends as the API asks for.

    :param delimiter: what separates the cells of CSV, where it was given: the file is sent under another name then.
    :raises SixtyfourInputError: if it doesn't.
    """
    suffix = extension_of(name)
    if delimiter is not None:
        check_delimiter(delimiter)
        if suffix not in SEPARATED:
            raise SixtyfourInputError(
                f"delimiter is for CSV, in files that end in {', '.join(f'.{one}' for one in SEPARATED)}, not "
                f"{name[:120]!r}."
            )
    elif suffix not in EXTENSIONS:
        raise SixtyfourInputError(
            f"The API takes files that end in {', '.join(f'.{one}' for one in EXTENSIONS)}, not {name[:120]!r}."
        )


def check_size(name: str, size: int, max_bytes: int) -> None:
    """
    Check a file's size.

    :param max_bytes: how many it may have.
    :raises SixtyfourInputError: if it has none, or more.
    """
    if size == 0:
        raise SixtyfourInputError(f"The file is empty: {name}.")
    if size > max_bytes:
        raise SixtyfourInputError(
            f"The file has {size:,} bytes; max_bytes allows {max_bytes:,}. SixtyfourSplitInputOperator cuts it into "
            f"files that fit: {name}."
        )


def count_rows(stream: BinaryIO, name: str, extension: str, max_rows: int, delimiter: str | None = None) -> int | None:
    """
    Read a file through and return how many rows it has; ``None`` for JSON that is no array.

    :param name: of the file, for messages.
    :param extension: one of `EXTENSIONS`. Of a format that isn't read row by row, only the rows are counted: the API
        itself says what is wrong.
    :param max_rows: how many it may have.
    :param delimiter: what separated the cells of CSV before they got commas, where it was given.
    :raises SixtyfourInputError: naming the line where it isn't what its extension says; or if it has more, or none.
    """
    format = format_of(extension)
    if format is not None and format.read is None:
        rows = _counted(format, stream, name)
    else:
        rows = _in_lines(stream, name, max_rows, delimiter)
    if rows == 0:
        raise SixtyfourInputError(f"The file has no rows: {name}.")
    if rows is not None and rows > max_rows:
        raise SixtyfourInputError(
            f"The file has more than {max_rows:,} rows, which is what max_rows allows. SixtyfourSplitInputOperator "
            f"cuts it into files that fit: {name}."
        )
    return rows


def _in_lines(stream: BinaryIO, name: str, max_rows: int, delimiter: str | None) -> int:
    from airflow_provider_sixtyfour.formats.reader import open_source
    from airflow_provider_sixtyfour.formats.rejects import NoRejects

    rows = 0
    has_commas = None if delimiter is None else ","
    for chunk in open_source(stream, name, rejects=NoRejects(name), delimiter=has_commas).chunks():
        rows += len(chunk.ends)
        if rows > max_rows:
            break
    return rows


def _counted(format: Format, stream: BinaryIO, name: str) -> int | None:
    from airflow_provider_sixtyfour.formats.sniffing import PeekedStream, refuse_other_kinds

    looked = PeekedStream(stream)
    refuse_other_kinds(looked.start, name, format)
    counter = format.counter()
    while block := looked.read(_BLOCK):
        counter.feed(block)
    if counter.is_too_deep:
        raise SixtyfourInputError(f"The rows can't be counted: JSON is nested too deeply in {name}.")
    return counter.rows()
