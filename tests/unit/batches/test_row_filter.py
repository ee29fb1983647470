"""Rows that are not worth a run: duplicates, rows without what they need, rows that fail a check."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches.key_set import KeySet, key_of
from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.cell_values import is_empty
from tests.unit.api.properties import searched
from tests.unit.batches.folders import Split, table
from tests.unit.batches.test_split_csv import written

LEADS = (
    b'name,email\nOne,one@example.com\n"One, again",one@example.com\nTwo,\nThree,\n'
    b'"Four","one@example.com"\nFive,Five\n'
)
words = st.sampled_from(["", " ", "a", "A", "b", 'a"', "a,b", "a\nb"])


@searched
@given(st.lists(st.tuples(words, words, words), max_size=20), st.integers(1, 4))
def test_of_each_key_the_first_row_is_kept(rows, most_rows):
    rows = [list(row) for row in rows]
    seen, wanted = set(), []
    for row in rows:
        key = tuple(row[:2])
        if key not in seen or not "".join(key).strip():
            wanted.append(row)
        seen.add(key)
    content = written([["a", "b", "c"], *rows], "\r\n")
    lines = "\n".join(json.dumps(dict(zip("abc", row, strict=True))) for row in rows).encode()

    done = Split(content, unique_by=("a", "b"), limits=Limits(rows=most_rows))
    same = Split(lines, "leads.jsonl", unique_by=("a", "b"), limits=Limits(rows=most_rows))

    assert done.all_rows() == wanted
    assert same.all_objects() == [dict(zip("abc", row, strict=True)) for row in wanted]
    assert done.duplicates == same.duplicates == len(rows) - len(wanted)


def test_duplicates_go_without_a_word_or_into_the_rejects():
    assert Split(LEADS, unique_by=("email",)).duplicates == 2

    done = Split(LEADS, unique_by=("email",), rejecting=True)

    assert done.contents == [b"name,email\nOne,one@example.com\nTwo,\nThree,\nFive,Five\n"]
    assert done.rejects == [
        {"line": 3, "reason": "an earlier row has the same email", "text": '"One, again",one@example.com'},
        {"line": 6, "reason": "an earlier row has the same email", "text": '"Four","one@example.com"'},
    ]


def test_what_is_required_is_there_or_the_line_is_named():
    with pytest.raises(SixtyfourInputError, match=r"^Line 4: 'email' is empty\. In leads\.csv\.$"):
        Split(LEADS, required=("name", "email"))

    done = Split(LEADS, required=("name", "email"), rejecting=True)

    assert [entry["line"] for entry in done.rejects] == [4, 5]
    assert done.rows == [4]


@pytest.mark.parametrize("value", ["", " ", "\t", None, [], {}])
def test_what_counts_as_empty(value):
    assert is_empty(value)
    assert not any(is_empty(other) for other in (0, False, "0", [0], "-"))
    with pytest.raises(SixtyfourInputError, match=r"Line 1: 'a' is empty"):
        Split([{"a": value}], name="rows", required=("a",))


def test_a_check_returns_why_a_row_is_rejected():
    def check(row):
        return None if "@" in row["email"] else f"{row['name']} has no address"

    with pytest.raises(SixtyfourInputError, match=r"^Line 4: Two has no address\. In leads\.csv\.$"):
        Split(LEADS, row_check=check)

    done = Split(LEADS, row_check=check, rejecting=True, rename_columns={"name": "name"})
    assert [entry["reason"] for entry in done.rejects] == [f"{one} has no address" for one in ("Two", "Three", "Five")]
    assert [row[0] for row in table(done.contents[0])[1:]] == ["One", "One, again", "Four"]


def test_a_check_that_breaks_names_the_line():
    with pytest.raises(SixtyfourInputError, match=r"^Line 2: row_check raised KeyError: 'phone'\."):
        Split(LEADS, row_check=lambda row: row["phone"])


@pytest.mark.parametrize("returned", [True, False, "", 0, ["x"]])
def test_a_check_that_returns_no_reason(returned):
    with pytest.raises(SixtyfourInputError, match="row_check should return None for a row that may pass"):
        Split(LEADS, row_check=lambda _: returned)


def test_a_check_that_is_no_function():
    with pytest.raises(SixtyfourInputError, match="row_check should be a function of a row, not str"):
        Split(LEADS, row_check="name")


def test_a_row_that_is_rejected_does_not_stand_in_the_way_of_a_good_one():
    done = Split(b"a,b\n1,\n1,x\n1,y\n", unique_by=("a",), required=("b",), rejecting=True)

    assert done.contents == [b"a,b\n1,x\n"]
    assert [entry["line"] for entry in done.rejects] == [2, 4]


def test_columns_go_by_their_new_names():
    done = Split(LEADS, rename_columns={"email": "address"}, unique_by=("address",), required=("name",))
    assert done.contents[0].startswith(b"name,address\n")
    assert done.duplicates == 2
    for more in ({"unique_by": ("email",)}, {"required": ("email",)}):
        with pytest.raises(SixtyfourInputError, match="no column 'email'; there are: 'name', 'address'"):
            Split(LEADS, rename_columns={"email": "address"}, **more)


# Keys


def test_a_key_is_the_text_of_its_columns():
    def key(*values):
        return key_of(dict(zip("ab", values, strict=True)), "ab")

    assert key("ab", "c") != key("a", "bc")
    assert key("1", "x") == key(1, "x") != key(1.5, "x")
    assert key(None, "x") == key("", "x") == key([], "x")
    assert key(True, "x") == key("true", "x")
    assert key({"b": 1, "a": 2}, "x") == key({"a": 2, "b": 1}, "x")
    assert key("1:a", "") != key("1", "a")
    assert key("", None) is key(" ", "") is key_of({}, "ab") is None
    assert key("\ud800", "é")


@searched
@given(st.lists(st.binary(min_size=12, max_size=12) | st.sampled_from([b"\0" * 12, b"\0" * 11 + b"\1"]), max_size=30))
def test_keys_are_a_set(keys):
    ours, theirs = KeySet(), set()
    for key in keys:
        assert (key in ours) == (key in theirs)
        assert ours.add(key) == (key not in theirs)
        theirs.add(key)
        assert key in ours


def test_keys_take_few_bytes_each():
    def held(rows):
        tracemalloc.start()
        keys = KeySet()
        for number in range(rows):
            keys.add(key_of({"a": str(number)}, ("a",)))
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    assert held(30_000) < 7_000_000


@pytest.mark.parametrize("reason", ["half \ud83d of a pair", "\udcff", "a\0b\n"])
def test_a_reason_may_hold_whatever_a_text_can(reason):
    done = Split(LEADS, row_check=lambda _: reason, rejecting=True)

    assert {entry["reason"] for entry in done.rejects} == {reason}
    with pytest.raises(SixtyfourInputError, match="Line 2: "):
        Split(LEADS, row_check=lambda _: reason)
