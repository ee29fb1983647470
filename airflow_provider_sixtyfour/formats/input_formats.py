"""
What inputs may be called, and what may separate their cells.

Apart from what reads them, for the Dag files that import it: each task's process reads one.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.table import FORMATS, Format, extension_of, format_of

EXTENSIONS = tuple(one for each in FORMATS.values() if each.read for one in each.extensions)  # read row by row
SEPARATED = tuple(one for each in FORMATS.values() for one in each.with_delimiter)  # if the separator is given
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


def check_readable(name: str, delimiter: str | None) -> Format:
    """
    Return a file's format, by its name, if it can be read row by row.

    :param name: a path or URL.
    :param delimiter: what separates the cells of CSV, where it was given.
    :raises SixtyfourInputError: if it can't.
    """
    extension = extension_of(name)
    found = format_of(extension)
    if delimiter is not None and found and not found.with_delimiter:
        raise SixtyfourInputError(f"delimiter is for CSV: leave it out for {name[-120:]!r}.")
    readable = EXTENSIONS if delimiter is None else SEPARATED
    if found is None or extension not in readable:
        endings = ", ".join(f".{one}" for one in readable)
        also = "; with delimiter='tab', also .tsv" if extension in SEPARATED and delimiter is None else ""
        raise SixtyfourInputError(f"{name[-120:]!r} can't be read row by row: its name should end in {endings}{also}.")
    return found
