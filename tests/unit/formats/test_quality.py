"""Quality is added up by column; of what was read from a file, which may be hostile, that counts which is right."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_sixtyfour.formats.quality import (
    LONGEST_VALUE,
    MOST_COLUMNS,
    MOST_VALUES,
    Quality,
    filled_share,
    read_quality,
    total,
)

FIRST: Quality = {
    "name": {"filled": 2, "empty": 0, "distinct": 2},
    "email_status": {"filled": 2, "empty": 0, "distinct": 1, "values": {"OK": 2}},
}
SECOND: Quality = {
    "name": {"filled": 1, "empty": 2, "distinct": 1},
    "email_status": {"filled": 2, "empty": 1, "distinct": 2, "values": {"OK": 1, "UNKNOWN": 1}},
    "phone": {"filled": 3, "empty": 0, "distinct": None},
}


def test_the_share_of_filled_rows() -> None:
    assert filled_share({"filled": 3, "empty": 1}) == 0.75
    assert filled_share({"filled": 0, "empty": 0}) is None


def test_what_can_be_added_is() -> None:
    assert total([FIRST, {}, SECOND], is_one_table=False) == {
        "name": {"filled": 3, "empty": 2},
        "email_status": {"filled": 4, "empty": 1, "values": {"OK": 3, "UNKNOWN": 1}},
        "phone": {"filled": 3, "empty": 0},
    }


def test_in_one_table_a_column_that_a_part_does_not_have_is_empty_there() -> None:
    assert total([FIRST, SECOND], is_one_table=True)["phone"] == {"filled": 3, "empty": 2}


def test_one_alone_is_as_it_was() -> None:
    assert total([{}, FIRST], is_one_table=True) == FIRST
    assert total([], is_one_table=True) == {}


def test_values_are_left_out_where_they_are_not_all_known() -> None:
    unknown: Quality = {"email_status": {"filled": 3, "empty": 0}}
    none: Quality = {"email_status": {"filled": 0, "empty": 3, "distinct": 0}}
    many: Quality = {"email_status": {"filled": 20, "empty": 0, "values": {f"S{n}": 1 for n in range(MOST_VALUES)}}}

    assert "values" not in total([FIRST, unknown], is_one_table=True)["email_status"]
    assert total([FIRST, none], is_one_table=True)["email_status"]["values"] == {"OK": 2}
    assert "values" not in total([FIRST, many], is_one_table=True)["email_status"]


def test_no_more_columns_are_kept_than_one_file_has() -> None:
    parts: list[Quality] = [{f"{part}-{n}": {"filled": 1, "empty": 0} for n in range(150)} for part in range(3)]
    assert len(total(parts, is_one_table=True)) == MOST_COLUMNS


def test_what_was_written_is_read() -> None:
    assert read_quality(json.loads(json.dumps(SECOND))) == SECOND


@pytest.mark.parametrize("value", [None, [], "x", 3, {"a": 1}, {"a": None}, {"a": []}, {"a": {}}, {"a": {"filled": 1}}])
def test_what_is_no_quality_is_none(value: Any) -> None:
    assert read_quality(value) == {}


@pytest.mark.parametrize("number", [-1, 1.5, True, "3", None, 2**63, [], float("nan")])
def test_what_is_no_count_is_none(number: Any) -> None:
    assert read_quality({"a": {"filled": number, "empty": 1}, "b": {"filled": 1, "empty": 1}}) == {
        "b": {"filled": 1, "empty": 1}
    }
    read = read_quality({"a": {"filled": 1, "empty": 1, "distinct": number, "values": {"x": number}}})
    assert read == {"a": {"filled": 1, "empty": 1, **({"distinct": None} if number is None else {})}}


def test_hostile_text_is_bounded_and_can_be_stored() -> None:
    column = {"filled": 1, "empty": 0, "values": {"\ud83d\0" + "x" * 1000: 1}}
    read = read_quality({"\0\ud83d" + "n" * 1000: column, **{f"c{n}": column for n in range(1000)}})

    assert len(read) == MOST_COLUMNS
    assert max(map(len, read)) == 200
    assert all(len(value) <= LONGEST_VALUE for one in read.values() for value in one["values"])
    assert json.dumps(read, ensure_ascii=False).encode()
    assert "values" not in read_quality({"a": {**column, "values": {str(n): 1 for n in range(MOST_VALUES + 1)}}})["a"]
