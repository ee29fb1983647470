"""Rows of NDJSON by Python's parser: each value with where it is written, so that its text has all its digits."""

from __future__ import annotations

import math
from json.decoder import JSONDecoder

from airflow_provider_sixtyfour.formats.json_members import Member, members_of
from airflow_provider_sixtyfour.formats.parquet.casts import ParquetImpossibleError, shown
from airflow_provider_sixtyfour.formats.parquet.type_inference import BEYOND, MOST_DIGITS, Beyond


def lines_of(block: bytes) -> list[bytes]:
    """Return the lines of a block that hold a row."""
    return [line for line in block.split(b"\n") if line and not line.isspace()]


def rows_of(block: bytes) -> list[dict[str, Member]]:
    """
    Read rows with Python.

    :raises ParquetImpossibleError: for a line that is no JSON object, or nested too deeply.
    """
    rows = []
    for line in lines_of(block):
        text = line.decode()
        try:
            rows.append(members_of(text, _DECODER))
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
