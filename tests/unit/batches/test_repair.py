"""The pending rows of an input: missing in the results, or there with empty result columns."""

from __future__ import annotations

import json
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches.repair import Repair, same_columns
from airflow_provider_sixtyfour.batches.result_rows import open_result
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.reader import open_source
from airflow_provider_sixtyfour.formats.rejects import NoRejects
from tests.unit.api.properties import searched
from tests.unit.batches.test_split_csv import written

INPUT = b'name,email\nOne,1@x\n"Two, Ltd",2@x\nThree,3@x\nFour,\nFive,5@x\n'


def opened(content, name="leads.csv", **more):
    return open_source(BytesIO(content), name, rejects=NoRejects(name), **more)


def pending(source, *results, key=("email",), result_columns=(), **more):
    """Return the records that are pending, and the repair."""
    repair = Repair(key=key, result_columns=result_columns)
    for name, content in results:
        repair.note_results(open_result(BytesIO(content), name))
    chunks = list(repair.pending(opened(source, **more)))
    return b"".join(chunk.data for chunk in chunks), repair


def test_missing_rows_and_rows_with_nothing_in_them_are_pending():
    first = ("first.csv", b"email,phone,title\n1@x,555,\n2@x, ,\n")
    second = ("second.ndjson", b'{"email": "3@x", "phone": null, "title": ""}\n{"email": "5@x", "title": "x"}\n')

    assert pending(INPUT, first, second, result_columns=("phone", "title"))[0] == b'"Two, Ltd",2@x\nThree,3@x\n'
    assert pending(INPUT, first, second, result_columns=("phone",))[0] == b'"Two, Ltd",2@x\nThree,3@x\nFive,5@x\n'
    assert pending(INPUT, first, second)[0] == b""
    assert pending(INPUT, first)[0] == b"Three,3@x\nFive,5@x\n"


def test_a_row_without_a_key_is_left_out_and_counted():
    records, repair = pending(INPUT)

    assert b"Four" not in records
    assert records.count(b"\n") == 4
    assert repair.without_key == 1


def test_a_row_that_came_back_twice_is_enriched_if_one_of_them_is():
    for rows in ("2@x,\n2@x,555\n", "2@x,555\n2@x,\n"):
        results = ("results.csv", b"email,phone\n" + rows.encode())
        assert b"Two" not in pending(INPUT, results, result_columns=("phone",))[0]


def test_numbers_are_the_same_keys_however_they_are_written():
    source = b'{"id": 1}\n{"id": 2.0}\n{"id": 3.5}\n'
    repair = Repair(key=("id",))
    repair.note_results(open_result(BytesIO(b'{"id": 1.0}\n{"id": 2}\n'), "results.ndjson"))

    [chunk] = repair.pending(opened(source, "leads.ndjson"))
    assert chunk.data == b'{"id": 3.5}\n'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
@pytest.mark.parametrize(("name", "results"), [("r.csv", "email\n2@x\n"), ("r.ndjson", '{"email": "2@x"}\n')])
def test_results_of_another_encoding_are_not_paid_for_again(encoding, name, results):
    assert b"Two" not in pending(INPUT, (name, results.encode(encoding)))[0]


def test_keys_of_which_the_input_has_none_are_counted():
    assert pending(INPUT, ("r.csv", b"email\n2@X\n3@X\n3@X\n"))[1].unknown_keys == 2
    assert pending(INPUT, ("r.csv", b"email\n2@X\n3@x\n"))[1].unknown_keys == 0


def test_the_input_has_its_columns_renamed_as_it_was_for_the_split():
    source = b"Mail\n1@x\n2@x\n"
    assert pending(source, ("r.csv", b"email\n1@x\n"), rename_columns={"Mail": "email"})[0] == b"2@x\n"


@pytest.mark.parametrize(
    ("source", "results", "message"),
    [
        (b"mail\n1@x\n", b"email,phone\n", "no column 'email'; there are: 'mail'. In leads.csv"),
        (INPUT, b"mail,phone\n1@x,1\n", "no column 'email'; there are: 'mail', 'phone'. In results.csv"),
        (INPUT, b"email,telephone\n1@x,1\n", "no column 'phone'; there are: 'email', 'telephone'. In results.csv"),
        (INPUT, b"email,phone,email\n1@x,1,2@x\n", "There are two columns of the name 'email'. In results.csv"),
    ],
)
def test_a_column_that_is_not_there_pays_for_nothing_again(source, results, message):
    with pytest.raises(SixtyfourInputError, match=message):
        pending(source, ("results.csv", results), result_columns=("phone",))


def test_a_column_that_no_json_row_has_pays_for_nothing_again():
    with pytest.raises(SixtyfourInputError, match="There is no column 'phone'"):
        pending(INPUT, ("results.ndjson", b'{"email": "1@x", "telephone": 1}\n'), result_columns=("phone",))
    assert pending(INPUT, ("results.ndjson", b""), result_columns=("phone",))[0].count(b"\n") == 4


@pytest.mark.parametrize(
    ("name", "results"),
    [
        ("r.csv", b'email,phone\n2@x,5" pipe\n1@x\r,1\n3@x,\rx\n'),
        ("r.csv", b'email,phone\n2@x,"5" pipe"\n1@x\n3@x,1,2\n'),
        ("r.csv", b'phone,note,email\n5" pipe,"a\nb",2@x\n5" pipe,"a\r\n""b""",3@x\n'),
        ("r.csv", b"email,phone\n2@x,\xff\n3@x,\0\n"),
        ("r.csv", b"email,phone\r2@x,5\r3@x,5\r"),
        ("r.csv", b'email,phone\n2@x,5\n3@x,5\n1@x,"open\n'),
        ("r.csv", b'\xef\xbb\xbf\n"email",phone\r\n2@x,"5\r\n,6"\r\n\r\n3@x,5'),
        ("r.ndjson", b'\n{"email": "2@x", "phone": "\\ud83d"}\n{broken\n[1]\n\xff\n{"email": "3@x", "phone": NaN}'),
        ("r.ndjson", b'\xef\xbb\xbf{"email": "2@x", "phone": 1}\r\n{"email": "3@x", "phone": "\xff"}' + b"[" * 9999),
    ],
)
def test_results_are_read_whatever_is_in_them(name, results):
    wanted = b"One,1@x\nFive,5@x\n"
    if b"[[" in results:
        wanted = b"One,1@x\nThree,3@x\nFive,5@x\n"
    if b'1@x,"open' in results:
        wanted = b"Five,5@x\n"

    assert pending(INPUT, (name, results), result_columns=("phone",))[0] == wanted


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n", b"email,phone\n", b"email,phone"])
def test_a_file_without_a_row_changes_nothing(content):
    assert pending(INPUT, ("r.csv", content), result_columns=("phone",))[0].count(b"\n") == 4


@pytest.mark.parametrize(
    ("name", "content"), [("b.csv", b"a,c\n"), ("b.csv", b"b,a\n"), ("b.ndjson", b""), ("b.csv", b"a\n")]
)
def test_inputs_that_cannot_be_one_file(name, content):
    with pytest.raises(SixtyfourInputError, match=rf"different headers: repair them one by one\. {name} and a\.csv\."):
        same_columns(opened(b"a,b\n", "a.csv"), opened(content, name))
    assert same_columns(opened(b"a,b\n", "a.csv"), opened(b"a,b\r\n", "b.csv")).name == "b.csv"


@searched
@given(
    st.lists(st.tuples(st.sampled_from(["", "1", "2", "3", "4,5", '"']), st.text(max_size=3)), max_size=12),
    st.lists(st.tuples(st.sampled_from(["", "1", "2", "3", "4,5", '"']), st.sampled_from(["", " ", "x"])), max_size=12),
    st.booleans(),
)
def test_pending_rows_and_results_are_the_whole_input(rows, came_back, as_json):
    rows = [(key, "".join(letter for letter in text if letter.isprintable())) for key, text in rows]
    content = written([("id", "text"), *rows])
    results = written([("found", "id"), *((found, key) for key, found in came_back)])
    name = "results.csv"
    if as_json:
        lines = [json.dumps({"id": key, "found": found or None}) for key, found in came_back]
        name, results = "results.jsonl", "\n".join(lines).encode()
    done = {key for key, found in came_back if found.strip()}

    records, repair = pending(content, (name, results), key=("id",), result_columns=("found",))

    wanted = [row for row in rows if row[0] and row[0] not in done]
    assert b"id,text\r\n" + records == written([("id", "text"), *wanted])
    assert repair.without_key == sum(not key for key, _ in rows)
