"""
What inputs may be called, and what may separate their cells.

Apart from what reads them, for the Dag files that import it: each task's process reads one.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

JSON_LINES = ("ndjson", "jsonl")
EXTENSIONS = ("csv", *JSON_LINES)
SEPARATED = ("csv", "tsv", "tab", "psv", "txt")  # of CSV whose separator is given
COMMA = ","
_NAMES = {"tab": "\t", "\\t": "\t", "comma": COMMA, "semicolon": ";", "pipe": "|", "bar": "|"}


def check_delimiter(value: Any) -> str | None:
    """
    Return a separator: one character; ``None`` for none.

    :param value: that, or a name such as ``tab``.
    :raises SixtyfourInputError: if it is something else, or a character that can't separate cells.
    """
    if value is None:
        return None
    found = _NAMES.get(value.lower(), value) if isinstance(value, str) else ""
    if len(found) != 1 or not found.isascii() or found.isalnum() or found in '"\r\n\0':
        raise SixtyfourInputError(
            f"delimiter should be one character that separates the cells, such as ';', '|' or 'tab', not {value!r:.60}."
        )
    return found


def check_readable(name: str, delimiter: str | None) -> str:
    """
    Return what a file's name ends in, if it can be read row by row: lower case, without the dot.

    :param name: a path or URL.
    :param delimiter: what separates the cells of CSV, where it was given.
    :raises SixtyfourInputError: if it can't.
    """
    extension = PurePosixPath(name).suffix.lower().removeprefix(".")
    if delimiter is not None and extension in (*JSON_LINES, "json"):
        raise SixtyfourInputError(f"delimiter is for CSV: leave it out for {name[-120:]!r}.")
    if extension not in (readable := EXTENSIONS if delimiter is None else SEPARATED):
        endings = ", ".join(f".{one}" for one in readable)
        also = "; with delimiter='tab', also .tsv" if extension in SEPARATED and delimiter is None else ""
        raise SixtyfourInputError(f"{name[-120:]!r} can't be read row by row: its name should end in {endings}{also}.")
    return extension
