from __future__ import annotations

import csv
import io
import json
import pickle
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.formats.row_count import JsonRows
from airflow_provider_sixtyfour.formats.table import FORMATS
from tests.unit.api.properties import searched

cells = st.text(max_size=6) | st.text(alphabet="a\",\n\r'; \t\ufeff\\é😀\u2028\x85", max_size=8)
tables = st.lists(st.lists(cells, min_size=0, max_size=4), max_size=6)
cuts = st.lists(st.integers(0, 400), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
    | st.text(alphabet='[]{},"\\\n:', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def count(format: str, content: bytes, at: list[int]) -> int | None:
    counter = FORMATS[format].counter()
    start = 0
    for stop in [*sorted(min(cut, len(content)) for cut in at), len(content)]:
        counter.feed(content[start:stop])
        start = stop
    return counter.rows()


@searched
@given(tables, st.sampled_from(["\r\n", "\n"]), st.sampled_from(["utf-8", "utf-8-sig"]), st.booleans(), cuts)
@example([["a"], ["b\r\nc"]], "\r\n", "utf-8", True, [1, 5, 6, 7, 8])
@example([["a"], [""], ["x"]], "\n", "utf-8", False, [])
def test_rows_of_csv_are_what_a_reader_sees(
    table: list[list[str]], line_end: str, encoding: str, quotes_all: bool, at: list[int]
):
    text = io.StringIO(newline="")
    # Older writers leave a lone carriage return unquoted when lines end otherwise.
    quoting = csv.QUOTE_ALL if quotes_all or line_end == "\n" else csv.QUOTE_MINIMAL
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows(table)
    content = text.getvalue().encode(encoding)
    read = [row for row in csv.reader(io.StringIO(content.decode(encoding), newline="")) if row]
    assert count("csv", content, at) == max(0, len(read) - 1)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"", 0),
        (b"\xef\xbb\xbf", 0),
        (b"a,b\n", 0),
        (b"a,b", 0),
        (b"a,b\n1,2", 1),
        (b"a,b\n1,2\n", 1),
        (b"a,b\r\n1,2\r\n\r\n3,4\r\n", 2),
        (b"a\r1\r2\r", 2),
        (b'a,b\n"1\n2","3\r\n4"\n"5","say ""hi\n"""\n', 2),
        (b'a\n""\n""\n', 2),
        (b"a\n \n", 1),
        (b'a,b\n1,5" pipe\n2,x\n3,y\n', 3),
        (b'a,b\n1,5" x 6"\n2,5" pipe\n3,"y\n"\n\n"4","z"\n', 4),
        (b'a,b\n1,"x"y\n2,z"\n3,"w"\n', 3),
        (b'a,b\n"1"," x\n2,5\n', 1),
        (b'a,b\n1,""x\n"2",y\n', 2),
    ],
)
def test_rows_of_csv(content: bytes, rows: int):
    for step in (1, 2, 3, 1000):
        assert count("csv", content, list(range(0, len(content), step))) == rows


@searched
@given(st.text(alphabet='a",\n', max_size=40), cuts)
def test_rows_of_csv_are_what_a_reader_sees_whatever_is_in_the_file(text: str, at: list[int]):
    read = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
    assert count("csv", text.encode(), at) == max(0, len(read) - 1)


@searched
@given(st.lists(st.dictionaries(st.text(max_size=4), json_values, max_size=3), max_size=6), st.booleans(), cuts)
def test_rows_of_ndjson_are_its_lines(rows: list[Any], is_ascii: bool, at: list[int]):
    lines = [json.dumps(row, ensure_ascii=is_ascii) for row in rows]
    for end, last in (("\n", "\n"), ("\r\n", "\r\n"), ("\n", ""), ("\n\n", "\n \n")):
        content = (end.join(lines) + last).encode("utf-8", "surrogatepass")
        assert count("ndjson", content, at) == len(rows)


@searched
@given(json_values | st.lists(json_values, max_size=6), st.sampled_from([None, 2]), st.booleans(), st.booleans(), cuts)
@example(["\\", '"', "\\\\", '\\"', ""], None, True, False, list(range(60)))
@example([[]], None, True, True, [0, 1, 2, 3])
def test_rows_of_json_are_the_values_of_its_array(
    value: Any, indent: int | None, is_ascii: bool, has_mark: bool, at: list[int]
):
    content = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    if has_mark:
        content = b"\xef\xbb\xbf \n" + content + b"\n"
    assert count("json", content, at) == (len(value) if isinstance(value, list) else None)


@pytest.mark.parametrize(
    ("content", "rows"),
    [(b"", None), (b"  ", None), (b"[]", 0), (b" [ \n ] ", 0), (b'[{"a": "],["}, [1, [2]], "\\\\"]', 3), (b"{}", None)],
)
def test_rows_of_json(content: bytes, rows: int | None):
    for step in (1, 2, 3, 1000):
        assert count("json", content, list(range(0, len(content), step))) == rows


@pytest.mark.parametrize(("depth", "rows"), [(1_000, 2), (1_400, None), (5_000, None)])
@pytest.mark.parametrize("step", [100, 10_000], ids=["in pieces", "in one"])
def test_json_is_counted_down_to_a_depth(depth: int, rows: int | None, step: int):
    content = b"[" + b"[" * depth + b"1,2" + b"]" * depth + b",[3,4]]"
    assert count("json", content, list(range(0, len(content), step))) == rows


def test_a_long_list_in_a_row_takes_no_memory():
    counter = JsonRows()
    counter.feed(b'[{"a": [1')
    for _ in range(100):
        counter.feed(b",1" * 1_000)
    assert len(pickle.dumps(counter)) < 1_000
    counter.feed(b"]}, 2]")
    assert counter.rows() == 2
