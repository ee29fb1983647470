"""A schema overrides what is found; else the file is left as it came, and a warning names where and why."""

from __future__ import annotations

import datetime
import json
from datetime import UTC, date, time
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.parquet import source
from airflow_provider_sixtyfour.formats.parquet.casts import NULLS
from airflow_provider_sixtyfour.formats.parquet.schema import check_schema
from tests.unit.formats.parquet.conftest import attempt, convert, lines


def at(*numbers: int, zone: Any = None) -> datetime.datetime:
    return datetime.datetime(*numbers, tzinfo=zone)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("type_name", "values", "expected"),
    [
        ("bool", ["true", "TRUE", "1", "False", "0"], [True, True, True, False, False]),
        ("bool", [True, 1, 0, "false"], [True, True, False, False]),
        (
            "date32",
            ["2026-01-01", "2026-01-02T10:00:00Z", "1066-10-14"],
            [date(2026, 1, 1), date(2026, 1, 2), date(1066, 10, 14)],
        ),
        ("date32", ["2026-01-01T00:00:00+02:00"], [date(2026, 1, 1)]),
        ("date64", ["2026-01-01"], [date(2026, 1, 1)]),
        (
            "timestamp[us]",
            ["2026-01-01T10:00:00Z", "2026-01-01", "2026-01-01 10:00"],
            [at(2026, 1, 1, 10), at(2026, 1, 1), at(2026, 1, 1, 10)],
        ),
        (
            "timestamp[us]",
            ["2026-01-01T10:00:00.123456+02:00", "2026-01-01t10:00:00z"],
            [at(2026, 1, 1, 8, 0, 0, 123456), at(2026, 1, 1, 10)],
        ),
        ("timestamp[s]", ["2026-01-01T10:00:00.000Z", 1767225600], None),
        ("timestamp[s]", [1767225600], [at(2026, 1, 1)]),
        ("timestamp[ms]", ["2026-01-01T10:00:00.500000"], [at(2026, 1, 1, 10, 0, 0, 500000)]),
        (
            "timestamp[us, tz=UTC]",
            ["2026-01-01T10:00:00Z", "2026-01-01"],
            [at(2026, 1, 1, 10, zone=UTC), at(2026, 1, 1, zone=UTC)],
        ),
        (
            "timestamp[us, tz=Europe/Berlin]",
            ["2026-01-01T10:00:00Z"],
            [at(2026, 1, 1, 11, zone=ZoneInfo("Europe/Berlin"))],
        ),
        ("time32[s]", ["10:00", "10:00:01"], [time(10), time(10, 0, 1)]),
        ("time32[ms]", ["10:00:01.5"], [time(10, 0, 1, 500000)]),
        ("time64[us]", ["10:00:00.000001"], [time(10, 0, 0, 1)]),
        ("decimal128(10, 2)", [1, "2.50", 0.25], [Decimal("1.00"), Decimal("2.50"), Decimal("0.25")]),
        ("decimal128(38, 0)", [12345678901234567890123], [Decimal(12345678901234567890123)]),
        ("float32", [1, 0.5, "2"], [1.0, 0.5, 2.0]),
        ("double", ["1e3", "inf", 5], [1000.0, float("inf"), 5.0]),
        ("int8", [-128, "127", 1.0], [-128, 127, 1]),
        ("int16", ["10.0"], [10]),
        ("int32", [10.0, 2], [10, 2]),
        ("int64", [10.0, "10.0", " 7 ", "1e3", True], None),
        ("int64", [10.0, "10.0", " 7 ", "1e3"], [10, 10, 7, 1000]),
        ("int64", ["9007199254740993.0", 9007199254740993], [9007199254740993, 9007199254740993]),
        ("uint64", [2**64 - 1, "18446744073709551615"], [2**64 - 1, 2**64 - 1]),
        (
            "string",
            [1, 10.0, True, "x", [1], {"a": None}, 12345678901234567890123],
            ["1", "10.0", "true", "x", "[1]", '{"a": null}', "12345678901234567890123"],
        ),
        ("string", [1, 2], ["1", "2"]),
        ("string", [0.5, 1], ["0.5", "1"]),
        ("string", [True, False], ["true", "false"]),
        ("large_string", ["x", 1], ["x", "1"]),
        ("binary", ["x", 1], [b"x", b"1"]),
        ("list<int64>", [[1], [], "[2]"], [[1], [], [2]]),
        ("list<item: string>", [["a", None]], [["a", None]]),
        ("large_list<double>", [[1, 0.5]], [[1.0, 0.5]]),
        ("struct<a: int64, b: list<string>>", [{"a": 1}, {"b": ["x"]}], [{"a": 1, "b": None}, {"a": None, "b": ["x"]}]),
        ("list<string>", [["a", 1, True, [2.50, {"b": "c"}]]], [["a", "1", "true", '[2.5,{"b":"c"}]']]),
        ("list<int64>", [[1, 2.0, "3"], None], [[1, 2, 3], None]),
        (
            "list<timestamp[us]>",
            [["2026-01-01T10:00:00Z", "2026-01-01", None]],
            [[at(2026, 1, 1, 10), at(2026, 1, 1), None]],
        ),
        (
            "struct<founded: date32, paid: decimal128(10, 2), tags: list<string>>",
            [{"founded": "2026-01-01", "paid": 1.1, "tags": [1]}, {"founded": None, "more": None}],
            [
                {"founded": date(2026, 1, 1), "paid": Decimal("1.10"), "tags": ["1"]},
                {"founded": None, "paid": None, "tags": None},
            ],
        ),
        ("duration[s]", [5, "6"], [datetime.timedelta(seconds=5), datetime.timedelta(seconds=6)]),
    ],
)
@pytest.mark.parametrize("also_mixed", [False, True], ids=["", "next to a column of all kinds"])
@pytest.mark.parametrize("block", [30, source.BLOCK], ids=["blocks", "block"])
def test_types_from_ndjson(
    monkeypatch: pytest.MonkeyPatch,
    type_name: str,
    values: list[Any],
    expected: list[Any] | None,
    also_mixed: bool,
    block: int,
) -> None:
    monkeypatch.setattr(source, "BLOCK", block)
    extra: list[dict[str, Any]] = [{"m": 1}, {"m": "x"}] if also_mixed else [{}, {}]
    rows = [{"x": value, **extra[index % 2]} for index, value in enumerate([*values, None])]
    converted = attempt(lines(rows), "ndjson", {"x": type_name})

    if expected is None:
        assert converted.table is None
        assert "can't be cast to" in converted.warnings[0]
        return
    assert converted.warnings == []
    assert [row["x"] for row in converted.rows] == [*expected, None]


@pytest.mark.parametrize(
    ("type_name", "cells", "expected"),
    [
        ("bool", ["true", "", "0"], [True, None, False]),
        ("date32", ["2026-01-01", ""], [date(2026, 1, 1), None]),
        (
            "timestamp[us]",
            ["2026-01-01T10:00:00Z", "2026-01-01T10:00:00", "null"],
            [at(2026, 1, 1, 10), at(2026, 1, 1, 10), None],
        ),
        ("timestamp[us, tz=UTC]", ["2026-01-01T10:00:00+01:00"], [at(2026, 1, 1, 9, zone=ZoneInfo("UTC"))]),
        ("int64", ["00123", "10.0", "N/A", "NaN"], [123, 10, None, None]),
        ("double", ["1.5", "NaN", "NA"], [1.5, float("nan"), None]),
        ("decimal128(5, 2)", ["1.25", ""], [Decimal("1.25"), None]),
        ("uint64", ["12345678901234567890"], [12345678901234567890]),
        ("time32[s]", ["10:00:00"], [time(10)]),
        ("list<string>", ['["x"]', ""], [["x"], None]),
        ("struct<a: int64>", ['{"a": 1}'], [{"a": 1}]),
        ("string", ["00123", "", "NA"], ["00123", "", "NA"]),
        ("large_string", [""], [""]),
    ],
)
@pytest.mark.parametrize("is_ragged", [False, True], ids=["", "ragged"])
def test_types_from_csv(type_name: str, cells: list[str], expected: list[Any], is_ragged: bool) -> None:
    quoted = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    content = "".join(f"{number},{cell}\n" for number, cell in enumerate(["x", *quoted]))
    converted = attempt((content + ("9\n" if is_ragged else "")).encode(), "csv", {"x": type_name})

    found = [row["x"] for row in converted.rows]
    # As text: a time zone is of another class with older libraries.
    assert list(map(str, found)) == list(map(str, [*expected, *([None] if is_ragged else [])]))


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("int64", "ten"),
        ("int64", 10.5),
        ("int8", 300),
        ("int64", 2**63),
        ("uint64", -1),
        ("bool", "maybe"),
        ("bool", 5),
        ("date32", "2026-13-01"),
        ("date32", True),
        ("timestamp[s]", "2026-01-01T10:00:00.5Z"),
        ("time32[s]", "24:00"),
        ("decimal128(4, 2)", "1.234"),
        ("decimal128(4, 2)", 1000),
        ("double", "1e400"),
        ("float32", 1e300),
        ("list<int64>", "x"),
        ("list<int64>", [1.5]),
        ("list<int64>", [1, 2**63]),
        ("list<float>", [1e300]),
        ("struct<a: int64>", {"a": 1, "b": 2}),
        ("list<int64>", {"a": 1}),
        ("struct<a: int64>", [1]),
        ("struct<a: int64>", {"a": "x"}),
    ],
)
@pytest.mark.parametrize("block", [60, source.BLOCK], ids=["blocks", "block"])
@pytest.mark.parametrize("format", ["ndjson", "csv"])
def test_a_value_that_cannot_be_cast_is_named_and_the_file_left_as_it_came(
    monkeypatch: pytest.MonkeyPatch, type_name: str, value: Any, block: int, format: str
) -> None:
    monkeypatch.setattr(source, "BLOCK", block)
    shown = value if isinstance(value, str) else json.dumps(value)
    if format == "ndjson":
        content = lines([{"x": None, "n": number} for number in range(7)] + [{"x": value}, {"x": None}])
    else:
        cell = shown.replace('"', '""')
        content = "".join(["x,n\n", *(f",{number}\n" for number in range(7)), f'"{cell}",\n', ",\n"]).encode()
    converted = attempt(content, format, {"x": type_name})

    assert converted.table is None
    [warning] = converted.warnings
    assert f"column 'x', row 8: {shown!r} can't be cast to {pa_name(type_name)}" in warning


def pa_name(type_name: str) -> str:
    names = {
        "date32": "date32[day]",
        "float32": "float",
        "list<int64>": "list<item: int64>",
        "list<float>": "list<item: float>",
    }
    return names.get(type_name, type_name)


@pytest.mark.parametrize(("type_name", "expected"), [("int64", 9007199254740993), ("list<int64>", [9007199254740993])])
def test_an_integer_that_is_written_with_a_fraction_is_exact(type_name: str, expected: Any) -> None:
    content = {"int64": b'{"x": 9007199254740993.0}\n', "list<int64>": b'{"x": [9007199254740993.0]}\n'}[type_name]

    assert convert(content, "ndjson", {"x": type_name})["x"].to_pylist() == [expected]


def test_the_value_in_the_warning_is_bounded_and_on_one_line() -> None:
    [warning] = attempt(lines([{"x": "\n\x1b[31m" + "é" * 5_000}]), "ndjson", {"x": "int64"}).warnings

    assert warning.isprintable()
    assert len(warning) < 250


def test_columns_that_the_file_has_not_are_null_with_one_warning() -> None:
    for content, format in ((b'{"a": 1}\n', "ndjson"), (b"a\n1\n", "csv"), (b"a\n1\n2,3\n", "csv"), (b"", "ndjson")):
        converted = attempt(content, format, {"founded": "date32", "late": "list<string>"})
        assert converted.types["founded"] == "date32[day]"
        assert converted.types["late"].startswith("list<")
        assert all(row["founded"] is None and row["late"] is None for row in converted.rows)
        assert "null throughout, since only parquet_schema has them: 'founded', 'late'" in converted.warnings[0]


def test_columns_are_called_as_they_are_in_the_parquet_file() -> None:
    converted = attempt(b"a,a,\n1,2,3\n", "csv", {"a": "int8", "a_2": "int16", "column_3": "int32"})

    assert converted.types == {"a": "int8", "a_2": "int16", "column_3": "int32"}


@pytest.mark.parametrize(
    "name",
    [
        "number",
        "",
        5,
        None,
        [],
        "decimal128",
        "decimal128(99, 1)",
        "timestamp[us, tz=Mars/Olympus]",
        "timestamp[h]",
        "list<>",
        "list<int64, int64>",
        "list<number>",
        "struct<>",
        "struct<int64>",
        "struct<a: int64, a: string>",
        "month_day_nano_interval",
        "list<" * 60 + "int64" + ">" * 60,
        "list<int64",
    ],
    ids=str,
)
def test_a_type_that_does_not_exist_is_an_error_before_anything_is_sent(name: Any) -> None:
    with pytest.raises(SixtyfourInputError, match="parquet_schema gives column 'x' the type"):
        check_schema({"x": name})


@pytest.mark.parametrize("schema", [["a"], "a", {1: "int64"}])
def test_a_schema_that_is_none(schema: Any) -> None:
    with pytest.raises(SixtyfourInputError, match="parquet_schema should"):
        check_schema(schema)


@pytest.mark.parametrize(
    "type_",
    [
        pa.int64(),
        pa.timestamp("us", "UTC"),
        pa.decimal128(5, 1),
        pa.list_(pa.struct([("a", pa.date32())])),
        pa.binary(3),
    ],
    ids=str,
)
def test_types_of_arrow_itself_and_as_arrow_writes_them(type_: pa.DataType) -> None:
    check_schema({"x": type_})
    if not pa.types.is_fixed_size_binary(type_):
        check_schema({"x": str(type_)})


kinds = st.sampled_from(
    ["string", "int64", "double", "bool", "date32", "timestamp[us]", "decimal128(10, 2)", "list<int64>"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["1", "10.0", "", "x", "2026-01-01", "true", "2026-01-01T10:00:00Z", *NULLS])
    | st.lists(st.integers(0, 9), max_size=2)
)


@settings(deadline=None, max_examples=150)
@given(kinds, st.lists(scalars, min_size=1, max_size=6), st.sampled_from(["ndjson", "csv"]))
def test_a_schema_is_always_kept_or_the_file_left_as_it_came(name: str, values: list[Any], format: str) -> None:
    if format == "ndjson":
        content = lines([{"x": value} for value in values])
    else:
        cells = [json.dumps(value) if not isinstance(value, str) else value for value in values]
        content = "".join(["n,x\n", *(f'1,"{cell}"\n' for cell in cells if '"' not in cell)]).encode()
    converted = attempt(content, format, {"x": name})

    if converted.table is None:
        assert "column 'x', row " in converted.warnings[0]
    else:
        assert converted.table.schema.field("x").type == convert(b"n,x\n", "csv", {"x": name}).schema.field("x").type
