"""CSV as Parquet: text as it is, whatever the file is like."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sixtyfour.formats.parquet import source
from airflow_provider_sixtyfour.formats.parquet.from_csv import CsvText
from tests.unit.formats.parquet.conftest import attempt, convert


def test_empty_texts_and_line_ends_in_cells_are_kept() -> None:
    table = convert(b'\xef\xbb\xbfa,b\r\n"1\r\n2",\r\n"say ""hi""",007\r\n', "csv")

    assert table.to_pylist() == [{"a": "1\r\n2", "b": ""}, {"a": 'say "hi"', "b": "007"}]


@pytest.mark.parametrize(
    "cell",
    ["12345678901234567890", "00123", "+49 30", "1.50", "1e400", "NULL", "NaN", "true", "2026-01-01", "-0", " 5 "],
)
def test_no_digit_is_lost_and_nothing_is_taken_for_something_else(cell: str) -> None:
    assert convert(f"a,b\n{cell},{cell}\n".encode(), "csv").to_pylist() == [{"a": cell, "b": cell}]


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"\r\n\r\n"])
def test_an_empty_file(content: bytes) -> None:
    assert convert(content, "csv").num_rows == 0


@pytest.mark.parametrize(
    "content", [b"a,b", b"a,b\n", b"a,b\r\n", b"\n\na,b", b"a,b\r", b'"a","b"', b"\xef\xbb\xbfa,b"]
)
def test_a_header_alone(content: bytes) -> None:
    table = convert(content, "csv")

    assert (table.column_names, table.num_rows) == (["a", "b"], 0)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("a,a", ["a", "a_2"]),
        ("a,a,a_2", ["a", "a_3", "a_2"]),
        ("a_2,a,a", ["a_2", "a", "a_3"]),
        ("a,b,", ["a", "b", "column_3"]),
        (",,", ["column_1", "column_2", "column_3"]),
        ("column_2,", ["column_2", "column_2_2"]),
        ('"","",column_1', ["column_1_2", "column_2", "column_1"]),
        ("a,a,a", ["a", "a_2", "a_3"]),
    ],
)
@pytest.mark.parametrize("rows", [True, False])
def test_names_that_are_missing_or_there_twice(header: str, names: list[str], rows: bool) -> None:
    values = [str(number) for number in range(len(names))]
    converted = attempt(f"{header}\n{','.join(values) if rows else ''}".encode(), "csv")

    assert converted.table.column_names == names
    assert [list(row.values()) for row in converted.rows] == ([values] if rows else [])
    [warning] = converted.warnings
    assert "columns without a name, or with that of another, are " in warning


@pytest.mark.parametrize("header", ["a,b\nc", "x y", "é,😀", "a\0,b", "A,a", '"q""q"'])
def test_odd_names_are_kept(header: str) -> None:
    text = f'"{header}"' if "\n" in header else header
    expected = next(csv.reader(io.StringIO(text, newline="")))

    assert convert(f"{text}\n{','.join('1' for _ in expected)}\n".encode(), "csv").column_names == expected


def test_rows_with_too_few_and_too_many_cells() -> None:
    converted = attempt(b"a,b\n1\n2,3\n4,5,6,7\n", "csv")

    assert converted.rows == [
        {"a": "1", "b": None, "column_3": None, "column_4": None},
        {"a": "2", "b": "3", "column_3": None, "column_4": None},
        {"a": "4", "b": "5", "column_3": "6", "column_4": "7"},
    ]
    [warning] = converted.warnings
    assert "rows have up to 4 cells, the header 2" in warning
    assert "null where rows have fewer cells than the header: 1 of them" in warning


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (b'1,5" pipe', ["1", '5" pipe']),
        (b'1,"5" pipe', ["1", "5 pipe"]),
        (b'1, "x"', ["1", ' "x"']),
        (b'1,"x" ', ["1", "x "]),
        (b"1,x\ry", ["1", "x\ry"]),
        (b'1,"x\ry"', ["1", "x\ry"]),
        (b"x\ry,\r1", ["x\ry", "\r1"]),
        (b"1,x\0y", ["1", "x\0y"]),
        (b"1,\x1a", ["1", "\x1a"]),
        (b'1,"{""a"": ""\\ud83d""}"', ["1", '{"a": "\\ud83d"}']),
        (b"1,\xe2\x80\xa8", ["1", "\u2028"]),
        (b"1,\x0b\x0c\x1c", ["1", "\x0b\x0c\x1c"]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("chunk", [1, 1000])
def test_odd_cells(row: bytes, cells: list[str], ending: bytes, chunk: int) -> None:
    content = ending.join([b"a,b", row, row, b"last,one", b""])
    converted = attempt(content, "csv", chunk=chunk)

    assert converted.warnings == []
    assert [list(each.values()) for each in converted.rows] == [cells, cells, ["last", "one"]]


def test_lines_that_end_in_carriage_returns_alone() -> None:
    assert convert(b'a,b\r1,2\r"3\r",4', "csv").to_pylist() == [{"a": "1", "b": "2"}, {"a": "3\r", "b": "4"}]


def test_bytes_that_are_no_utf_8_are_replaced_with_one_warning() -> None:
    converted = attempt(b"a,b\nM\xfcnchen,\xc3\xa9\n\xed\xa0\xbd,\n", "csv")

    assert converted.rows == [{"a": "M�nchen", "b": "é"}, {"a": "���", "b": ""}]
    assert converted.warnings == [
        "Parquet differs from the csv that it was made of: characters that are not valid in UTF-8 became U+FFFD: 4. "
        "out.parquet"
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_with_its_mark(encoding: str) -> None:
    content = ("a,b\né😀,1\n" if encoding == "utf-16" else "\ufeffa,b\né😀,1\n").encode(encoding)
    converted = attempt(content, "csv")

    assert converted.rows == [{"a": "é😀", "b": "1"}]
    assert "it was read as UTF-16" in converted.warnings[0]


@pytest.mark.parametrize("where", ["header", "row"])
def test_a_very_long_row(where: str) -> None:
    long = "x" * (33 << 20)
    content = f"{long},b\n1,2\n" if where == "header" else f"a,b\n1,{long}\n3,4\n"
    converted = attempt(content.encode(), "csv", chunk=1 << 20)

    assert converted.warnings == []
    assert [list(row.values())[-1] for row in converted.rows] == (["2"] if where == "header" else [long, "4"])


def test_thousands_of_columns() -> None:
    names = [f"c{number}" for number in range(5_000)]
    row = [str(number) for number in range(5_000)]
    table = convert(f"{','.join(names)}\n{','.join(row)}\n".encode(), "csv")

    assert list(table.to_pylist()[0].values()) == row


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"a\n" + b"," * 20_001, "row 1 has more than 20,000 cells"),
        (b"," * 20_001 + b"\n", "more than 20,000"),
    ],
    ids=["row", "header"],
)
def test_too_many_columns_are_left_as_they_came(content: bytes, why: str) -> None:
    converted = attempt(content, "csv", chunk=100_000)

    assert converted.table is None
    assert why in converted.warnings[0]


def test_a_quote_that_is_not_closed_takes_no_more_memory_than_a_row_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK", 1000)
    monkeypatch.setattr(source, "LONGEST_ROW", 10_000)
    converted = attempt(b'a,b\n1,"2\n' + b"3,4\n" * 10_000, "csv")

    assert converted.table is None
    assert "a row has more than 10,000 characters: is a quote not closed?" in converted.warnings[0]


@pytest.mark.parametrize("block", [200, 5_000, source.BLOCK])
def test_many_blocks(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(source, "BLOCK", block)
    rows = [[str(number), f'x "{number}"\n' * (number % 3), "é" * (number % 5)] for number in range(500)]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b", "c"], *rows])
    for ending in ("", "ragged"):
        converted = attempt((text.getvalue() + ending).encode(), "csv")
        assert [list(row.values()) for row in converted.rows][:500] == rows
        assert converted.table.num_rows == 500 + bool(ending)


def refused(_: CsvText) -> Iterator[Any]:
    raise pa.ArrowInvalid("not as regular as it should be")


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(["a", "1", ",", ",", "\n", "\n", "\r\n", '"', '"', " ", "é", "\0"]), max_size=25))
def test_python_and_pyarrow_read_the_same(parts: list[str]) -> None:
    content = "".join(["h,i\n", *parts]).encode()
    expected = attempt(content, "csv")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvText, "_by_arrow", refused)
        assert attempt(content, "csv").table.equals(expected.table)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=2, max_size=2)))
def test_what_a_writer_of_csv_writes_comes_back(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([["a", "b"], *rows])

    assert [list(row.values()) for row in attempt(text.getvalue().encode(), "csv").rows] == rows
