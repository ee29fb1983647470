"""Every JSON line, and every row of another task, is in exactly one batch; or the error names the line."""

from __future__ import annotations

import json
import re
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats import records as pieces
from airflow_provider_sixtyfour.formats.ndjson_rows import lines_of
from airflow_provider_sixtyfour.formats.reader import open_rows
from airflow_provider_sixtyfour.formats.rejects import NoRejects
from tests.unit.api.properties import searched
from tests.unit.batches.folders import Split

names = st.text(max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=5,
)
rows = st.lists(st.dictionaries(names, values, max_size=4), max_size=12)


def split(content, block=128 * 1024, name="leads.ndjson", **more):
    with patch.object(pieces, "BLOCK", block):
        return Split(content, name, **more)


@searched
@given(
    rows, st.booleans(), st.sampled_from(["\n", "\r\n", "\n\n \n"]), st.sampled_from([1, 3, 1000]), st.integers(1, 5)
)
def test_every_line_is_in_exactly_one_batch(rows, is_ascii, line_end, block, most_rows):
    lines = [json.dumps(row, ensure_ascii=is_ascii) for row in rows]
    try:
        content = line_end.join(lines).encode()
    except UnicodeEncodeError:
        content = line_end.join(json.dumps(row) for row in rows).encode()

    done = split(content, block, limits=Limits(rows=most_rows))

    assert done.all_objects() == rows
    assert done.rows == [len(one) for one in done.objects()]
    assert all(count == most_rows for count in done.rows[:-1])
    assert split(content, limits=Limits(rows=most_rows)).folder.files == done.folder.files
    assert split(rows, limits=Limits(rows=most_rows)).objects() == done.objects()


@searched
@given(st.text(alphabet='{}[]":,1a \n\r\\é', max_size=30))
def test_whatever_is_in_a_file_it_ends_right_or_with_an_error_that_names_the_line(text):
    content = b'{"a": 1}\n' + text.encode()
    lines = [line for line in content.split(b"\n") if line.strip()]
    try:
        done = split(content)
    except SixtyfourInputError as error:
        [line] = re.findall(r"^Line (\d+): ", str(error))
        wrong = content.split(b"\n")[int(line) - 1]
        with pytest.raises((ValueError, AssertionError)):
            assert isinstance(json.loads(wrong), dict)
    else:
        assert done.all_objects() == [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("content", "batches"),
    [
        (b"", []),
        (b"\n \n", []),
        (b"\xef\xbb\xbf", []),
        (b'\xef\xbb\xbf{"a": 1}\n{"a":2}', [b'{"a": 1}\n{"a":2}\n']),
        (b' {"a": 1.10 , "a": 2}\t\r\n{}\r\n{"b": []}', [b' {"a": 1.10 , "a": 2}\t\r\n{}\r\n', b'{"b": []}\r\n']),
    ],
)
@pytest.mark.parametrize("name", ["leads.ndjson", "leads.jsonl", "LEADS.JSONL"])
def test_batches_hold_the_very_bytes(content, batches, name):
    done = split(content, 3, name=name, limits=Limits(rows=2))

    assert done.contents == batches
    assert all(batch["path"].endswith(name.lower().rpartition(".")[2]) for batch in done.batches)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (b"{broken}", "not JSON (Expecting property name enclosed in double quotes, at character 2)"),
        (b'{"a": 1} {"a": 2}', "not JSON (Extra data, at character 10)"),
        (b"[1]", 'JSON, but no object such as {"company": "Example"}'),
        (b'"text"', "JSON, but no object"),
        (b"null", "JSON, but no object"),
        (b'{"a": NaN}', "NaN, which JSON cannot represent"),
        (b'{"a": -Infinity}', "-Infinity, which JSON cannot represent"),
        (b"[" * 100_000, "JSON that is nested too deeply"),
        (b'{"a": "\t"}', "not JSON (Invalid control character"),
        (b'\xef\xbb\xbf{"a": 1}', "not JSON (Unexpected UTF-8 BOM"),
        (b'{"a": ' + b"1" * 5000 + b"}", "JSON with a number of more than 4,300 digits"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_line_that_is_no_object_is_an_error_or_a_reject(wrong, message):
    content = b'{"a": 1}\n\n' + wrong + b'\n{"a": 2}\n'
    with pytest.raises(SixtyfourInputError, match=re.escape(f"Line 3: {message}")):
        split(content)

    done = split(content, rejecting=True)

    assert done.objects() == [[{"a": 1}, {"a": 2}]]
    [reject] = done.rejects
    assert (reject["line"], reject["text"]) == (3, wrong.decode())
    assert reject["reason"].startswith(message)


@pytest.mark.parametrize(("wrong", "message"), [(b'{"a": "\0"}', "a NUL byte"), (b'{"a": "\xe9"}', "not UTF-8")])
def test_what_is_no_text_is_an_error_whatever_is_rejected(wrong, message):
    with pytest.raises(SixtyfourInputError, match=f"Line 2: {message}"):
        split(b"{}\n" + wrong, rejecting=True)


@pytest.mark.parametrize("name", ["leads.json", "leads.xlsx", "leads.csv.gz", "leads", "csv", ""])
def test_a_format_without_rows_line_by_line_is_refused(name):
    with pytest.raises(SixtyfourInputError, match=r"its name should end in \.csv, \.ndjson, \.jsonl"):
        split(b"{}", name=name)


# Names of columns


def test_members_get_other_names_in_their_places():
    rows = [{"Company Name": "Exämple", "n": 1.5}, {"n": {"Company Name": 2}, "Company Name": None}, {"other": 1}]
    wanted = [{"company": "Exämple", "n": 1.5}, {"n": {"Company Name": 2}, "company": None}, {"other": 1}]
    content = "\n".join(json.dumps(row) for row in rows).encode()

    for done in (
        split(content, rename_columns={"Company Name": "company"}),
        split(rows, rename_columns={"Company Name": "company"}),
    ):
        assert done.objects() == [wanted]
        assert [list(row) for row in done.objects()[0]] == [list(row) for row in wanted]
    assert "Exämple".encode() in done.contents[0]


@pytest.mark.parametrize(
    "value",
    [
        "1.10",
        "12345678901234567890.123456",
        "1e400",
        "-0.0",
        '"\\u00e9\\/"',
        '{"x": [0.30000000000000004441],"y":{}}',
        '"}, {"',
    ],
)
def test_other_names_change_nothing_of_the_values(value):
    content = f'{{ "a" :{value} , "b":{value}}}\r\n'.encode()

    assert split(content, rename_columns={"a": "c"}).contents == [f'{{"c": {value}, "b": {value}}}\n'.encode()]


def test_half_a_surrogate_pair_stays_an_escape():
    content = b'{"a": "\\ud800", "b": "\xc3\xa9"}\n'

    assert split(content).contents == [content]
    assert split(content, rename_columns={"a": "c"}).objects() == [[{"c": "\ud800", "b": "é"}]]


def test_a_new_name_that_a_row_has_already():
    content = b'{"a": 1}\n{"a": 1, "b": 2}\n'
    with pytest.raises(SixtyfourInputError, match=r"Line 2: with other names for columns, two would have the name 'b'"):
        split(content, rename_columns={"a": "b"})

    assert split(content, rename_columns={"a": "b"}, rejecting=True).objects() == [[{"b": 1}]]
    assert split(b'{"a": 1, "b": 2}', rename_columns={"a": "b", "b": "a"}).objects() == [[{"b": 1, "a": 2}]]


@pytest.mark.parametrize("more", [{"rename_columns": {"c": "d"}}, {"unique_by": ("c",)}])
def test_a_column_that_no_row_has_is_an_error_in_the_end(more):
    for content in (b'{"a": 1}\n{"b": 1}', [{"a": 1}, {"b": 1}]):
        with pytest.raises(SixtyfourInputError, match=r"no column 'c'; there are: 'a', 'b'"):
            split(content, **more)
    assert split(b"", **more).batches == []
    assert split([], **more).batches == []


# Rows of another task


@pytest.mark.parametrize("rows", ["text", {"a": 1}, 7, b"x"])
def test_rows_that_are_none(rows):
    with pytest.raises(SixtyfourInputError, match="rows should be a list of objects, not"):
        open_rows(rows, rejects=NoRejects("rows"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("text", "Line 301: an object should be here, not str. In rows."),
        ({"a": float("nan")}, "rows, line 301['a'] is nan, which JSON cannot represent"),
        ({1: 2}, "rows, line 301 has a key that isn't text"),
        ({"a": {1, 2}}, "rows, line 301['a']"),
    ],
)
def test_a_row_that_json_cannot_represent_is_named(row, message):
    with pytest.raises(SixtyfourInputError, match=re.escape(message)):
        split([{"a": 1}] * 300 + [row])


def test_rows_are_read_once_and_not_held():
    held = []

    def rows():
        for number in range(10_000):
            held.append(number)
            yield {"number": number}

    first = next(lines_of(rows(), "rows"))
    assert len(first.ends) == len(held) < 1000
    assert [json.loads(record)["number"] for _, record in first.records()] == held
