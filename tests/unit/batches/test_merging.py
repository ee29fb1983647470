"""The rows of many files as one file: each row once, in order, under one header."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from contextlib import contextmanager
from functools import partial
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError
from airflow_provider_sixtyfour.batches.merging import merge
from airflow_provider_sixtyfour.batches.rejects import NoRejects
from airflow_provider_sixtyfour.batches.sources import open_source


class Target(BytesIO):
    def start_over(self):
        self.seek(0)
        self.truncate()


@contextmanager
def opened(number, content, extension):
    name = f"{number}.{extension}"
    with BytesIO(content) as stream:
        yield open_source(stream, name, rejects=NoRejects(name))
        assert not stream.read(), "not read to its end"


def merged(*contents, extension="csv"):
    """Return the merged file, after a look whether what is told of it is true."""
    target = Target()
    made = merge([partial(opened, number, content, extension) for number, content in enumerate(contents)], target)
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
    ],
)
def test_csv(contents, expected):
    assert merged(*contents) == expected


def test_json_lines_are_put_one_after_the_other():
    first, second = b'{"a": 1}\n{"b": [2]}', b'\n{"a": "\xc3\xa4"}\n'

    assert merged(first, second, extension="ndjson") == b'{"a": 1}\n{"b": [2]}\n{"a": "\xc3\xa4"}\n'


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        ([b"a,a\n1,2\n", b"b\n3\n"], "0.csv"),
        ([b"a\n1\n", b"b,b\n3,4\n"], "1.csv"),
        ([b"a\n1\n", b"a\n1,2\n"], "1.csv, line 2"),
        ([b"a\n1\n", b'a\n"1\n'], "1.csv, line 2"),
        ([b"a\n1\n", b""], "1.csv"),
    ],
)
def test_what_would_be_wrong_is_an_error_that_names_the_file(contents, named):
    with pytest.raises(SixtyfourInputError, match=named):
        merged(*contents)


def test_a_broken_line_of_json_is_named():
    with pytest.raises(SixtyfourInputError, match=r"1\.ndjson, line 1"):
        merged(b'{"a": 1}\n', b"[1]\n", extension="ndjson")


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
