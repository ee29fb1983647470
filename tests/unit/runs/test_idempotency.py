from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.runs.idempotency import Action, Record, decide, derived_key
from tests.unit.api.properties import searched

STARTED = Record("key", "digest", 2, "job")
LOST = Record("key", "digest", 2)
START, REPLAY, REPLACE, ADOPT = Action.START, Action.REPLAY, Action.REPLACE, Action.ADOPT


@pytest.mark.parametrize(
    ("record", "max_tries", "digest", "status", "action"),
    [
        # The first try.
        *((None, 2, "digest", status, START) for status in (None, "running", "completed")),
        # A user's Clear, or other work: whatever became of the run.
        *((STARTED, 5, "digest", s, START) for s in (None, "queued", "running", "completed", "failed", "new")),
        *((STARTED, 2, "other", s, START) for s in (None, "queued", "running", "completed", "failed", "new")),
        # ... whose run may be in progress, though its answer was lost.
        *((LOST, 5, "digest", None, REPLACE), (LOST, 2, "other", None, REPLACE)),
        # The request, or its answer, may have been lost.
        (LOST, 2, "digest", None, REPLAY),
        # A run that did not make it is replaced.
        *((STARTED, 2, "digest", s, START) for s in ("failed", "cancelled", "canceled", "timeout", "FAILED", None)),
        # One that is paid for is not.
        *((STARTED, 2, "digest", s, ADOPT) for s in ("queued", "running", "completed", "Completed", "paused", "")),
    ],
)
def test_what_a_try_does(record: Record | None, max_tries: int, digest: str, status: str | None, action: Action):
    assert decide(record, max_tries=max_tries, digest=digest, status=status) is action


@pytest.mark.parametrize(
    ("record", "digest", "status", "action"),
    [
        *((STARTED, "digest", s, ADOPT) for s in ("completed", "Completed")),
        *((STARTED, "digest", s, START) for s in (None, "queued", "running", "failed", "canceled", "new", "")),
        (LOST, "digest", None, REPLAY),
        *((STARTED, "other", s, START) for s in (None, "running", "completed")),
        (LOST, "other", None, REPLACE),
    ],
)
def test_what_the_first_try_after_a_clear_does_that_pays_for_nothing_twice(
    record: Record, digest: str, status: str | None, action: Action
):
    """A run that is still running may be one that the Clear is stopping."""
    assert decide(record, max_tries=5, digest=digest, status=status, clear_pays_again=False) is action


@searched
@given(st.text(), st.text(), st.integers(), st.none() | st.text(), st.none() | st.text())
def test_a_record_is_read_as_it_was_written(
    key: str, digest: str, max_tries: int, job_id: str | None, handle: str | None
):
    record = Record(key, digest, max_tries, job_id, handle)
    assert Record.read(record.as_json()) == record
    assert Record.read({**record.as_json(), "version": 2, "later": [1]}) == record


def test_a_record_takes_the_runs_id():
    assert LOST.started("job") == STARTED


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "text", 7, [], {}, b"", [("key", "k")]),
        {"key": "k", "digest": "d"},
        {"key": "k", "digest": "d", "max_tries": "2"},
        {"key": None, "digest": "d", "max_tries": 2},
        {"key": "k", "digest": 7, "max_tries": 2},
    ],
)
def test_what_is_no_record_is_none(value: Any):
    assert Record.read(value) is None


def test_a_record_with_a_broken_job_id_has_none():
    assert Record.read({"key": "k", "digest": "d", "max_tries": 2, "job_id": 7}) == Record("k", "d", 2)


IDENTITY = {"host": "h", "dag": "d", "run": "r", "task": "t", "map_index": -1}


def test_every_part_of_a_derived_key_counts():
    keys = [
        derived_key(IDENTITY, max_tries=2, digest="x", generation=0),
        derived_key(IDENTITY, max_tries=3, digest="x", generation=0),
        derived_key(IDENTITY, max_tries=2, digest="y", generation=0),
        derived_key(IDENTITY, max_tries=2, digest="x", generation=1),
        *(derived_key({**IDENTITY, name: "other"}, max_tries=2, digest="x", generation=0) for name in IDENTITY),
        # No part runs over into the next.
        derived_key({**IDENTITY, "dag": "dt", "task": ""}, max_tries=2, digest="x", generation=0),
        derived_key(IDENTITY, max_tries=2, digest="x1", generation=0),
        derived_key(IDENTITY, max_tries=21, digest="x", generation=0),
    ]
    assert len(set(keys)) == len(keys)


def test_every_try_derives_the_same_key():
    orders = itertools.permutations(IDENTITY.items())
    keys = {derived_key(dict(order), max_tries=2, digest="x", generation=0) for order in orders}
    # Fixed for ever: a task may be retried after an upgrade of this package.
    assert keys == {"airflow-cf7a7bbbce2e95d13d90a213b44dadf426b3d854025d11b3b4ebff7073e42c3c"}
    assert all(key.isascii() and len(key) < 100 for key in keys)
