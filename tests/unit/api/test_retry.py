from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.retry import ATTEMPTS, may_repeat, pause
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from tests.unit.api.properties import searched

REPEATABLE: dict[str, calls.Call[Any]] = {
    "list workflows": calls.list_workflows(),
    "get workflow": calls.get_workflow("w"),
    "list blocks": calls.list_blocks(),
    "update": calls.update_workflow("w", {}),
    "delete": calls.delete_workflow("w"),
    "list runs": calls.list_runs(),
    "live status": calls.live_status("j"),
    "cancel": calls.cancel_run("j"),
    "result files": calls.result_files("j"),
    "upload": calls.upload_file(io.BytesIO(), "f.csv"),
    "run with a key": calls.run_workflow("w", {}, idempotency_key="k"),
}
ONCE: dict[str, calls.Call[Any]] = {
    "run without a key": calls.run_workflow("w", {}),
    "create": calls.create_workflow({"workflow_name": "n"}),
    "token": calls.exchange_token("c", "a"),
}
MAY_HAVE_WORKED = SixtyfourUnavailableError("lost", may_have_worked=True)
DID_NOTHING = SixtyfourUnavailableError("429", status=429, may_have_worked=False)
FINAL = [SixtyfourRefusedError("400", status=400), SixtyfourNotFoundError("404", status=404), SixtyfourInputError("i")]


@pytest.mark.parametrize("name", REPEATABLE)
def test_what_changes_nothing_more_is_repeated(name: str):
    assert may_repeat(REPEATABLE[name], MAY_HAVE_WORKED)
    assert may_repeat(REPEATABLE[name], DID_NOTHING)


@pytest.mark.parametrize("name", ONCE)
def test_what_could_happen_twice_is_repeated_only_if_it_did_not_happen(name: str):
    assert not may_repeat(ONCE[name], MAY_HAVE_WORKED)
    assert may_repeat(ONCE[name], DID_NOTHING)


@pytest.mark.parametrize("error", [*FINAL, ValueError("a bug"), KeyboardInterrupt()])
def test_what_waiting_does_not_fix_is_not_repeated(error: BaseException):
    assert not any(may_repeat(call, error) for call in [*REPEATABLE.values(), *ONCE.values()])


@pytest.mark.parametrize(("asked", "least"), [(0, 0), (0.5, 0.5), (7, 7), (60, 60), (300, 300), (301, 300), (1e9, 300)])
def test_retry_after_is_waited_for_and_capped(asked: float, least: float):
    for attempt in (1, 5, 50):
        assert least <= pause(SixtyfourUnavailableError("x", retry_after=asked), attempt) <= least + 1


@searched
@given(st.integers(1, 10**7))
def test_a_pause_is_never_longer_than_a_minute_nor_nothing(attempt: int):
    assert 0.5 <= pause(SixtyfourUnavailableError("x"), attempt) <= 60


def test_pauses_grow_exponentially():
    for attempt in range(1, 8):
        longest = max(pause(SixtyfourUnavailableError("x"), attempt) for _ in range(300))
        expected = min(2.0 ** (attempt - 1), 59.5) + 0.5
        assert 0.8 * expected <= longest <= expected


def test_many_waiters_do_not_return_at_once():
    for error in (SixtyfourUnavailableError("x"), SixtyfourUnavailableError("x", retry_after=5)):
        assert len({pause(error, 4) for _ in range(50)}) == 50


def test_the_tries_outlast_the_window_of_the_rate_limit():
    expected = sum(sum(pause(None, attempt) for _ in range(200)) / 200 for attempt in range(1, ATTEMPTS))
    assert expected > 60
