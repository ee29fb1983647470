"""Every row of a CSV file is in exactly one batch; or the error names the line."""

from __future__ import annotations

import csv
import io
import re
from unittest.mock import patch

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats import csv_records
from airflow_provider_sixtyfour.formats import records as pieces
from airflow_provider_sixtyfour.formats.reader import open_source
from airflow_provider_sixtyfour.formats.rejects import NoRejects
from tests.unit.api.properties import searched
from tests.unit.batches.folders import Split, table

# What a cell may hold: all but NUL, which the standard library refuses, and half surrogate pairs, which UTF-8 does.
cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6) | st.text(
    alphabet="a\",\n\r'; \té😀\ufeff\u2028\x85", max_size=8
)
blocks = st.sampled_from([1, 2, 3, 7, 50, 128 * 1024])


@st.composite
def tables(draw):
    width = draw(st.integers(1, 4))
    rows = st.lists(st.lists(cells, min_size=width, max_size=width), max_size=12)
    return [[f"column {number}" for number in range(width)], *draw(rows)]


def written(rows, line_end="\r\n", quoting=csv.QUOTE_MINIMAL, mark=False, last_end=True):
    """Write a table as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows(rows)
    content = text.getvalue() if last_end or len(rows) == 1 else text.getvalue().removesuffix(line_end)
    return content.encode("utf-8-sig" if mark else "utf-8")


def split(content, block=128 * 1024, **more):
    with patch.object(pieces, "BLOCK", block):
        return Split(content, **more)


@searched
@given(
    tables(),
    # Before Python 3.13 a lone carriage return is only put in quotes if lines end in one, or all cells are.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]),
    st.booleans(),
    st.booleans(),
    blocks,
    st.integers(1, 8),
    st.integers(0, 60),
)
@example([["a"], [""], ["x"]], ("\n", csv.QUOTE_MINIMAL), True, True, 1, 1, 0)
@example([["a", "b"], ['say "', '\r\n"']], ("\r\n", csv.QUOTE_MINIMAL), True, False, 1, 8, 0)
def test_every_row_is_in_exactly_one_batch(rows, style, mark, last_end, block, most_rows, spare):
    content = written(rows, *style, mark, last_end)
    records = [written([row], *style) for row in rows]
    most_bytes = len(records[0]) + max(map(len, records)) + 1 + spare

    done = split(content, block, limits=Limits(rows=most_rows, bytes=most_bytes))

    assert done.all_rows() == rows[1:]
    assert [len(one) for one in done.tables()] == done.rows
    assert all(batch["rows"] <= most_rows and batch["bytes"] <= most_bytes for batch in done.batches)
    # Each batch is as large as its limits let it be.
    for one, following in zip(done.contents, done.contents[1:], strict=False):
        first = first_record(following.removeprefix(done.header))
        assert len(table(one)) - 1 == most_rows or len(one) + len(first) > most_bytes
    # However the file comes in, the batches are the same.
    assert split(content, limits=Limits(rows=most_rows, bytes=most_bytes)).folder.files == done.folder.files
    event(f"batches: {min(len(done.batches), 4)}")


def first_record(content):
    record = b""
    for line in content.splitlines(keepends=True):
        record += line
        if record.endswith(b"\n") and record.count(b'"') % 2 == 0:
            return record
    raise AssertionError("no end")


@searched
@given(st.text(alphabet='a",\n\r é', max_size=40), blocks, st.integers(1, 5))
@example('"\n', 1, 1)
@example('a"\n"', 3, 1)
@example('"a"a,\n', 3, 1)
@example("a\r\n\r\n\r", 1, 1)
@example('""\r', 2, 1)
def test_whatever_is_in_a_file_it_ends_right_or_with_an_error_that_names_the_line(text, block, most_rows):
    content = b"x,y\n" + text.encode()
    try:
        done = split(content, block, limits=Limits(rows=most_rows))
    except SixtyfourInputError as error:
        [line] = re.findall(r"^Line (\d+): ", str(error))
        assert 2 <= int(line) <= content.count(b"\n") + 1
        event("an error")
    else:
        assert done.all_rows() == table(content)[1:]
        assert all(len(row) == 2 for one in done.tables() for row in one)
        event(f"rows: {sum(done.rows)}")


@searched
@given(st.binary(max_size=30), blocks)
def test_whatever_the_bytes_are(content, block):
    try:
        done = split(content, block)
    except SixtyfourInputError as error:
        if not re.search(r"^Line \d+: |, line 1\.$|^The file is empty", str(error)):
            raise
    else:
        assert done.all_rows() == table(content)[1:]


@searched
@given(tables(), st.lists(st.integers(0, 11)), blocks)
def test_ragged_rows_are_rejected_and_all_others_kept(rows, ragged, block):
    """One by one, whichever they are: the others' batches are those of a file without them."""
    width = len(rows[0])
    spoiled = {1 + number for number in ragged if 1 + number < len(rows)}
    lengthened = [[*row, "more"] if number in spoiled else row for number, row in enumerate(rows)]

    done = split(written(lengthened), block, rejecting=True, limits=Limits(rows=3))

    kept = [row for number, row in enumerate(rows) if number not in spoiled]
    assert done.folder.files == split(written(kept), limits=Limits(rows=3)).folder.files
    assert done.all_rows() == kept[1:]
    assert len(done.rejects) == len(spoiled)
    assert {entry["reason"] for entry in done.rejects} <= {f"the header has {width} cells, this row {width + 1}"}
    if spoiled:
        with pytest.raises(SixtyfourInputError, match=f"Line {done.rejects[0]['line']}: the header has {width} cells"):
            split(written(lengthened), block)


# The chunks, compared with a slow reference that reads byte by byte.


@searched
@given(st.text(alphabet='a",\n\r é', max_size=40).map(str.encode))
@example(b"")
@example(b'"\n"\n"\n')
@example(b'a\n""\n"')
@example(b'\n"",""')
def test_a_record_ends_at_a_line_feed_that_an_even_number_of_quotes_precedes(data):
    offsets = [at + 1 for at, one in enumerate(data) if one == 10 and data.count(b'"', 0, at) % 2 == 0]
    end = max(offsets, default=0)
    opening = [at for at, one in enumerate(data) if one == 34 and data.count(b'"', 0, at) % 2 == 0]
    outside = bytes(
        one for at, one in enumerate(data[:end]) if at in opening or (one != 34 and data.count(b'"', 0, at) % 2 == 0)
    )

    ends, outlined = csv_records.record_ends(data)

    assert (len(ends), ends.last) == (len(offsets), end)
    assert outlined == outside == csv_records.outline(data[:end])
    assert not ends or ends.first == offsets[0]
    assert ends.offsets == offsets
    assert pieces.line_feeds(data) == data.count(b"\n")
    event(f"ends: {min(len(offsets), 4)}")


@searched
@given(st.text(alphabet='a",\n\r', max_size=12), st.integers(1, 3), blocks)
@example('a"b\n', 1, 1)
@example('""a\n', 1, 1)
@example('"a"""\n', 1, 1)
@example('"a"\r\n', 1, 1)
@example('"a"\r"b"\n', 1, 1)
@example("a,a,a\na\n", 2, 1)
@example(",a\n,\n", 2, 100)
def test_a_file_is_taken_exactly_if_it_follows_the_grammar(text, width, block):
    cell = r'(?:[^",\r\n]*|"(?:[^"]|"")*")'
    row = f"{cell}(?:,{cell}){{{width - 1}}}"
    text += "" if text.endswith(("\n", "\r")) else "\n"
    follows = re.fullmatch(rf"(?:(?:{row})?(?:\r?\n|\r\Z))*", text) is not None
    content = (",".join("xyz"[:width]) + "\n" + text).encode()
    try:
        split(content, block)
    except SixtyfourInputError:
        assert not follows
        event("refused")
    else:
        assert follows
        event("taken")


# One by one


@pytest.mark.parametrize(
    ("content", "batches"),
    [
        (b"a,b\n", []),
        (b"a,b", []),
        (b"\xef\xbb\xbfa,b\r\n\r\n", []),
        (b"a,b\n1,2\n3,4\n5,6\n", [b"a,b\n1,2\n3,4\n", b"a,b\n5,6\n"]),
        (b"a,b\n1,2\n3,4\n5,6", [b"a,b\n1,2\n3,4\n", b"a,b\n5,6\n"]),
        (b"a,b\r\n1,2\r\n3,4\r\n5,6", [b"a,b\r\n1,2\r\n3,4\r\n", b"a,b\r\n5,6\r\n"]),
        (b"a,b\r\n1,2\r", [b"a,b\r\n1,2\r\n"]),
        (b"\xef\xbb\xbfa,b\n1,2\n", [b"a,b\n1,2\n"]),
        (b"\n\na,b\n\n1,2\n\n\n3,4\n\n5,6\n\n", [b"a,b\n1,2\n3,4\n", b"a,b\n5,6\n"]),
        (b"a\n1\n\n2\n3\n", [b"a\n1\n2\n", b"a\n3\n"]),
        (b'a\n""\n"\n"\n3\n', [b'a\n""\n"\n"\n', b"a\n3\n"]),
        (b'a,b\n"1\n\n1","2\r\n"\n3,"4,""5"""\n5,6\n', [b'a,b\n"1\n\n1","2\r\n"\n3,"4,""5"""\n', b"a,b\n5,6\n"]),
        ("é,ü\n東,京\n".encode(), ["é,ü\n東,京\n".encode()]),
        (b'"a\nb",c\n1,2\n', [b'"a\nb",c\n1,2\n']),
        (b"a,a,\n1,2,3\n", [b"a,a,\n1,2,3\n"]),
    ],
)
def test_batches_hold_the_very_bytes(content, batches):
    for block in (1, 2, 3, 5, 1000):
        assert split(content, block, limits=Limits(rows=2)).contents == batches


HEADER = b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        (HEADER + b"3\n", 3, "the header has 2 cells, this row 1"),
        (HEADER + b"3,4,5\n6\n", 3, "the header has 2 cells, this row 3"),
        (HEADER + b'"3\n\n3",4\n5,6\n7,8,9\n', 7, "the header has 2 cells, this row 3"),
        (HEADER + b"\n\n5\n", 5, "the header has 2 cells, this row 1"),
        (HEADER + b'3,5" pipe\n4,5\n', 3, "text before an opening quote or after a closing one"),
        (HEADER + b'3,5" pipe\n4,"x"\n', 3, "text before an opening quote or after a closing one"),
        (HEADER + b'3,5" x 6" board\n', 3, "text before an opening quote"),
        (HEADER + b'3,"a" \n', 3, "text before an opening quote or after a closing one"),
        (HEADER + b'3, "a"\n', 3, "text before an opening quote"),
        (HEADER + b'3,4\n"5\n6,7\n8,9\n', 4, "a quoted cell begins here and isn't closed within 11 bytes"),
        (HEADER + b'"3\n""\n3","4\n5', 5, "a quoted cell begins here"),
        (HEADER + b"3\r4,5\n", 3, "a carriage return outside quotes"),
        (b"a,b\r1,2\r3,4\r", 1, "a carriage return outside quotes"),
        (HEADER + b"3,\0\n", 3, "a NUL byte. The file should be text in UTF-8"),
        (HEADER + b"3,4\n5,\xff\n", 4, "not UTF-8 (invalid start byte)"),
        (HEADER + b'"3\n3",4\n5,\xe9t\xe9\n', 5, "not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), 1, "the file is UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-be"), 1, "a NUL byte"),
        (b'a,"b\n1,2\n', 1, "a quoted cell begins here"),
        (b'a,b"c"\n1,2\n', 1, "in the header there is text before an opening quote"),
    ],
)
def test_an_error_names_the_line(content, line, message):
    for block in (1, 3, 1000):
        with pytest.raises(SixtyfourInputError, match=re.escape(f"Line {line}: ")) as caught:
            split(content, block)
        assert message in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(content):
    with pytest.raises(SixtyfourInputError, match=r"^The file is empty: a CSV file begins with a line of column"):
        split(content)


def test_a_row_that_is_larger_than_a_batch_is_an_error():
    content = b"a,b\n1,2\n" + b'"' + b"x" * 50 + b'\n",2\n'
    assert split(content, limits=Limits(bytes=60)).rows == [1, 1]

    with pytest.raises(
        SixtyfourInputError, match=r"Line 3: this row has 56 bytes and the header 4: more than the 59 of"
    ):
        split(content, limits=Limits(bytes=59))


@pytest.mark.parametrize("block", [1000, 128 * 1024])
def test_a_row_that_does_not_end_is_not_read_into_memory(block):
    class Endless(io.BytesIO):
        def read(self, size=-1):
            taken.append(size)
            assert sum(taken) < 4 * pieces.LONGEST_RECORD, "it would be read until memory is full"
            return b"x" * size if len(taken) > 2 else super().read(size)

    for beginning, message in [
        (b"a,b\n1,2\n", "a row of more than 8 MiB begins"),
        (b'a,b\n1,"', "a quoted cell begins"),
    ]:
        taken = []
        with (
            patch.object(pieces, "BLOCK", block),
            pytest.raises(SixtyfourInputError, match=f"Line {beginning.count(10) + 1}: {message}"),
        ):
            list(open_source(Endless(beginning), "leads.csv", rejects=NoRejects("leads.csv")).chunks())
        assert sum(taken) < 2.5 * pieces.LONGEST_RECORD


def test_a_row_within_the_bound_is_kept_whatever_its_size():
    row = b'"' + b'x,""\n' * 200_000 + b'",2\n'
    done = split(b"a,b\n" + row + b"1,2\n" + row)

    assert done.contents == [b"a,b\n" + row + b"1,2\n" + row]
    assert done.rows == [3]


# Limits


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"rows": 0}, "batch_rows should be a whole number from 1 to 100,000"),
        ({"rows": 100_001}, "batch_rows"),
        ({"rows": True}, "batch_rows"),
        ({"rows": "5"}, "not '5'"),
        ({"rows": 2.0}, "batch_rows"),
        ({"bytes": 0}, "batch_bytes should be a whole number from 1 to 100,000,000"),
        ({"bytes": 100_000_001}, "batch_bytes"),
    ],
)
def test_limits_that_the_api_does_not_take(limits, message):
    with pytest.raises(SixtyfourInputError, match=re.escape(message)):
        Limits(**limits)


def test_more_rows_than_max_rows_are_refused():
    content = b"a\n" + b"x\n" * 10

    assert split(content, max_rows=10).rows == [10]
    with pytest.raises(SixtyfourInputError, match=r"There are more than the 9 rows of max_rows\. Raise it if they"):
        split(content, max_rows=9)


# Names of columns


def test_columns_get_other_names_and_rows_stay_as_they_are():
    content = b'Company Name,"Web, site",Notes\r\n"A ""B""",x , y\r\n'
    done = split(content, rename_columns={"Company Name": "company", "Web, site": "web,site"})

    assert done.contents == [b'company,"web,site",Notes\r\n"A ""B""",x , y\r\n']


def test_two_columns_may_change_places():
    assert split(b"a,b\n1,2\n", rename_columns={"a": "b", "b": "a"}).contents == [b"b,a\n1,2\n"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"c": "d"}, "There is no column 'c'; there are: 'a', 'b'. In leads.csv."),
        ({"A": "d"}, "There is no column 'A'"),
        ({"a": "b"}, "There are two columns of the name 'b'. In leads.csv."),
        ({"a": "c", "b": "c"}, "rename_columns gives two columns the name 'c'"),
        ({"a": ""}, "rename_columns should give new names by old ones"),
        ({"a": 1}, "rename_columns should give"),
        (["a"], "rename_columns should give"),
        ("a", "rename_columns should give"),
    ],
)
def test_names_that_cannot_be_meant(columns, message):
    with pytest.raises(SixtyfourInputError, match=re.escape(message)):
        split(b"a,b\n1,2\n", rename_columns=columns)


def test_a_column_that_comes_twice_is_refused_where_its_name_counts():
    content = b"a,b,a\n1,2,3\n"

    assert split(content, rename_columns={"b": "c"}).contents == [b"a,c,a\n1,2,3\n"]
    for more in ({"rename_columns": {"a": "c"}}, {"unique_by": ("a",)}, {"required": ("a",)}):
        with pytest.raises(SixtyfourInputError, match="two columns of the name"):
            split(content, **more)
