from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api.calls import identifier
from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.models import (
    BlockProgress,
    BlockType,
    ListedRun,
    LiveStatus,
    MalformedAnswer,
    ResultFile,
    StartedRun,
    Token,
    Workflow,
    read_handle,
)
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.names import safe_stem
from tests.unit.api.properties import searched

READERS: dict[str, Callable[[Any], object]] = {
    "workflow": Workflow.read,
    "workflows": Workflow.read_all,
    "blocks": BlockType.read_all,
    "started run": StartedRun.read,
    "live status": LiveStatus.read,
    "runs": ListedRun.read_all,
    "result files": ResultFile.read_all,
    "token": Token.read,
    "handle": read_handle,
}
FIELDS = [
    *("id", "name", "description", "status", "workflow_definition", "block_name", "specs_schema", "job_id"),
    *("already_started", "overall_status", "overall_progress_percentage", "current_block", "blocks", "filename"),
    *("processed_count", "total_count", "error_message", "sequence_number", "metrics", "status_reason", "results"),
    *("block_number", "row_count", "file_size", "download_url", "download_expires_in_seconds", "access_token"),
    *("expires_in", "handle_id", "unknown"),
]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=8)


@searched
@given(reader=st.sampled_from(list(READERS.values())), value=json_values | objects | st.lists(objects, max_size=3))
def test_any_json_is_read_or_malformed(reader: Callable[[Any], object], value: Any):
    with contextlib.suppress(MalformedAnswer):
        reader(value)


@pytest.mark.parametrize(
    ("reader", "whole", "required"),
    [
        ("workflow", {"id": "w"}, "id"),
        ("started run", {"job_id": "j"}, "job_id"),
        ("live status", {"overall_status": "running"}, "overall_status"),
        ("token", {"access_token": "t"}, "access_token"),
        ("handle", {"handle_id": "h"}, "handle_id"),
    ],
)
@pytest.mark.parametrize("bad", [None, "", "  ", 7, True, [], {}, "absent"])
def test_what_decisions_rest_on_is_required(reader: str, whole: dict[str, Any], required: str, bad: Any):
    READERS[reader](whole)
    broken = {} if bad == "absent" else {required: bad}
    with pytest.raises(MalformedAnswer, match=f"has no '{required}'"):
        READERS[reader](broken)


def test_an_empty_object_is_enough_where_nothing_is_required():
    assert ResultFile.read_all([{}]) == (
        ResultFile(
            filename="",
            block_number=None,
            row_count=None,
            file_size=None,
            message=None,
            expires_in=900.0,
            download_url=None,
            rows=None,
        ),
    )
    assert BlockProgress.read("?") == BlockProgress("?", None, None, None, None, None)


def test_a_live_status_as_the_api_returns_it():
    live = LiveStatus.read(
        {
            "workflow_id": "w",
            "overall_status": "running",
            "overall_progress_percentage": 41.67,
            "current_block": "find_email",
            "new_field": [1],
            "blocks": [
                {"block_name": "webhook", "sequence_number": 1, "status": "completed"},
                {"block_name": "find_email", "status": "running", "processed_count": 5, "total_count": 20.0},
                None,
            ],
        }
    )
    assert (live.workflow_id, live.status, live.percent, live.current_block) == ("w", "running", 41.67, "find_email")
    assert live.blocks[0] == BlockProgress("webhook", 1, "completed", None, None, None)
    assert live.blocks[1] == BlockProgress("find_email", None, "running", 5, 20, None)
    assert live.blocks[2].block_name == "?"


@pytest.mark.parametrize(
    ("given_value", "percent"),
    [
        *((0, 0.0), (50, 50.0), (100.0, 100.0), (1e18, 100.0), (101, 100.0), (-1, 0.0), (float("nan"), 0.0)),
        *((float("inf"), 0.0), ("50", 0.0), (True, 0.0), (None, 0.0), (10**400, 0.0)),
    ],
)
def test_percent_is_0_to_100_whatever_comes(given_value: Any, percent: float):
    assert LiveStatus.read({"overall_status": "x", "overall_progress_percentage": given_value}).percent == percent


@pytest.mark.parametrize("bad", ["7", -1, True, None, float("nan"), float("-inf"), [], {}, 10**400])
def test_a_count_that_is_none_is_unknown(bad: Any):
    [file] = ResultFile.read_all([{"row_count": bad, "file_size": bad, "block_number": bad}])
    assert (file.row_count, file.file_size, file.block_number) == (None, None, None)


def test_a_submission_was_replayed_only_if_the_api_returns_true():
    assert StartedRun.read({"job_id": "j", "already_started": True}).already_started
    for other in (False, None, "true", 1, "absent"):
        data = {"job_id": "j"} if other == "absent" else {"job_id": "j", "already_started": other}
        assert not StartedRun.read(data).already_started


def test_rows_of_the_list_that_name_no_run_are_left_out():
    rows = [{"job_id": "a", "status": "failed", "status_reason": "r"}, {"job_id": "b"}, {"status": "x"}, 7, None, "s"]
    [run] = ListedRun.read_all(rows)
    assert (run.job_id, run.status, run.status_reason, run.metrics) == ("a", "failed", "r", {})


def test_inline_rows_are_kept_as_they_are():
    [file] = ResultFile.read_all([{"results": [{"a": 1}, 7, {"b": None}], "download_expires_in_seconds": 0}])
    assert file.rows == ({"a": 1}, {"b": None})
    assert file.expires_in == 0


@pytest.mark.parametrize("token", ["a\nb", "tök€n", "a\x00"])
def test_a_token_that_fits_no_header_is_malformed(token: str):
    with pytest.raises(MalformedAnswer):
        Token.read({"access_token": token})


@pytest.mark.parametrize(("expires_in", "seconds"), [(3600, 3600), (0.5, 0.5), (None, 300), ("3600", 300), (-1, 300)])
def test_how_long_a_token_lives(expires_in: Any, seconds: float):
    assert Token.read({"access_token": "t", "expires_in": expires_in}).expires_in == seconds


def test_secrets_are_not_in_repr():
    [file] = ResultFile.read_all([{"download_url": "https://s.example/?sig=SESAME", "results": [{"who": "SOMEBODY"}]}])
    token = Token.read({"access_token": "SESAME"})
    assert "SESAME" not in f"{file!r}{file}{token!r}{token}"
    assert "SOMEBODY" not in repr(file)


def test_what_is_read_can_not_be_changed():
    run = StartedRun.read(json.loads('{"job_id": "j"}'))
    with pytest.raises(AttributeError):
        run.job_id = "k"  # type: ignore[misc]


SECRET = "k-1234567890"
CLEANER = Cleaner((SECRET,))
DIRTY = f"a\x1b[31m\nb {SECRET} https://s.example/x?sig=SESAME " + "x" * 2000


def test_text_for_readers_is_cleaned_as_it_is_read():
    block = {"block_name": DIRTY, "error_message": DIRTY, "status": DIRTY}
    live = LiveStatus.read({"overall_status": DIRTY, "current_block": DIRTY, "blocks": [block]}, CLEANER)
    row = {"job_id": "j", "status": DIRTY, "status_reason": DIRTY, "error_message": DIRTY, "metrics": {DIRTY: 1}}
    [run] = ListedRun.read_all([row], CLEANER)
    [file] = ResultFile.read_all([{"filename": DIRTY, "message": DIRTY}], CLEANER)
    [kind] = BlockType.read_all([{"block_name": DIRTY}], CLEANER)

    messages = [live.blocks[0].error_message, run.status_reason, run.error_message, file.message]
    names = [live.status, live.current_block, live.blocks[0].block_name, live.blocks[0].status, run.status]
    names += [*run.metrics, kind.block_name, file.filename]
    for text in [*messages, *names]:
        assert text is not None
        assert text.isprintable()
        assert SECRET not in text
        assert "SESAME" not in text
    assert {len(text or "") for text in messages} == {500}
    assert max(len(text or "") for text in names[:-2]) <= 120


@pytest.mark.parametrize("status", ["running", "COMPLETED", " failed\n", "timed_out", "continued-as-new", "time out"])
def test_a_status_is_compared_as_it_came(status: str):
    """But for the space around it and its case."""
    assert LiveStatus.read({"overall_status": status}, CLEANER).status == status.strip()
    [run] = ListedRun.read_all([{"job_id": "j", "status": status}], CLEANER)
    assert run.status == status.strip()


@pytest.mark.parametrize("status", ["completed\x00", "comple\u200bted", "\x1b[0mcompleted", "completed\u202e"])
def test_what_is_hidden_in_a_status_makes_it_another(status: str):
    assert LiveStatus.read({"overall_status": status}, CLEANER).status != "completed"


ODD_IDS = ["../../x", "a b", f"run-{SECRET}", "run-1?sig=SESAME", "run-1\u200b", "x" * 10_000, "\x1b[0mrun-1"]


@pytest.mark.parametrize("odd", ODD_IDS)
def test_an_odd_id_is_shown_cleaned_and_is_no_id(odd: str):
    for read in (
        StartedRun.read({"job_id": odd}, CLEANER).job_id,
        Workflow.read({"id": odd}, CLEANER).id,
        read_handle({"handle_id": odd}, CLEANER),
    ):
        assert len(read) <= 200
        assert read.isprintable()
        assert SECRET not in read
        assert "SESAME" not in read
        with pytest.raises(SixtyfourInputError):
            identifier(read, "job_id")


@pytest.mark.parametrize("odd", [f"run-{SECRET}", "run-1?sig=SESAME", "run-1\u200b", "x" * 10_000])
def test_an_odd_id_that_is_not_required_is_none(odd: str):
    assert LiveStatus.read({"overall_status": "x", "workflow_id": odd}, CLEANER).workflow_id is None
    rows = [{"job_id": odd, "status": "x"}, {"job_id": "j", "status": "x", "workflow_id": odd}]
    [run] = ListedRun.read_all(rows, CLEANER)
    assert (run.job_id, run.workflow_id) == ("j", None)


@pytest.mark.parametrize(
    "name", ["leads.csv", "a b  c.csv", "Größe 東京.csv", "\u2714\ufe0f.csv", "a/../b?x.csv", "50 %.csv", ".hidden", ""]
)
def test_a_files_name_is_kept_as_it_is(name: str):
    [file] = ResultFile.read_all([{"filename": name}], CLEANER)
    assert file.filename == name


def test_a_files_name_ends_up_the_same_with_what_can_not_be_printed():
    odd = "a\x00b\u200bc\ud83d\n.csv"
    [file] = ResultFile.read_all([{"filename": odd}], CLEANER)
    assert safe_stem(file.filename, "csv") == safe_stem(odd, "csv")


def test_what_is_compared_or_landed_is_kept_as_it_came():
    definition = {"blocks": [{"block_name": DIRTY, "specs": {DIRTY: DIRTY}}]}
    workflow = Workflow.read({"id": "w", "name": DIRTY, "workflow_definition": definition}, CLEANER)
    [file] = ResultFile.read_all([{"download_url": "https://s.example/?sig=S", "results": [{"a": DIRTY}]}], CLEANER)

    assert (workflow.name, workflow.definition) == (DIRTY, definition)
    assert (file.download_url, file.rows) == ("https://s.example/?sig=S", ({"a": DIRTY},))


TIMES = {
    name: f"2026-06-10T10:0{number}:00Z"
    for number, name in enumerate(
        ["created_at", "updated_at", "queued_at", "started_at", "completed_at", "last_run_date", "last_updated"]
    )
}


def test_timestamps_are_instants():
    [run] = ListedRun.read_all([{"job_id": "j", "status": "x", **TIMES}])
    workflow = Workflow.read({"id": "w", **TIMES})
    live = LiveStatus.read({"overall_status": "x", **TIMES})

    for answer, names in (
        (run, ["created_at", "updated_at", "queued_at", "started_at", "completed_at"]),
        (workflow, ["created_at", "updated_at", "last_run_date"]),
        (live, ["started_at", "completed_at", "last_updated"]),
    ):
        read = {name: getattr(answer, name) for name in names}
        assert all(isinstance(one, pendulum.DateTime) for one in read.values())
        assert {name: one.to_iso8601_string() for name, one in read.items()} == {name: TIMES[name] for name in names}


@pytest.mark.parametrize(
    "text",
    [
        *("2026-06-10T10:00:00Z", "2026-06-10T12:00:00+02:00", "2026-06-10T10:00:00.000000Z", "2026-06-10T10:00:00"),
        *("2026-06-10 10:00:00", "2026-06-10T10:00:00.000"),
    ],
)
def test_every_form_of_a_timestamp_is_the_same_instant(text: str):
    assert Workflow.read({"id": "w", "created_at": text}).created_at == pendulum.datetime(2026, 6, 10, 10)


@pytest.mark.parametrize(
    "bad",
    [
        *(None, "", "now", "yesterday", "2026-13-01T00:00:00Z", "P1D", "10:00", "2026-06-10/2026-06-11", 1765432100),
        *(True, [], {}, "2026-06-10T10:00:00Z" + " " * 100, "9" * 60),
        *("1:", "12:.40", "2026-06-10/03:04:05Z", "2026-06-10T10:00:00-99:99", "2026-06-10T10:00:00+24:00"),
    ],
)
def test_what_is_no_instant_is_none(bad: Any):
    assert Workflow.read({"id": "w", "created_at": bad}).created_at is None


@searched
@given(st.text(max_size=70) | st.from_regex(r"[0-9TZ:+./ P-]{1,64}", fullmatch=True))
def test_any_text_is_an_instant_or_none(text: str):
    created = Workflow.read({"id": "w", "created_at": text}).created_at
    assert created is None or created.tzinfo is not None


def test_secret_in_a_timestamp_is_removed():
    text = f"2026-06-10 {SECRET}"
    assert SECRET not in repr(Workflow.read({"id": "w", "created_at": text}, CLEANER))
