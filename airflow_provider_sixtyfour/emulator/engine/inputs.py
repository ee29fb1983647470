"""
The input rows of a run: those of a call, or those of an uploaded file.

Invariant: rows keep their order, and a value is exactly what was sent (JSON) or what the cell says (CSV, always a
string). A CSV or NDJSON file is read a row at a time, however long it is.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_sixtyfour.emulator import strict_json
from airflow_provider_sixtyfour.emulator.engine import csv_tables

Row = Mapping[str, Any]
SUFFIXES = (".csv", ".json", ".jsonl", ".ndjson")


class UnreadableFileError(Exception):
    """An uploaded file that isn't what its name says, with the place where reading failed."""


class Rows(Protocol):
    """What a run reads."""

    @property
    def count(self) -> int:
        """How many rows there are."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All members that any row has, in the order of their first appearance."""

    def __iter__(self) -> Iterator[Row]:
        """Give the rows, from the first on, as often as is asked."""


class SentRows:
    """The rows of a ``webhook_payload``."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self.count = len(rows)
        self.columns = tuple(dict.fromkeys(name for row in rows for name in row))

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)


@dataclass(frozen=True, slots=True)
class UploadedRows:
    """The rows of a file, which has been read once to count them."""

    path: Path
    suffix: str
    count: int
    columns: tuple[str, ...]

    def __iter__(self) -> Iterator[Row]:
        return _read(self.path, self.suffix)


def scan(path: Path, suffix: str) -> UploadedRows:
    """Read a file through, or raise an UnreadableFileError."""
    names: dict[str, None] = {}
    count = 0
    try:
        if suffix == ".csv":
            names = dict.fromkeys(_header(path))
            count = sum(1 for _ in _cells(path))
        else:
            for row in _read(path, suffix):
                count += 1
                names.update(dict.fromkeys(row))
    except UnicodeDecodeError as error:
        raise UnreadableFileError(f"The file is not UTF-8: {error.reason} at byte {error.start}") from error
    except csv.Error as error:
        raise UnreadableFileError(f"The file can't be read: {error}") from error
    return UploadedRows(path, suffix, count, tuple(names))


def _read(path: Path, suffix: str) -> Iterator[Row]:
    if suffix == ".csv":
        names = _header(path)
        return (dict(zip(names, cells, strict=True)) for cells in _cells(path))
    return _objects(path) if suffix == ".json" else _lines(path)


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        names = next(iter(csv_tables.Reader(file)), [])
    if not names:
        raise UnreadableFileError("The file is empty: a CSV file starts with a line of column names")
    taken: dict[str, None] = {}
    for name in names:
        free, number = name, 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        taken[free] = None
    return list(taken)


def _cells(path: Path) -> Iterator[list[str]]:
    """Give the cells of each row after the header, filled up where a row is short."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv_tables.Reader(file)
        rows = iter(reader)
        width = len(next(rows))
        for cells in rows:
            if len(cells) != width:
                if not cells:  # an empty line
                    continue
                if len(cells) > width:
                    place = f"Line {reader.line_num}"
                    raise UnreadableFileError(f"{place} has {len(cells)} cells, the header has {width}")
                cells.extend([""] * (width - len(cells)))
            yield cells


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = strict_json.parse(line)
            except json.JSONDecodeError as error:
                raise UnreadableFileError(f"Line {number} is not JSON: {error.msg}") from error
            if not isinstance(row, dict):
                raise UnreadableFileError(f"Line {number} is not a JSON object")
            yield row


def _objects(path: Path) -> Iterator[Row]:
    try:
        document = strict_json.parse(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise UnreadableFileError(f"The file is not JSON: {error}") from error
    rows = [document] if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise UnreadableFileError("The file is neither a JSON list nor an object")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise UnreadableFileError(f"Item {number} is not a JSON object")
        yield row
