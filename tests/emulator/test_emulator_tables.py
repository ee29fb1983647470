"""The emulator's short cuts around ``csv``, compared with what ``csv`` itself reads and writes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.emulator.engine import csv_tables
from tests.unit.api.properties import searched

ODD = "a\",\n\r'; \t\0\ufeff\\é😀\u2028\x85\x0b"
texts = st.text(alphabet=ODD, max_size=8)
values = st.one_of(
    texts, st.none(), st.booleans(), st.integers(), st.floats(), st.lists(texts, max_size=2), st.just({"ü": [None]})
)


def everything(read: Callable[[], Any]) -> tuple[list[list[str]], list[int], str]:
    """Return the rows, the line on which each ends, and the error that ended the reading."""
    reader = read()
    rows: list[list[str]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            rows.append(list(cells))
            lines.append(reader.line_num)
    except csv.Error as error:
        return rows, lines, str(error)
    return rows, lines, ""


@searched
@given(st.text(alphabet=ODD, max_size=40) | st.lists(texts, max_size=12).map(",".join))
@example('a,b\r\n"1\r\n2",3\rx,"""",\n\n"",')
@example('a\n"not closed,\nb')
@example('a\n"closed"within,b\nc')
def test_cells_and_lines_are_what_csv_reads(text: str) -> None:
    ours = everything(lambda: csv_tables.Reader(io.StringIO(text, newline="")))
    assert ours == everything(lambda: csv.reader(io.StringIO(text, newline=""), strict=True))


@searched
@given(st.lists(texts, max_size=4, unique=True), st.lists(st.dictionaries(texts, values, max_size=4), max_size=5))
@example(["a"], [{"a": ""}, {"a": None}, {}, {"a": ","}, {"a": '"'}, {"a": "\r"}, {"a": "\n"}])
@example([], [{"a": "b"}])
def test_bytes_are_what_csv_writes(columns: list[str], rows: list[dict[str, Any]]) -> None:
    ours, theirs = io.StringIO(newline=""), io.StringIO(newline="")
    writer, plain = csv_tables.Writer(ours, columns), csv.writer(theirs, lineterminator="\r\n")
    plain.writerow(columns)
    for row in rows:
        writer.write(row)
        plain.writerow([flat(row.get(name)) for name in columns])
    assert ours.getvalue() == theirs.getvalue()


def flat(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_table_is_read_a_row_at_a_time(quote: str) -> None:
    file = io.StringIO(f"{quote}a{quote},b\n" * 3, newline="")
    rows = iter(csv_tables.Reader(file))
    assert next(rows) == ["a", "b"]
    assert file.read() == f"{quote}a{quote},b\n" * 2
