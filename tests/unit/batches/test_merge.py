"""The rows of many files as one file: each row once, in order, under one header."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches import result_rows
from airflow_provider_sixtyfour.batches.merge import merge
from airflow_provider_sixtyfour.batches.result_rows import open_result
from airflow_provider_sixtyfour.formats import sniffing


class Target(BytesIO):
    def start_over(self):
        self.seek(0)
        self.truncate()


@contextmanager
def opened(number, content, extension):
    name = f"{number}.{extension}"
    with BytesIO(content) as stream:
        yield open_result(stream, name)
        assert not stream.read(), "not read to its end"


def merged(*contents, extension="csv", columns=()):
    """Return the merged file, after a check of its reported counts."""
    target = Target()
    parts = [partial(opened, number, content, extension) for number, content in enumerate(contents)]
    made = merge(parts, target, columns)
    content = target.getvalue()
    reference = made.reference("file:///x")
    assert (reference["path"], reference["bytes"]) == ("file:///x", len(content))
    assert reference["sha256"] == hashlib.sha256(content).hexdigest()
    if extension == "csv":
        assert reference["rows"] == len(rows_of(content))
    return content


def rows_of(content):
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ([], b""),
        ([b"a,b\n1,2\n"], b"a,b\n1,2\n"),
        ([b"a,b\n1,2\n", b"a,b\n3,4\n"], b"a,b\n1,2\n3,4\n"),
        ([b"a,b\n1,2", b"a,b\n3,4"], b"a,b\n1,2\n3,4\n"),
        ([b"a,b\n", b"a,b\n3,4\n", b"a,b\n"], b"a,b\n3,4\n"),
        ([b'a,b\n"1\n,""x""",2\n', b"\xef\xbb\xbfa,b\r\n3,4\r\n"], b'a,b\n"1\n,""x""",2\n3,4\r\n'),
        ([b'"a",b\n1,2\n', b'a,"b"\n3,4\n'], b'"a",b\n1,2\n3,4\n'),
        # Other columns, or another order: all of them, and nothing under the wrong one.
        ([b"a,b\n1,2\n", b"b,a\n3,4\n"], b"a,b\n1,2\n4,3\n"),
        ([b"a\n1\n", b"b\n2\n", b"a\n3\n"], b"a,b\n1,\n,2\n3,\n"),
        ([b"a\n1\n", b'"b,c",a\n"x\ny",2\n'], b'a,"b,c"\n1,\n2,"x\ny"\n'),
        ([b"a,a\n1,2\n", b"a,a\n3,4\n"], b"a,a\n1,2\n3,4\n"),
        # A quote that is not closed swallows nothing of the parts that follow.
        ([b'a,b\n1,"x\n2,y\n', b"a,b\n3,4\n"], b'a,b\n1,"""x"\n2,y\n3,4\n'),
        ([b"a,b\n1,2\n", b'a,b\n3,"x', b"b,a\n5,4\n"], b'a,b\n1,2\n3,"""x"\n4,5\n'),
        ([b"a,b\n1,2\n", b'a,b\n3,"x\n4,y\n'], b'a,b\n1,2\n3,"x\n4,y\n'),
        ([b"a,b\r\n1,2\r", b"a,b\n3,4"], b"a,b\r\n1,2\r\n3,4\n"),
        (["a,b\n1,\xe9\n".encode("utf-16"), b"a,b\n3,4\n"], "a,b\n1,\xe9\n3,4\n".encode()),
    ],
)
def test_csv(contents, expected):
    assert merged(*contents) == expected


def test_json_lines_are_put_one_after_the_other():
    first, second = b'{"a": 1}\n{"b": [2]}', b'\n{"a": "\xc3\xa4"}\n'

    assert merged(first, second, extension="ndjson") == b'{"a": 1}\n{"b": [2]}\n{"a": "\xc3\xa4"}\n'


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        # What a reader may stumble over is copied all the same.
        ([b"a,b\n1\r,2\n", b"a,b\n3,4\n"], b"a,b\n1\r,2\n3,4\n"),
        ([b'a,b\n5" pipe,2\n', b"a,b\n3,4\n"], b'a,b\n5" pipe,2\n3,4\n'),
        ([b'a,b\n"x"y,2\n', b'a,b\n"3\n,4\n', b"a,b\n5,6\n"], b'a,b\n"x"y,2\n"""3",\n,4\n5,6\n'),
        ([b"a,b\n1\n", b"a,b\n1,2,3\n"], b"a,b\n1\n1,2,3\n"),
        ([b"a,b\n\xff,\0\n", b"\xef\xbb\xbfa,b\r\n3,4"], b"a,b\n\xff,\0\n3,4\r\n"),
        ([b"a\xff,b\n1,2\n", b"a\xff,b\n3,4\n"], b"a\xff,b\n1,2\n3,4\n"),
        ([b"a,b\r1,2\r", b"a,b\n3,4\n"], b"a,b\n1,2\n3,4\n"),
        ([b"a,b\r\n", b"a,b\n"], b"a,b\r\n"),
        ([b"a,b", b"a,b\n1,2"], b"a,b\n1,2\n"),
        ([b"", b"a,b\n1,2\n", b"\xef\xbb\xbf", b"\n"], b"a,b\n1,2\n"),
        # Also where the columns differ: a row is taken apart then.
        ([b'a,b\n5" pipe,2\n', b"b,a\n1\r,4\n"], b'a,b\n5" pipe,2\n4,"1\r"\n'),
        ([b"a,b\n1,2\n", b"b,a\n\xff,4\n"], b"a,b\n1,2\n4,\xff\n"),
        ([b"a,b\n1,2\n", b'b,a\n"x"y,"4,5"z\n'], b'a,b\n1,2\n"4,5z",xy\n'),
        ([b"a,b\n1,2\n", b"b,a\n3\n4,5,6\n"], b"a,b\n1,2\n,3\n5,4,6\n"),
        ([b"a,b\n1,2\n", b'b,a\n"3,4\n5,6\n'], b'a,b\n1,2\n4,"""3"\n6,5\n'),
        ([b"a,b\n1,2\n", b"a,b,c\n3,4,5\n"], b"a,b,c\n1,2,\n3,4,5\n"),
        ([b"a,b\n1,2\n", b"", b"b,a\n"], b"a,b\n1,2\n"),
        # Two columns of one name are two.
        ([b"a,a\n1,2\n", b"b\n3\n"], b"a,a,b\n1,2,\n,,3\n"),
        ([b"a\n1\n", b"b,b\n3,4\n"], b"a,b,b\n1,,\n,3,4\n"),
    ],
)
@pytest.mark.parametrize("block", [1, 3, 128 * 1024])
def test_rows_are_copied_whatever_is_in_them(contents, expected, block):
    with patch.object(result_rows, "BLOCK", block), patch.object(sniffing, "LOOKED_AT", max(block, 8)):
        assert content_of(*contents) == expected


def content_of(*contents, extension="csv"):
    target = Target()
    merge([partial(opened, number, content, extension) for number, content in enumerate(contents)], target)
    return target.getvalue()


@pytest.mark.parametrize("block", [1, 2, 3, 128 * 1024])
def test_lines_are_copied_whatever_is_in_them_and_blank_ones_left_out(block):
    first = b'\xef\xbb\xbf\n{"a": "\\ud83d"}\r\n \t\r\n\n{broken\n[1]\n   {"b": 1}  \n \n'
    second = b'\n\n \xff\n{"c": NaN}\n\t'
    third = b'  "last"'

    with patch.object(result_rows, "BLOCK", block), patch.object(sniffing, "LOOKED_AT", max(block, 8)):
        made = content_of(first, b"", second, third, extension="ndjson")

    assert made == (b'{"a": "\\ud83d"}\r\n{broken\n[1]\n   {"b": 1}  \n \xff\n{"c": NaN}\n  "last"\n')


def test_without_a_row_there_is_a_header_where_the_columns_are_known():
    assert merged(columns=("a", "b,c")) == b'a,"b,c"\n'
    assert merged(b"", columns=("a",)) == b"a\n"
    assert merged(b"x\n", columns=("a",)) == b"x\n"
    assert merged() == b""


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=4)
HEADS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)


@st.composite
def tables(draw):
    head = draw(HEADS)
    return [
        dict(zip(head, cells, strict=True)) for cells in draw(st.lists(st.tuples(*[CELLS] * len(head)), max_size=4))
    ], head


def written(rows, head):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, head, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@given(st.lists(tables(), min_size=1, max_size=4))
def test_each_row_of_each_part_is_there_once_in_order(parts):
    content = merged(*(written(rows, head) for rows, head in parts))

    columns = list(dict.fromkeys(name for _, head in parts for name in head))
    assert rows_of(content) == [{name: row.get(name, "") for name in columns} for rows, _ in parts for row in rows]


@given(st.lists(st.lists(st.dictionaries(st.text(max_size=3), st.integers()), max_size=3), max_size=4))
def test_each_object_of_each_part_is_there_once_in_order(parts):
    contents = ["".join(json.dumps(row) + "\n" for row in rows).encode() for rows in parts]

    assert merged(*contents, extension="jsonl") == b"".join(contents)
