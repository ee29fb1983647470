"""What isn't separated by commas, or isn't CSV at all, is refused by name, or converted where that is asked for."""

from __future__ import annotations

import csv
import gzip
import io
import re
import time
import zipfile
from unittest.mock import patch

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats import records, sniffing
from airflow_provider_sixtyfour.formats.input_formats import check_delimiter
from tests.unit.api.properties import searched
from tests.unit.batches.folders import Split
from tests.unit.batches.test_split_csv import blocks, cells

TEXT = "A bakery; it bakes | sells\tbread, rolls"

SEPARATED = [
    ("semicolons", ";", b"company;revenue\nAcme;5\nOther;6\n"),
    ("semicolons", ";", b"company;revenue\n"),
    ("semicolons", ";", b"company;revenue"),
    ("semicolons", ";", b"company;revenue\nAcme;1,5\nOther;2,5\n"),
    ("semicolons", ";", b"company;revenue\nAcme;1,5\nOther;3\n"),
    ("semicolons", ";", b"company;revenue, EUR;city\nAcme;1,5;Berlin\nOther;2,5;Paris\n"),
    ("semicolons", ";", b"company;revenue, EUR\nAcme;1,5\n"),
    ("semicolons", ";", b"company;city, country;x\nAcme;Berlin, DE;5\nOther;Paris, FR;6\n"),
    ("semicolons", ";", b"company;note, long\nAcme;a\nOther;b, c, d\n"),
    ("semicolons", ";", b'"company";"revenue"\r\n"Acme; Ltd";"1,5"\r\n'),
    ("semicolons", ";", b"\xef\xbb\xbfcompany;revenue\r\nAcme;1\r\n"),
    ("semicolons", ";", b"\n\ncompany;revenue\nAcme;1\n"),
    ("semicolons", ";", b"company (a, b);revenue (EUR, net)\nAcme;1,5\n"),
    ("tabs", "tab", b"company\trevenue\nAcme\t5\n"),
    ("tabs", "tab", b"company\taddress\nAcme\tRoad 1, Town\nOther\tRoad 2, Town, Land\n"),
    ("tabs", "tab", b"company\taddress, city\nAcme\tRoad 1, Town\nOther\tRoad 2, Town\n"),
    ("bars", "|", b"company|revenue\nAcme|5\n"),
    ("the character '^'", "^", b"company^revenue\nAcme^5\n"),
    ("the character '~'", "~", b"company~revenue\nAcme~5\n"),
    ("the character '\\x1f'", "\x1f", b"company\x1frevenue\nAcme\x1f5\n"),
]


@pytest.mark.parametrize(("called", "delimiter", "content"), SEPARATED)
@pytest.mark.parametrize("rejecting", [False, True])
def test_another_separator_is_refused_by_name_and_what_is_advised_works(called, delimiter, content, rejecting):
    with pytest.raises(SixtyfourInputError) as caught:
        Split(content, rejecting=rejecting)

    message = str(caught.value)
    assert message.startswith(
        f"Separated by {called}; this provider reads commas: convert the file, or pass delimiter="
    )
    assert f"delimiter={delimiter!r}" in message
    assert message.endswith("leads.csv, line 1.")
    done = Split(content, delimiter=delimiter)
    [reader] = [csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=check_delimiter(delimiter))]
    rows = [row for row in reader if row]
    assert done.all_rows() == rows[1:]
    assert list(csv.reader(io.StringIO(done.header.decode()))) == rows[:1]


@pytest.mark.parametrize(
    "content",
    [
        b"company\nAcme\nOther\n",
        b"company\nAcme; Sons\nOther; Daughters\n",
        b"cost in k\n~5\n~7\n",
        f'company\n"{TEXT}"\n"{TEXT}"\n'.encode(),
        f'"notes; long"\n"{TEXT}"\n'.encode(),
        b"tags\na|b|c\nd|e|f\n",
        b"company (name; short)\nAcme\nOther\n",
        b"company; or its site\nAcme\nOther\nThird\n",
        b"name,tags (a;b)\nAcme,x;y\nOther,u;v\n",
        b"name,a|b\nAcme,x|y\nOther,u|v\n",
        b"name,tags\nAcme,x;y\nOther,u;v\n",
        b"name,notes\n" + f'Acme,"{TEXT}"\n'.encode() * 3,
        b"x,y\n1,2\n3,4\n",
        b"id,value [a;b]\n1,2;3\n4,5;6\n",
        b"name;x,phone\nAcme,1\nOther,2\n",
        b"company\n",
        b"name,email,\nAcme,a@x,\n",
    ],
)
def test_what_has_commas_or_one_column_stays_as_it_is(content):
    done = Split(content)

    assert done.header + b"".join(one.removeprefix(done.header) for one in done.contents) == content


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_what_is_found_depends_on_the_file_alone(block):
    for called, _, content in SEPARATED:
        with patch.object(records, "BLOCK", block), pytest.raises(SixtyfourInputError, match=re.escape(called)):
            Split(content)


def test_a_comma_that_is_asked_for_is_not_doubted():
    assert Split(b"a;b\nx;y\n", delimiter=",").contents == [b"a;b\nx;y\n"]
    assert Split(b"a;b\nx;y\n", delimiter="comma").contents == [b"a;b\nx;y\n"]


@pytest.mark.parametrize(
    ("content", "delimiter", "message"),
    [
        (b"company,revenue\nAcme,5\n", ";", "Separated by commas, not by semicolons: leave delimiter out"),
        (b"company\trevenue\nAcme\t5\n", ";", "Separated by tabs, not by semicolons: pass delimiter='tab'"),
        (b'a;b\n1,5;"x"y\n', ";", "Line 2: in the row that begins here there is text"),
        (b'a;b\n1;2\n1,5"b";2\n', ";", "Line 3: in the row that begins here there is text"),
        (b'a;b\nx,"y";2\n', ";", "Line 2: in the row that begins here there is text"),
        (b"a;b\n1;2\n1,5\n", ";", "Line 3: the header has 2 cells, this row 1"),
        (b'a;b\n"1\n;";2\n1,5;2;3\n', ";", "Line 4: the header has 2 cells, this row 3"),
        (b"a;b\n1;2\n\0;3\n", ";", "Line 3: a NUL byte"),
    ],
)
def test_what_can_not_be_converted_is_named(content, delimiter, message):
    with pytest.raises(SixtyfourInputError, match=re.escape(message)):
        Split(content, delimiter=delimiter)


@pytest.mark.parametrize(
    ("content", "advised"),
    [
        (b"sep=;\r\na;b\r\n1;2\r\n", ";"),
        (b"sep=,\na,b\n1,2\n", ","),
        (b"\xef\xbb\xbfsep=,\r\na,b\r\n1,2\r\n", ","),
        (b'"sep=;"\na;b\n1;2\n', ";"),
        (b"SEP=\t\na\tb\n1\t2\n", "tab"),
    ],
)
def test_the_line_that_only_excel_reads_is_left_out_where_the_separator_is_given(content, advised):
    with pytest.raises(
        SixtyfourInputError, match=r"^The first line is 'sep=.{1,2}', which only Excel reads: remove it"
    ):
        Split(content)
    with pytest.raises(SixtyfourInputError, match="The first line is 'sep="):
        Split(content, delimiter="|")

    done = Split(content, delimiter=advised)

    assert done.header.rstrip() == b"a,b"
    assert done.all_rows() == [["1", "2"]]
    broken = content.replace(b"1", b"1\n2")
    with pytest.raises(SixtyfourInputError, match="Line 3: the header has 2 cells, this row 1"):
        Split(broken, delimiter=advised)


def workbook():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("xl/workbook.xml"), "<x/>")  # else it has the time of its writing
    return packed.getvalue()


@pytest.mark.parametrize("name", ["leads.csv", "leads.ndjson"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "The file is an HTML page"),
        (b"\xef\xbb\xbf\r\n <html lang='en'>\n", "The file is an HTML page"),
        (b"<!-- saved -->\n<p>\n", "The file is an HTML page"),
        (b"<table><tr><td>company\n", "The file is an HTML page"),
        (b"<p>Not found</p>\n", "The file is an HTML page"),
        (b"<ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>\n<Name>b</Name>\n", "The file is XML"),
        (b"<leads>\n  <lead/>\n</leads>\n", "The file is XML"),
        (b"<Message>Access Denied</Message>", "The file is XML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "The file is a pointer of Git LFS"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>\n', "The file is XML"),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), "The file is compressed with gzip"),
        (workbook(), "The file is a ZIP archive or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "The file is an old Excel workbook"),
        (b"PAR1\x15\x04", "The file is Parquet"),
        (b"%PDF-1.7\n", "The file is a PDF"),
        ("a,b\n1,2\n".encode("utf-16"), "the file is UTF-16"),
        ("a,b\n1,2\n".encode("utf-16-le"), "a NUL byte"),
    ],
)
def test_another_kind_of_file_is_refused_whatever_its_name(content, message, name):
    for rejecting in (False, True):
        with pytest.raises(SixtyfourInputError, match=message):
            Split(content, name, rejecting=rejecting)


@pytest.mark.parametrize(
    "content", [b'[{"company": "Acme"}]\n', b'[\n{"company": "Acme"}\n]\n', b'{"company": "Acme"}\n', b'{\n"a": 1\n}']
)
def test_json_that_is_called_csv_is_refused(content):
    with pytest.raises(SixtyfourInputError, match="The file is JSON, not CSV"):
        Split(content)


def test_headers_in_brackets_are_no_json():
    assert Split(b"[id],[name]\n1,2\n").rows == [1]
    assert Split(b"{id},{name}\n1,2\n").rows == [1]
    assert Split(b"<id>,<name>\n1,2\n").rows == [1]


@pytest.mark.parametrize(
    "content", [b'[{"a": 1}, {"a": 2}]', b'[\n{"a": 1},\n{"a": 2}\n]\n', b'\xef\xbb\xbf[\n  {\n    "a": 1\n  }\n]\n']
)
def test_an_array_that_is_called_json_lines_is_refused_even_where_lines_may_be_rejected(content):
    for rejecting in (False, True):
        with pytest.raises(SixtyfourInputError, match=r"The file is a JSON array\. Write one object a line instead"):
            Split(content, "leads.ndjson", rejecting=rejecting)


@pytest.mark.parametrize(
    "content", [b",,\n1,2,3\n", b'""\n1\n', b" , \n1,2\n", b"---\nname: a\n", b"+-----+\n: name :\n+-----+\n: Acme :\n"]
)
def test_a_header_without_a_name_is_refused(content):
    with pytest.raises(SixtyfourInputError, match="Line 1: the header names no column"):
        Split(content)


@pytest.mark.parametrize(
    "value",
    ["", "ab", "a", "7", '"', "\n", "\r", "\0", "\uff1b", 7, b";", ["tab"], True],
    ids=lambda value: repr(value),
)
def test_what_can_not_separate_is_refused(value):
    with pytest.raises(SixtyfourInputError, match="delimiter should be one character"):
        check_delimiter(value)


@pytest.mark.parametrize(
    ("given_", "delimiter"), [("tab", "\t"), ("TAB", "\t"), ("\t", "\t"), ("\\t", "\t"), (None, None)]
)
def test_separators_have_names(given_, delimiter):
    assert check_delimiter(given_) == delimiter


@st.composite
def tables(draw):
    width = draw(st.integers(1, 4))
    rows = st.lists(st.lists(cells, min_size=width, max_size=width), max_size=12)
    return [[f"column {number}" for number in range(width)], *draw(rows)]


@searched
@given(
    tables(),
    st.sampled_from([";", "\t", "|", "\x1f", "^", "-", "]", "\\", " "]),
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\r\n", csv.QUOTE_ALL), ("\n", csv.QUOTE_ALL)]),
    blocks,
    st.integers(1, 8),
)
def test_every_cell_comes_through_the_conversion(rows, delimiter, style, block, most_rows):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator=style[0], quoting=style[1]).writerows(rows)
    content = text.getvalue().encode()
    with patch.object(records, "BLOCK", block), patch.object(sniffing, "LOOKED_AT", max(block, 50)):
        done = Split(content, delimiter=delimiter, limits=Limits(rows=most_rows))

    assert done.all_rows() == rows[1:]
    assert done.folder.files == Split(content, delimiter=delimiter, limits=Limits(rows=most_rows)).folder.files


@searched
@given(st.text(alphabet='a";,\n\r é', max_size=40), blocks)
def test_whatever_is_converted_is_read_as_another_reader_reads_it_or_refused(text, block):
    content = b"x;y\n" + text.encode()
    try:
        with patch.object(records, "BLOCK", block):
            done = Split(content, delimiter=";")
    except SixtyfourInputError as error:
        if not re.search(r"^Line \d+: |leads\.csv, line 1\.$", str(error)):
            raise
        event("an error")
    else:
        assert done.all_rows() == [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=";") if row]
        event("converted")


@searched
@given(tables())
def test_a_header_that_holds_no_other_separator_is_never_doubted(rows):
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    assume(not any("\r" in cell for row in rows for cell in row))

    assert Split(text.getvalue().encode()).all_rows() == rows[1:]


def test_a_long_cell_is_converted_in_linear_time():
    row = b"x" * 200_000 + b";1,5\n"
    began = time.process_time()

    assert Split(b"a;b\n" + row, delimiter=";").rows == [1]
    assert time.process_time() - began < 1
