"""
The grammar of CSV (RFC 4180), on bytes.

A cell is in quotes, with each quote in it doubled, or it holds neither quote nor comma nor line end. So a line feed
ends a record if an even number of quotes precedes it, and millions of rows are counted, cut and checked without taking
one of them apart. Where a stray quote would make that count wrong, `flaw` finds it: nothing is cut that it didn't pass.

Result files are read by `LENIENT_RECORD`, which takes every file: a quote in the middle of a cell is text there.
Records without a flaw are the same by both, and `cells` takes either apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from airflow_provider_sixtyfour.formats.records import RecordEnds, line_feeds

BLANK = (b"\n", b"\r\n")
STRAY_QUOTE = (
    "text before an opening quote or after a closing one. A cell with a quote in it should be in quotes as a whole, "
    'and the quote in it doubled: "5"" pipe"'
)
LONE_RETURN = "a carriage return outside quotes that no line feed follows. Lines should end in LF or CRLF"
EMPTY_LINE = "an empty line"
UNCERTAIN = (STRAY_QUOTE, LONE_RETURN)  # after these, nobody knows where the row ends

QUOTE = '"'
_NEEDS_QUOTES = re.compile(r'[",\r\n]')
_ALL_BUT_COMMAS_AND_ENDS = bytes(set(range(256)) - set(b",\n"))
STRAY = re.compile(rb'"(?:[^,\n"]|(?<=[^,\n"]"))')  # begins with what is rare: a search skips the rest quickly
_LENIENT_CELL = rb'(?:"[^"]*+(?:""[^"]*+)*+(?:"[^,\n]*+|\Z)|[^,\n]*+)'
LENIENT_RECORD = re.compile(_LENIENT_CELL + rb"(?:," + _LENIENT_CELL + rb")*+\n")
_CELLS = re.compile(r'(?:^|,)(?:"([^"]*+(?:""[^"]*+)*+)"([^,]*+)|([^,]*+))')
_QUOTED = re.compile(rb'"[^"]*(?:""[^"]*)*("|\Z)')


def record_ends(data: bytes) -> tuple[RecordEnds, bytes]:
    """Return where records end in ``data``, which begins with one, and the `outline` of all but an unfinished last."""
    if b'"' not in data:
        ends = RecordEnds.at_line_feeds(data)
        return ends, data[: ends.last]
    parts = data.split(b'"')  # those at odd places were in quotes, or are the last, which still is
    outside = b'"'.join(parts[::2])
    end = outside.rfind(b"\n") + 1
    whole, unfinished = outside[:end], outside[end:].split(b'"')
    # The last record ends in one of the parts outside; all parts after that one belong to an unfinished record.
    place = (len(parts) - 1) // 2 - (len(unfinished) - 1)
    after = b'"'.join([unfinished[0], *parts[2 * place + 1 :]])
    return RecordEnds(line_feeds(whole), len(data) - len(after), partial(_lines, parts)), whole


def outline(records: bytes) -> bytes:
    """Return what is outside quotes in whole records, with one quote for each stretch inside."""
    return b'"'.join(records.split(b'"')[::2]) if b'"' in records else records


def _lines(parts: list[bytes]) -> bytes:
    """Return parts that quotes divide as one again, without line feeds in those that were in quotes."""
    inside = b'"'.join(parts[1::2])
    if b"\n" in inside:
        parts[1::2] = inside.replace(b"\n", b" ").split(b'"')
    return b'"'.join(parts)


def why_endless(data: bytes) -> tuple[int, str] | None:
    """Return why ``data``, which begins with a record, doesn't hold its end, and where: a quote that isn't closed."""
    position = next((found.start() for found in _QUOTED.finditer(data) if not found[1]), None)
    if position is None:
        return None
    if flaw(outline(data + b'"\n'), 1) == STRAY_QUOTE:
        return 0, f"in the row that begins here there is {STRAY_QUOTE}"
    return position, f"a quoted cell begins here and isn't closed within {len(data)} bytes"


def flaw(outlined: bytes, width: int) -> str | None:
    """
    Return what is wrong with whole records, or ``None`` if they all are as they should be.

    :param outlined: the `outline` of one record, to learn its flaw; of many, to learn whether there is one among them.
    :param width: how many cells a record should have.
    """
    if b"\r" in outlined:
        outlined = outlined.replace(b"\r\n", b"\n")
        if b"\r" in outlined:
            return LONE_RETURN
    if b'"' in outlined and STRAY.search(outlined):
        return STRAY_QUOTE
    commas = outlined.translate(None, _ALL_BUT_COMMAS_AND_ENDS)
    # Each line should have that many; whatever is wrong with one of them, the whole differs from as many good ones.
    if commas != (b"," * (width - 1) + b"\n") * (len(commas) // width):
        return f"the header has {width} cells, this row {commas.count(b',') + 1}"
    if width == 1 and (outlined.startswith(b"\n") or b"\n\n" in outlined):
        return EMPTY_LINE
    return None


def cells(record: bytes) -> list[str]:
    """Return the cells of any record; a byte that is no UTF-8 as Python's half surrogate pair for it."""
    text = record.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")
    if '"' not in text:
        return text.split(",")
    return [
        (quoted.replace('""', '"') if '""' in quoted else quoted) + after + plain
        for quoted, after, plain in _CELLS.findall(text)
    ]


def record_of(values: Sequence[str], ending: bytes) -> bytes:
    """Return a record with these cells; a half surrogate pair that stands for a byte becomes that byte again."""
    cells = [f'"{value.replace(QUOTE, QUOTE * 2)}"' if _NEEDS_QUOTES.search(value) else value for value in values]
    return (",".join(cells) or '""').encode("utf-8", "surrogateescape") + ending
