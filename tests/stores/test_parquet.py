"""Results land as Parquet, typed and whole; here, since pyarrow is installed for these tests."""

from __future__ import annotations

import hashlib
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.errors import SixtyfourTransferError
from airflow_provider_sixtyfour.stores.in_parts import PART
from airflow_provider_sixtyfour.transfers import parquet
from airflow_provider_sixtyfour.transfers.manifest import MANIFEST
from airflow_provider_sixtyfour.transfers.parquet import as_parquet
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.stores.conftest import Place
from tests.unit.airflow.conftest import Emulator
from tests.unit.airflow.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")
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


def convert(content: bytes, format: str, schema: dict[str, str] | None = None) -> Any:
    """Return the table that a file becomes."""
    written = io.BytesIO()
    with as_parquet(format, schema) as converted:
        for start in range(0, len(content), 1000):
            converted.write(content[start : start + 1000])
        converted.convert("out.parquet", written.write)
    assert converted.sha256 == hashlib.sha256(written.getvalue()).hexdigest()
    assert converted.bytes == len(written.getvalue())
    table = pq.read_table(io.BytesIO(written.getvalue()))
    assert converted.rows == table.num_rows
    return table


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each block hold a row or two, so that a file has many."""
    monkeypatch.setattr(parquet, "BLOCK", 150)


def land(job_id: str, place: Place, **more: Any) -> dict[str, Any]:
    arguments = {"destination": place.url, "output_format": "parquet", **more}
    landed: list[dict[str, Any]] = Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, **arguments)
    ).run()
    return landed[0]


@pytest.fixture
def workflow(emulator: Emulator) -> str:
    return emulator.store_workflow("lead_enrichment", "find_email")


def test_from_ndjson_where_the_run_has_it(emulator: Emulator, workflow: str, place: Place) -> None:
    emulator.plan(results=[{"filename": "out.ndjson", "rows": TYPED}])
    landed = land(emulator.completed_run(workflow, result_formats="ndjson"), place)

    assert place.names() == [MANIFEST, "out.parquet"]
    content = place.read("out.parquet")
    table = pq.read_table(io.BytesIO(content))
    assert table.to_pylist()[0]["deep"]["tags"] == ["x"]
    assert table.schema.field("employees").type == pa.int64()
    assert (landed["rows"], landed["bytes"], landed["sha256"], landed["filename"]) == (
        2,
        len(content),
        hashlib.sha256(content).hexdigest(),
        "out.ndjson",
    )
    assert json.loads(place.read(MANIFEST))["format"] == "parquet"


def test_else_from_csv_as_text(emulator: Emulator, workflow: str, place: Place) -> None:
    landed = land(emulator.completed_run(workflow), place, parquet_schema={"name": "large_string"})

    table = pq.read_table(io.BytesIO(place.read(landed["path"].rpartition("/")[2])))
    assert {str(field.type) for field in table.schema} == {"string", "large_string"}
    assert [row["name"] for row in table.to_pylist()] == ["Lead One", "Lead Two"]


def test_a_large_one_goes_in_parts_and_a_cut_leaves_nothing(emulator: Emulator, workflow: str, place: Place) -> None:
    emulator.plan(synthetic_bytes=3 * PART)
    job_id = emulator.completed_run(workflow)
    emulator.fault("cut", where="storage", cut_after=PART)
    landed = land(job_id, place)
    table = pq.read_table(io.BytesIO(place.read(landed["path"].rpartition("/")[2])))
    assert table.num_rows == landed["rows"] == 3 * PART // 512 - 1

    emulator.fault("reset", where="storage", times=100)
    with pytest.raises(SixtyfourTransferError):
        land(job_id, place, destination=f"{place.url}/other")
    assert not [name for name in place.names() if name.startswith("other")]
    assert place.unfinished() == 0


def test_done_already_it_is_not_landed_again(emulator: Emulator, workflow: str, place: Place) -> None:
    job_id = emulator.completed_run(workflow)
    first = land(job_id, place)
    emulator.clear()

    assert land(job_id, place, overwrite=False) == first
    assert emulator.requests() == []


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


@pytest.mark.parametrize("block", [150, parquet.BLOCK])
def test_a_column_of_all_kinds_becomes_json_text(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(parquet, "BLOCK", block)
    values = [1, "one", None, [1, 2], {"a": "é"}, True, 2.5, 2**70]
    table = convert(lines([{"pad": "x" * 150, "mixed": value, "n": 1} for value in values]), "ndjson")

    assert table.column("mixed").to_pylist() == ["1", "one", None, "[1, 2]", '{"a": "é"}', "true", "2.5", str(2**70)]
    assert str(table.schema.field("n").type) == "int64"


def test_texts_that_look_like_times_stay_texts_unless_a_schema_says_else() -> None:
    content = lines([{"at": "2026-01-01T10:00:00Z", "deep": {"on": "2026-01-01"}}])

    assert convert(content, "ndjson").to_pylist() == [json.loads(content)]
    assert str(convert(content, "ndjson", {"at": "timestamp[us]"}).schema.field("at").type) == "timestamp[us]"


def test_what_is_null_everywhere_is_text() -> None:
    assert str(convert(lines([{"a": None, "b": [None]}]), "ndjson").schema.field("a").type) == "string"


@pytest.mark.parametrize("depth", [41, 100, 400])
@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"x": ', "}")], ids=["lists", "objects"])
def test_what_readers_find_too_deep_becomes_json_text(depth: int, before: str, after: str) -> None:
    deep = before * depth + "1" + after * depth

    table = convert(f'{{"deep": {deep}, "flat": [1]}}\n{{"deep": null}}\n'.encode(), "ndjson")

    assert [str(field.type) for field in table.schema] == ["string", "list<element: int64>"]
    assert table.column("deep").to_pylist() == [json.dumps(json.loads(deep)), None]


@pytest.mark.parametrize(("before", "after"), [("[", "]"), ('{"x": ', "}")], ids=["lists", "objects"])
def test_what_readers_can_open_keeps_its_type(before: str, after: str) -> None:
    deep = before * 40 + "1" + after * 40

    assert convert(f'{{"deep": {deep}}}\n'.encode(), "ndjson").to_pylist() == [{"deep": json.loads(deep)}]


def test_many_brackets_side_by_side_are_no_depth() -> None:
    rows = [{"many": [{"a": number} for number in range(1_000)]}]

    assert convert(lines(rows), "ndjson").to_pylist() == rows


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_a_file_without_rows(content: bytes) -> None:
    assert convert(content, "ndjson").num_rows == 0
    assert convert(content.strip(), "csv").num_rows == 0


def test_csv_keeps_empty_texts_and_line_ends_in_cells() -> None:
    table = convert(b'\xef\xbb\xbfa,b\r\n"1\r\n2",\r\n"say ""hi""",007\r\n', "csv")

    assert table.to_pylist() == [{"a": "1\r\n2", "b": ""}, {"a": 'say "hi"', "b": "007"}]


def test_csv_with_a_schema() -> None:
    table = convert(b"n,on,name\n1,2026-01-01,x\n,,\n", "csv", {"n": "int64", "on": "date32", "other": "bool"})

    assert [str(field.type) for field in table.schema] == ["int64", "date32[day]", "string"]
    assert table.to_pylist()[1] == {"n": None, "on": None, "name": ""}


@pytest.mark.parametrize(
    ("content", "format", "schema"),
    [
        (b"a,b\n1,2,3\n", "csv", None),
        (b"a\n\xff\n", "csv", None),
        (b"a\nx\n", "csv", {"a": "int64"}),
        (b'{"a": 1}\n{"a": \n', "ndjson", None),
        (b'{"a": "x"}\n', "ndjson", {"a": "int64"}),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", "ndjson", None),
        (b'{"a": 1}\n' + b'{"a": ' * 3_000 + b"0" + b"}" * 3_000 + b"\n", "ndjson", None),
    ],
    ids=["ragged", "not UTF-8", "not of the schema", "broken", "no number", "very deep", "deep"],
)
def test_what_cannot_be_converted_is_an_error_that_says_why(
    content: bytes, format: str, schema: dict[str, str] | None
) -> None:
    with pytest.raises(SixtyfourTransferError, match=r"out\.parquet can't be written as Parquet: "):
        convert(content, format, schema)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"output_format": "parquet", "format": "json"}, "Parquet is made of csv or ndjson"),
        ({"output_format": "xlsx"}, "output_format should be None, csv or parquet, not 'xlsx'"),
        ({"output_format": "parquet", "parquet_schema": {"a": "number"}}, "gives column 'a' the type 'number'"),
        ({"output_format": "parquet", "parquet_schema": ["a"]}, "parquet_schema should be a dict"),
    ],
)
def test_parameters_that_cannot_be_right_ask_nothing(emulator: Emulator, arguments: dict[str, Any], said: str) -> None:
    one = Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id="j", destination="file:///tmp/x", **arguments)
    )
    with pytest.raises(AirflowFailException, match=said):
        one.run()
    assert emulator.requests() == []


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=2),
    max_leaves=5,
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.dictionaries(st.sampled_from("abc"), values, min_size=1), min_size=1, max_size=6))
def test_no_row_is_lost_whatever_is_in_it(rows: list[dict[str, Any]]) -> None:
    table = convert(lines(rows), "ndjson")

    assert table.num_rows == len(rows)
    for row, found in zip(rows, table.to_pylist(), strict=True):
        for name, value in row.items():
            assert (found[name] is None) == (value is None)
