"""
The grammar of CSV (RFC 4180), on bytes.

A cell is in quotes, with each quote in it doubled, or it holds neither quote nor comma nor line end. So a line feed
ends a record if an even number of quotes precedes it, and millions of rows are counted, cut and checked without taking
one of them apart. Where a stray quote would make that count wrong, `flaw` finds it: nothing is cut that it didn't pass.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from itertools import accumulate
from operator import methodcaller

from airflow_provider_sixtyfour.batches.pieces import Ends

BLANK = (b"\n", b"\r\n")
STRAY_QUOTE = (
    "text before an opening quote or after a closing one. A cell with a quote in it should be in quotes as a whole, "
    'and the quote in it doubled: "5"" pipe"'
)
LONE_RETURN = "a carriage return outside quotes that no line feed follows. Lines should end in LF or CRLF"
EMPTY_LINE = "an empty line"
UNCERTAIN = (STRAY_QUOTE, LONE_RETURN)  # after these, nobody knows where the row ends

_ALL_BUT_QUOTES_AND_ENDS = bytes(set(range(256)) - set(b'"\n'))
_ALL_BUT_COMMAS_AND_ENDS = bytes(set(range(256)) - set(b",\n"))
_SHAPES = bytes(byte if byte in b',"\n' else ord("x") for byte in range(256))
_CELL = re.compile(r'(?:^|,)(?:"([^"]*(?:""[^"]*)*)"|([^,]*))')
_QUOTED = re.compile(rb'"[^"]*(?:""[^"]*)*("|\Z)')


def record_ends(data: bytes) -> Ends:
    """Return where records end in ``data``, which begins with one; what follows the last end is unfinished."""
    lines = Ends(data)
    if not lines or b'"' not in data:
        return lines
    complete = data[: lines.last]
    # Most files have no line feed inside a cell: then the quotes of each line cancel out.
    if b'"' not in complete.translate(None, _ALL_BUT_QUOTES_AND_ENDS).replace(b'""', b""):
        return lines
    quotes = accumulate(map(methodcaller("count", b'"'), complete.split(b"\n")))
    return Ends(data, [end for end, count in zip(lines.offsets, quotes, strict=False) if count % 2 == 0])


def why_endless(data: bytes) -> tuple[int, str] | None:
    """Return why ``data``, which begins with a record, doesn't hold its end, and where: a quote that isn't closed."""
    position = next((found.start() for found in _QUOTED.finditer(data) if not found[1]), None)
    if position is None:
        return None
    if flaw(data + b'"\n', 1) == STRAY_QUOTE:
        return 0, f"in the row that begins here there is {STRAY_QUOTE}"
    return position, f"a quoted cell begins here and isn't closed within {len(data)} bytes"


def flaw(records: bytes, width: int) -> str | None:
    """
    Return what is wrong with whole records, or ``None`` if they all are as they should be.

    :param records: one record to learn its flaw; many, to learn whether there is one among them.
    :param width: how many cells a record should have.
    """
    outside = records
    if b'"' in records:
        outside = b'"'.join(records.split(b'"')[::2])  # one quote for each quoted stretch, whatever it held
    if b"\r" in outside:
        outside = outside.replace(b"\r\n", b"\n")
        if b"\r" in outside:
            return LONE_RETURN
    if outside is not records:
        shapes = outside.translate(_SHAPES)
        if b'x"' in shapes or b'"x' in shapes:
            return STRAY_QUOTE
    skeleton = outside.translate(None, _ALL_BUT_COMMAS_AND_ENDS)
    # Nothing is left exactly if each line has that many commas: a match ends with its line.
    if skeleton.replace(b"," * (width - 1) + b"\n", b""):
        return f"the header has {width} cells, this row {skeleton.count(b',') + 1}"
    if width == 1 and (outside.startswith(b"\n") or b"\n\n" in outside):
        return EMPTY_LINE
    return None


def cells(record: bytes) -> list[str]:
    """Return the cells of a record that has no `flaw`."""
    text = record.decode().removesuffix("\n").removesuffix("\r")
    if '"' not in text:
        return text.split(",")
    return [quoted.replace('""', '"') or plain for quoted, plain in _CELL.findall(text)]


def record_of(values: Sequence[str], ending: bytes) -> bytes:
    """Return a record with these cells."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=ending.decode()).writerow(values)
    return text.getvalue().encode()
