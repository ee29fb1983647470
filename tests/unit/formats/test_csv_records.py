"""The two ways to read CSV, strict for inputs and lenient for results, agree about records without a flaw."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.formats import csv_records
from airflow_provider_sixtyfour.formats.csv_records import LENIENT_RECORD, cells, flaw, outline, record_ends, record_of
from tests.unit.api.properties import searched

texts = st.text(alphabet='a",\n\r \u2028\u00e9\U0001f600', max_size=6)
tables = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), max_size=5))


@searched
@given(tables, st.sampled_from([b"\n", b"\r\n"]))
@example([['"', ""], ["", ",\n"]], b"\n")
def test_both_find_the_same_records_and_a_reader_the_same_cells(table: list[list[str]], ending: bytes):
    records = [record_of(row, ending) for row in table]
    data = b"".join(records)

    assert all(flaw(outline(record), len(row)) is None for record, row in zip(records, table, strict=True))
    ends = record_ends(data)[0].offsets
    assert [data[start:end] for start, end in zip([0, *ends], ends, strict=False)] == records
    assert LENIENT_RECORD.findall(data) == records
    assert [cells(record) for record in records] == table
    assert list(csv.reader(io.StringIO(data.decode(), newline=""))) == table


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'5" pipe,b\n', ['5" pipe', "b"]),
        (b'"a"b,"c""d"e\n', ["ab", 'c"de']),
        (b'"",""x,"y"\n', ["", "x", "y"]),
        (b'a,"never closed\n', ["a", '"never closed']),
        (b"\xff,b\n", ["\udcff", "b"]),
    ],
)
def test_cells_of_a_record_with_a_flaw_are_what_stands_there(record: bytes, expected: list[str]):
    assert cells(record) == expected
    assert LENIENT_RECORD.fullmatch(record) or csv_records.why_endless(record)
