"""
CSV with other separators than commas: recognised, refused by name, and converted where that is asked for.

What is separated by semicolons is one column to whoever reads commas: it would be sent, and each row paid for. So the
header and the first rows are looked at. A real column of text stays one: its header doesn't hold the separator.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from airflow_provider_sixtyfour.formats import csv_records
from airflow_provider_sixtyfour.formats.input_formats import COMMA
from airflow_provider_sixtyfour.formats.records import BYTE_ORDER_MARK, RecordChunk, bad_line
from airflow_provider_sixtyfour.formats.sniffing import refused

_CALLED = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_LIKELY = (",", ";", "\t", "|", "^", "~", "\x1f", "\x01")
_MOST_ROWS = 1_000  # that are looked at
_ENOUGH = 0.9  # of the rows
_SEP_LINE = re.compile(rb'\A(?:%b)?\s*?"?sep=([^\r\n]?)"?[ \t]*(?:\r?\n|\Z)' % BYTE_ORDER_MARK, re.IGNORECASE)
_IN_BRACKETS = re.compile(rb"\([^()\n]*\)|\[[^\[\]\n]*\]|\{[^{}\n]*\}")
_DECIMAL_COMMA = re.compile(rb"(?<=[0-9]),(?=[0-9])")


def after_sep_line(start: bytes, name: str, delimiter: str | None) -> bytes:
    """
    Return the beginning of a file with an empty line in place of Excel's ``sep=;``.

    :raises SixtyfourInputError: if there is such a line, and ``delimiter`` doesn't say the same.
    """
    found = _SEP_LINE.match(start)
    if found is None:
        return start
    there = found[1].decode("ascii", "replace") or COMMA
    if there != delimiter:
        raise refused(
            f"The first line is {'sep=' + there!r}, which only Excel reads: remove it, or pass "
            f"delimiter={_literal(there)}, which leaves it out",
            name,
        )
    return b"\n" + start[found.end() :]


def refuse_other_delimiters(start: bytes, is_whole: bool, name: str, delimiter: str | None) -> None:
    """
    Check that a file of CSV isn't separated by something else.

    :param start: its first bytes, and whether they are all.
    :param delimiter: what its cells should be separated by; a comma that was asked for is never doubted.
    :raises SixtyfourInputError: if it probably is.
    """
    if delimiter == COMMA:
        return
    used = delimiter or COMMA
    data = start.removeprefix(BYTE_ORDER_MARK)
    _, outlined = csv_records.record_ends(data + b"\n" if is_whole else data)
    lines = [line for line in outlined.replace(b"\r", b"").split(b"\n") if line][: _MOST_ROWS + 1]
    if not lines:
        return
    looked = _Table(lines[0], lines[1:])
    for other in _LIKELY:
        if other != used and looked.is_separated_by(other.encode(), used.encode()):
            wanted = "" if other == COMMA else f"delimiter={_literal(other)}"
            if delimiter is None:
                raise refused(
                    f"Separated by {_called(other)}; this provider reads commas: convert the file, or pass {wanted}. "
                    f"If it does have commas, pass delimiter=','",
                    name,
                )
            raise refused(
                f"Separated by {_called(other)}, not by {_called(used)}: "
                + (f"pass {wanted}" if wanted else "leave delimiter out"),
                name,
            )


def with_commas(chunks: Iterator[RecordChunk], name: str, delimiter: str) -> Iterator[RecordChunk]:
    """
    Give chunks of CSV with commas in place of another separator; a cell that holds a comma gets quotes.

    Lines stay where they are, and what was wrong with a row is wrong with what becomes of it.

    :raises SixtyfourInputError: at a row in which it is ambiguous what is in quotes.
    """
    old, new = delimiter.encode(), COMMA.encode()
    swapping = bytes.maketrans(old + new, new + old)
    # Only where a cell begins: from each of its characters on, a long one without a comma would be searched again.
    holds_comma = re.compile(rb'(?<![^\r\n"%b])[^\r\n",%b]*+,[^\r\n"%b]*' % ((re.escape(old),) * 3))
    for chunk in chunks:
        parts = chunk.data.split(b'"')  # those at odd places are in quotes
        outside = b'"'.join(parts[::2])
        if new in outside:
            _refuse_uncertain(chunk, name, swapping)
            # A NUL stands for the quotes to come, so that those that are there can still be found: text holds none.
            outside = holds_comma.sub(rb"\0\g<0>\0", outside)
            between = outside.split(b"\0")  # the cells that get quotes are at odd places
            between[::2] = [part.replace(old, new) for part in between[::2]]
            outside = b"\0".join(between)
        else:
            outside = outside.replace(old, new)
        parts[::2] = outside.split(b'"')
        data = b'"'.join(parts).replace(b"\0", b'"')
        ends, outlined = csv_records.record_ends(data)
        yield RecordChunk(data, ends, chunk.line, outline=outlined)


class _Table(NamedTuple):
    """
    The first records of a file, without what is in quotes.

    :param header: the names of the columns.
    """

    header: bytes
    rows: list[bytes]

    def is_separated_by(self, other: bytes, used: bytes) -> bool:
        """
        Return whether these are records with another separator than the one that is used.

        :param other: that separator.
        """
        header = self.header
        while header != (header := _IN_BRACKETS.sub(b"", header)):
            pass
        names, cells = header.count(other), self.header.count(used)
        if not names:
            return False
        if not cells:  # one column, or none of its separators is the one that is used
            return sum(other in row for row in self.rows) >= len(self.rows) / 2
        if used != b",":
            return False
        fitting = sum(row.count(other) == names for row in self.rows)
        if not self.rows or fitting < _ENOUGH * len(self.rows):
            return False
        if any(row.count(used) != cells for row in self.rows):
            return True
        # Both would do. Commas within numbers separate nothing; else what makes more columns is right, or as many by
        # tabs, which texts hold none of.
        are_decimal = all(not _DECIMAL_COMMA.sub(b"", row).count(b",") for row in self.rows)
        makes_more = names > cells or (other == b"\t" and names == cells)
        return fitting == len(self.rows) and (are_decimal or makes_more)


def _refuse_uncertain(chunk: RecordChunk, name: str, swapping: bytes) -> None:
    outlined = csv_records.outline(chunk.data).translate(swapping)
    if csv_records.flaw(outlined, 1) not in csv_records.UNCERTAIN:
        return
    for line, record in chunk.records():
        problem = csv_records.flaw(csv_records.outline(record).translate(swapping), 1)
        if problem in csv_records.UNCERTAIN:
            raise bad_line(name, line, f"in the row that begins here there is {problem}")


def _called(delimiter: str) -> str:
    return _CALLED.get(delimiter, f"the character {delimiter!r}")


def _literal(delimiter: str) -> str:
    return "'tab'" if delimiter == "\t" else repr(delimiter)
