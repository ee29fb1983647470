"""Rows of NDJSON by Python's parser: each value with where it is written, so that its text has all its digits."""

from __future__ import annotations

import math
import re
from json.decoder import JSONDecodeError, JSONDecoder
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.formats.parquet.casts import ParquetImpossibleError, shown
from airflow_provider_sixtyfour.formats.parquet.type_inference import BEYOND, MOST_DIGITS, Beyond

_SPACE = re.compile(r"[ \t\r]*")


def lines_of(block: bytes) -> list[bytes]:
    """Return the lines of a block that hold a row."""
    return [line for line in block.split(b"\n") if line and not line.isspace()]


class Member(NamedTuple):
    """A value of a row, and where it is written."""

    value: Any
    line: str
    start: int
    end: int

    def text(self) -> str | None:
        """Return it as text: as it is written, with all its digits."""
        if self.value is None or isinstance(self.value, str):
            return self.value
        return self.line[self.start : self.end]


def rows_of(block: bytes) -> list[dict[str, Member]]:
    """
    Read rows with Python.

    :raises ParquetImpossibleError: for a line that is no JSON object, or nested too deeply.
    """
    rows = []
    for line in lines_of(block):
        text = line.decode()
        try:
            rows.append(_members(text))
        except (ValueError, IndexError) as error:
            why = "cut off" if isinstance(error, IndexError) else str(error)[:60]
            raise ParquetImpossibleError(f"line {shown(text)} is no JSON object: {why}") from None
        except RecursionError:
            raise ParquetImpossibleError(f"line {shown(text)} is nested too deeply") from None
    return rows


def _integer(text: str) -> int | Beyond:
    return int(text) if len(text) <= MOST_DIGITS + 1 else BEYOND


def _fraction(text: str) -> float | Beyond:
    value = float(text)
    return BEYOND if math.isinf(value) else value


_DECODER = JSONDecoder(strict=False, parse_int=_integer, parse_float=_fraction)


def _members(line: str) -> dict[str, Member]:
    """Return the members of one object, the last of those with one name."""
    members: dict[str, Member] = {}
    position = _after(line, 0)
    if line[position] != "{":
        raise JSONDecodeError("it begins otherwise", line, position)
    position = _after(line, position + 1)
    while line[position] != "}":
        if members:
            position = _after(line, _past(line, position, ","))
        _past(line, position, '"')
        key, position = _DECODER.raw_decode(line, position)
        start = _after(line, _past(line, _after(line, position), ":"))
        value, end = _DECODER.raw_decode(line, start)
        members[key] = Member(value, line, start, end)
        position = _after(line, end)
    if _after(line, position + 1) != len(line):
        raise JSONDecodeError("there is more after it", line, position)
    return members


def _after(line: str, position: int) -> int:
    found = _SPACE.match(line, position)
    return found.end() if found else position


def _past(line: str, position: int, char: str) -> int:
    if line[position] != char:
        raise JSONDecodeError(f"no {char} where one should be", line, position)
    return position + 1
