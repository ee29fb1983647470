"""NDJSON as Parquet: types of the whole file, values as they are, whoever reads them."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sixtyfour.formats.parquet import from_ndjson, source
from tests.unit.formats.parquet.conftest import attempt, convert, lines

TYPED = [
    {"name": "A", "employees": 5, "score": 1, "founded": "2026-01-01", "deep": {"tags": ["x"], "none": None}},
    {
        "name": "B",
        "employees": None,
        "score": 0.5,
        "founded": "long ago",
        "deep": {"tags": [], "more": 1},
        "late": True,
    },
]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each block hold a row or two, so that a file has many."""
    monkeypatch.setattr(source, "BLOCK", 150)


@pytest.mark.usefixtures("small_blocks")
def test_types_hold_for_the_whole_file_not_for_its_beginning() -> None:
    table = convert(lines(TYPED * 20), "ndjson")

    assert {field.name: str(field.type) for field in table.schema if field.name != "deep"} == {
        "name": "string",
        "employees": "int64",
        "score": "double",
        "founded": "string",
        "late": "bool",
    }
    assert table.num_rows == 40
    deep = table.column("deep").to_pylist()
    assert deep[0] == {"tags": ["x"], "none": None, "more": None}
    assert deep[1]["more"] == 1


@pytest.mark.parametrize("block", [150, source.BLOCK])
def test_a_column_of_all_kinds_becomes_json_text(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(source, "BLOCK", block)
    values = [1, "one", None, [1, 2], {"a": "é"}, True, 2.5, 2**70]
    table = convert(lines([{"pad": "x" * 150, "mixed": value, "n": 1} for value in values]), "ndjson")

    assert table.column("mixed").to_pylist() == ["1", "one", None, "[1, 2]", '{"a": "é"}', "true", "2.5", str(2**70)]
    assert str(table.schema.field("n").type) == "int64"


def test_texts_that_look_like_times_stay_texts() -> None:
    content = lines([{"at": "2026-01-01T10:00:00Z", "deep": {"on": "2026-01-01"}}])

    assert convert(content, "ndjson").to_pylist() == [json.loads(content)]


def test_what_is_null_everywhere_is_text() -> None:
    assert str(convert(lines([{"a": None, "b": [None]}]), "ndjson").schema.field("a").type) == "string"


@pytest.mark.parametrize("depth", [41, 100, 400, 700])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"x": ', "}")], ids=["lists", "objects"])
@pytest.mark.parametrize("inside", ["1", "0.5"])
def test_what_readers_find_too_deep_becomes_json_text(depth: int, before: str, after: str, inside: str) -> None:
    deep = before * depth + inside + after * depth

    table = convert(f'{{"deep": {deep}, "flat": [1]}}\n{{"deep": null}}\n'.encode(), "ndjson")

    assert [str(field.type) for field in table.schema] == ["string", "list<element: int64>"]
    assert table.column("deep").to_pylist() == [deep, None]


@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"x": ', "}")], ids=["lists", "objects"])
def test_what_readers_can_open_keeps_its_type(before: str, after: str) -> None:
    deep = before * 40 + "1" + after * 40

    assert convert(f'{{"deep": {deep}}}\n'.encode(), "ndjson").to_pylist() == [{"deep": json.loads(deep)}]


def test_many_brackets_side_by_side_are_no_depth() -> None:
    rows = [{"many": [{"a": number} for number in range(1_000)]}]

    assert convert(lines(rows), "ndjson").to_pylist() == rows


# Digits


BIG = 12345678901234567890


@pytest.mark.parametrize("other", [[], [1, "x", None]], ids=["alone", "next to a column of all kinds"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2**63 - 1, -(2**63)], "int64"),
        ([BIG, 1], "uint64"),
        ([BIG, None, -1], "decimal128(38, 0)"),
        ([-(2**63) - 1], "decimal128(38, 0)"),
        ([10**38 - 1, -(10**38) + 1], "decimal128(38, 0)"),
    ],
)
def test_integers_have_a_type_that_holds_all_of_them(other: list[Any], values: list[int], expected: str) -> None:
    rows = [
        {
            "a": value,
            "in": {"a": value},
            "all": [value],
            "f": 0.5,
            **({"mixed": other[number % len(other)]} if other else {}),
        }
        for number, value in enumerate(values)
    ]
    table = convert(lines(rows), "ndjson")

    assert [str(table.schema.field(name).type) for name in ("a", "in", "all")] == [
        expected,
        f"struct<a: {expected}>",
        f"list<element: {expected}>",
    ]
    found = table.to_pylist()[: len(values)]
    assert [row["a"] for row in found] == values
    assert [row["in"]["a"] for row in found] == values
    assert [row["all"][0] for row in found] == values


@pytest.mark.parametrize(
    "written",
    [
        [str(10**38)],
        ["-" + "9" * 39],
        ["9" * 5_000],
        [str(2**53 + 1), "0.5"],
        ["0.5", str(-(2**53) - 1)],
        ["0.25", "1e400"],
        ["-1e400", "0.1234567890123456789"],
        ["1", "1E400"],
    ],
)
@pytest.mark.parametrize("block", [60, source.BLOCK], ids=["blocks", "block"])
def test_what_no_number_holds_is_text_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, written: list[str], block: int
) -> None:
    monkeypatch.setattr(source, "BLOCK", block)
    content = "".join(f'{{"a": {number}, "in": {{"b": [{number}]}}, "f": 0.5}}\n' for number in written)
    table = convert(content.encode(), "ndjson")

    assert table.column("a").to_pylist() == written
    assert table.column("in").to_pylist() == [f'{{"b": [{number}]}}' for number in written]
    assert table.column("f").to_pylist() == [0.5] * len(written)


def test_fractions_are_doubles_as_everywhere_in_json() -> None:
    table = convert(b'{"a": 0.1234567890123456789}\n{"a": -0.0}\n{"a": 9007199254740992}\n{"a": NaN}\n', "ndjson")

    found = table.column("a").to_pylist()
    assert found[0] == 0.1234567890123456789
    assert math.copysign(1, found[1]) == -1
    assert found[2] == 2**53
    assert math.isnan(found[3])


def test_long_numbers_in_texts_are_no_numbers() -> None:
    rows = [{"id": "1234567890123456789012", "s": "x: 1234567890123456789, y", "f": 0.5}]

    assert convert(lines(rows), "ndjson").to_pylist() == rows


# What is odd


@pytest.mark.parametrize(
    "escape", [r"\ud83d", r"\uDE00", r"\ud83d\ud83d", r"\ude00\ud83d", r"\ud83dx", "\\ud83d\\u0041"]
)
def test_half_a_surrogate_pair_is_replaced_with_one_warning(escape: str) -> None:
    content = f'{{"a": "<{escape}>", "n{escape}": [{{"x{escape}": "{escape}"}}], "ok": "\\ud83d\\ude00 \\\\ud83d"}}\n'
    converted = attempt(content.encode() * 3, "ndjson")

    clean = json.loads(f'"{escape}"').encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert converted.rows[2] == {"a": f"<{clean}>", f"n{clean}": [{f"x{clean}": clean}], "ok": "😀 \\ud83d"}
    [warning] = converted.warnings
    assert "characters that are not valid in UTF-8 became U+FFFD: " in warning


def test_bytes_that_are_no_utf_8_are_replaced_with_one_warning() -> None:
    converted = attempt(b'{"a": "M\xfcnchen", "b\xff": 1}\n{"a": "\xed\xa0\xbd"}\n', "ndjson")

    assert converted.rows == [{"a": "M�nchen", "b�": 1}, {"a": "���", "b�": None}]
    assert converted.warnings == [
        "Parquet differs from the ndjson that it was made of: characters that are not valid in UTF-8 became U+FFFD: 5. "
        "out.parquet"
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_byte_order_marks(encoding: str) -> None:
    rows = [{"a": "é😀", "n": 1}]

    assert attempt(lines(rows).decode().encode(encoding), "ndjson").rows == rows


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf", b" \n"])
def test_a_file_without_rows(content: bytes) -> None:
    assert convert(content, "ndjson").num_rows == 0


def test_of_two_members_with_one_name_the_last_counts() -> None:
    assert convert(b'{"a": 1, "b": {"x": 1, "x": 2}, "a": 3}\n{"a": 4}\n', "ndjson").to_pylist() == [
        {"a": 3, "b": {"x": 2}},
        {"a": 4, "b": None},
    ]


def test_a_column_without_a_name_has_its_number() -> None:
    converted = attempt(b'{"a": 1, "": 2, "column_2": 3}\n', "ndjson")

    assert converted.rows == [{"a": 1, "column_2_2": 2, "column_2": 3}]
    assert "columns without a name, or with that of another, are 'column_2_2'" in converted.warnings[0]


@pytest.mark.parametrize(
    "value", [[None, None], [[None, None], [None]], {"b": [None, None]}, [None, {"b": None}, None, {"c": 1}]], ids=str
)
def test_nulls_in_lists(value: Any) -> None:
    rows = convert(lines([{"a": value}, {"a": None}]), "ndjson").to_pylist()

    assert same(rows[0]["a"], value)
    assert rows[1] == {"a": None}


def test_control_characters_in_texts() -> None:
    assert convert(b'{"a": "x\ty\x00z\\u0000"}\r\n', "ndjson").to_pylist() == [{"a": "x\ty\0z\0"}]


def test_objects_without_members_are_json_text() -> None:
    assert convert(b'{"a": {}, "b": [{}]}\n', "ndjson").to_pylist() == [{"a": "{}", "b": "[{}]"}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"a": 1}\n{"a": \n', "line '{\"a\": ' is no JSON object: Expecting value"),
        (b'{"a": 1}\nnull\n', "line 'null' is no JSON object"),
        (b"5\n", "line '5' is no JSON object"),
        (b"[1]\n", "line '[1]' is no JSON object"),
        (b'{"a": 1}{"a": 2}\n', "there is more after it"),
        (b'{"a": 1\n', "is no JSON object: cut off"),
        (b'{"a": 1,}\n', "is no JSON object"),
        (b'{"a" 1}\n', "is no JSON object"),
        (b'{"a": 1 "b": 2}\n', "is no JSON object"),
        (b"{a: 1}\n", "is no JSON object"),
        (b"{}\n{}\n", "its rows have no columns"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "is nested too deeply"),
        # Beyond the limit of recursion that Airflow 3.0 sets for its whole process, 5,000.
        (b'{"a": 1}\n' + b'{"a": ' * 20_000 + b"0" + b"}" * 20_000 + b"\n", "is nested too deeply"),
        (b"".join(b'{"k%d": 1}\n' % number for number in range(20_001)), "more than 20,000 columns"),
    ],
    ids=lambda value: value[:20].decode() if isinstance(value, bytes) else "",
)
def test_what_cannot_be_parquet_is_left_as_it_came_and_the_warning_has_the_reason(content: bytes, why: str) -> None:
    converted = attempt(content, "ndjson", chunk=100_000)

    assert converted.table is None
    assert why in converted.warnings[0]
    assert len(converted.warnings[0]) < 300


def test_a_very_long_row() -> None:
    rows = [{"n": 1, "a": "x" * (33 << 20)}, {"n": 2, "a": "y"}]

    assert convert(lines(rows), "ndjson").to_pylist() == rows


def test_rows_with_other_columns_each_take_no_memory_for_what_they_lack() -> None:
    content = (
        b"".join(b'{"n": %d, "k%d": "x"}\n' % (number, number) for number in range(1_000)) + b'{"n": 0}\n' * 100_000
    )
    began = time.monotonic()
    converted = attempt(content, "ndjson", chunk=100_000)

    assert converted.table.num_columns == 1_001
    assert converted.table.num_rows == 101_000
    assert converted.table.column("k999")[999].as_py() == "x"
    assert time.monotonic() - began < 120


# Whoever reads a block, it is the same


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.integers(2**52, 2**54)
    | st.integers(-(2**130), 2**130)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["2026-01-01", "10:00", "2026-01-01T10:00:00Z", "12345678901234567890"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
    max_leaves=5,
)
# Of one kind, so that more than JSON text comes of it.
of_a_kind = st.sampled_from(
    [
        st.integers(-(2**66), 2**66),
        st.integers(0, 2**64 - 1),
        st.integers(-(2**54), 2**54) | st.floats(-1, 1),
        st.lists(st.integers(0, 2**65), max_size=2),
        st.fixed_dictionaries({}, optional={"x": st.integers(0, 2**64), "y": st.text(max_size=3) | st.none()}),
        st.text(max_size=5),
    ]
)


@st.composite
def files(draw: st.DrawFn) -> list[dict[str, Any]]:
    columns = {name: draw(of_a_kind) | st.none() for name in draw(st.sets(st.sampled_from("abc"), min_size=1))}
    return draw(st.lists(st.fixed_dictionaries({}, optional=columns), min_size=1, max_size=8))


def same(found: Any, value: Any) -> bool:
    """Return whether a value of Parquet is what it was in JSON: with the members of all rows, and as text at worst."""
    if isinstance(value, list) and isinstance(found, list):
        return len(found) == len(value) and all(map(same, found, value))
    if isinstance(value, dict) and isinstance(found, dict):
        return all(same(found[name], each) for name, each in value.items()) and all(
            found[name] is None for name in found.keys() - value.keys()
        )
    if isinstance(found, str) and not isinstance(value, str):
        return bool(json.loads(found) == value)
    return bool(found == value and isinstance(found, bool) == isinstance(value, bool))


rows_of_any_kind = st.lists(st.dictionaries(st.sampled_from("abc"), values), min_size=1, max_size=6).filter(any) | (
    files().filter(any)
)


@settings(deadline=None, max_examples=150)
@given(rows_of_any_kind)
def test_each_value_of_each_row_is_kept_with_all_its_digits(rows: list[dict[str, Any]]) -> None:
    table = convert(lines(rows), "ndjson")

    assert table.num_rows == len(rows)
    for row, found in zip(rows, table.to_pylist(), strict=True):
        for name in found:
            assert same(found[name], row.get(name)), (name, row.get(name), found[name])


@settings(deadline=None, max_examples=100)
@given(rows_of_any_kind, st.sampled_from([1, 40, 200]))
def test_python_and_pyarrow_read_the_same_however_a_file_is_cut(rows: list[dict[str, Any]], block: int) -> None:
    content = lines(rows)
    expected = convert(content, "ndjson")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "BLOCK", block)
        assert convert(content, "ndjson").equals(expected)
        patch.setattr(from_ndjson, "_read", lambda *_, **__: None)
        assert convert(content, "ndjson").equals(expected)
        patch.undo()
        patch.setattr(source, "MOST_CELLS", block)
        assert convert(content, "ndjson").equals(expected)
