"""What became of the batches: each is there once, with its result or among the missing ones."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches.collect import collect
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


def batch(number, rows=5):
    return {"index": number, "path": f"file:///sent/{number}.csv", "rows": rows, "bytes": 9, "sha256": "0"}


def result(number, job_id="job", rows=5, **more):
    return {
        "job_id": job_id,
        "source": f"file:///sent/{number}.csv",
        "rows": rows,
        "bytes": 100,
        "files": [],
        "manifest": f"file:///{number}/_manifest.json",
        "metrics": {"credits": 2},
        **more,
    }


def test_results_are_in_the_order_of_the_batches_and_added_up():
    whole = collect([batch(0), batch(1), batch(2, rows=3)], [result(2, rows=4), [result(0), None], (result(1),)])

    assert [one["source"][-5:] for one in whole.results] == ["0.csv", "1.csv", "2.csv"]
    assert whole.missing == ()
    assert whole.totals == {
        "batches": 3,
        "rows_sent": 13,
        "rows": 14,
        "bytes": 300,
        "metrics": {"credits": 6},
        "quality": {},
    }
    manifest = json.loads(whole.text("2026-11-01T00:00:00+00:00", None))
    assert (manifest["version"], manifest["complete"], manifest["merged"]) == (1, True, None)
    assert [one["job_id"] for one in manifest["results"]] == ["job"] * 3


def test_batches_without_a_result_are_missing():
    whole = collect([batch(number) for number in range(9)], [result(4)])

    assert [one["index"] for one in whole.missing] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert whole.missing_names() == "0.csv, 1.csv, 2.csv, 3.csv, 5.csv and 3 more"
    assert json.loads(whole.text("", None))["complete"] is False
    assert whole.totals["batches"] == 9


def test_the_quality_of_the_whole_is_that_of_the_batches_of_which_it_is_known():
    status = {"filled": 3, "empty": 2, "distinct": 2, "values": {"OK": 2, "RISKY": 1}}
    results = [
        result(0, quality={"name": {"filled": 5, "empty": 0, "distinct": 5}, "email_status": status}),
        result(1, quality={"name": {"filled": 4, "empty": 1, "distinct": 4}}),
        result(2),
        result(3, quality={"name": "hostile", 3: [], "email_status": {"filled": -1, "empty": 0}}),
    ]

    assert collect([batch(number) for number in range(4)], results).totals["quality"] == {
        "name": {"filled": 9, "empty": 1},
        "email_status": {"filled": 3, "empty": 7, "values": {"OK": 2, "RISKY": 1}},
    }


def test_where_the_batches_are_not_known_nothing_is_missing():
    whole = collect(None, [result(0, source=None), result(1, source=None)])

    assert (len(whole.results), whole.missing, whole.sent) == (2, (), None)


def test_an_empty_input_makes_an_empty_whole():
    assert collect([], []).totals == {"batches": 0, "rows_sent": 0, "rows": 0, "bytes": 0, "metrics": {}, "quality": {}}
    assert collect([], None).missing == ()


def test_rows_that_one_batch_does_not_know_are_not_known_of_the_whole():
    assert collect([batch(0), batch(1)], [result(0), result(1, rows=None)]).totals["rows"] is None


def test_a_dry_run_is_known_as_such():
    assert collect([batch(0)], [result(0, job_id=None)]).is_dry
    assert not collect([batch(0)], [result(0)]).is_dry


@pytest.mark.parametrize(
    ("batches", "results", "message"),
    [
        ([batch(0)], [result(1)], "1.csv, which is none of the batches"),
        ([batch(0)], [result(0), result(0)], "two results of the batch file:///sent/0.csv"),
        ([batch(0), batch(0)], [result(0)], "0.csv twice"),
        ([batch(0), batch(1)], [result(0), result(1, "other", manifest="file:///0/_manifest.json")], "in one folder"),
        (None, [result(0), result(1, "other", manifest="file:///0/_manifest.json")], "in one folder"),
        ("file:///sent/0.csv", [], "batches should be what the operators return"),
        ([batch(0)], "[]", "results should be"),
        ([batch(0)], [3], "results should be"),
        ([{"path": "x"}], [], "batches has something without 'rows'"),
        ([], [{"path": "x", "rows": 1}], "results has something without 'job_id'"),
        ([], {"job_id": "x"}, "results has something without 'source'"),
    ],
)
def test_what_does_not_fit_is_an_error(batches, results, message):
    with pytest.raises(SixtyfourInputError, match=message):
        collect(batches, results)


@given(st.lists(st.integers(0, 30), unique=True), st.sets(st.integers(0, 30)))
def test_every_batch_is_there_once(numbers, done):
    whole = collect([batch(number) for number in numbers], [result(number) for number in done & set(numbers)])

    there = [one["source"] for one in whole.results] + [one["path"] for one in whole.missing]
    assert sorted(there) == sorted(batch(number)["path"] for number in numbers)
