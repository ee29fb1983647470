"""The policy on failed status checks, as a table; and with real answers of both clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.responses import Answer, read
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.polling.failure_policy import REFUSAL_PATIENCE, Next, Repetition, judge

JSON, PAGE, EMPTY = b'{"detail": "no"}', b"<html><title>Not here</title></html>", b""
LONG = 10 * REFUSAL_PATIENCE


def failure(status: int, body: bytes, *, call: Any = None) -> SixtyfourError:
    """Return what a client raises for an answer."""
    try:
        read(call or calls.live_status("job"), Answer(status, {}, body))
    except SixtyfourError as error:
        return error
    raise AssertionError(f"{status} with {body!r} was taken for an answer")


def then(error: SixtyfourError, repeated_for: float = 0.0, *, is_new_run: bool = False) -> Next:
    return judge(error, repeated_for=repeated_for, patience=REFUSAL_PATIENCE, is_new_run=is_new_run)


@pytest.mark.parametrize("body", [PAGE, EMPTY, b"[]", b"{}", b'"no"', b'{"status": "error"}', b"\xff", b"[" * 100_000])
@pytest.mark.parametrize("status", [*range(300, 309), *range(400, 452), 499, 500, 502, 503, 504, 520, 599])
def test_what_is_not_the_apis_own_json_is_an_outage_however_long(status: int, body: bytes):
    assert then(failure(status, body), LONG) is Next.OUTAGE


@pytest.mark.parametrize("body", [JSON, PAGE])
@pytest.mark.parametrize("status", [301, 302, 304, 307, 407, 408, 413, 418, 421, 425, 429, 431, 499, 500, 503])
def test_what_proxies_answer_is_an_outage_whatever_its_body(status: int, body: bytes):
    assert then(failure(status, body), LONG) is Next.OUTAGE


@pytest.mark.parametrize(
    "body",
    [
        {"detail": "Not found"},
        {"error": "Unauthorized", "message": "Invalid API key"},
        {"error": {"code": "gone", "message": "no"}},
        {"message": "no"},
        {"detail": [{"loc": ["path", "run_id"], "msg": "not a uuid"}]},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 410, 422, 451])
def test_a_refusal_in_the_apis_own_json_is_doubted_then_believed(status: int, body: Any):
    error = failure(status, json.dumps(body).encode())
    assert then(error, 0.0) is then(error, REFUSAL_PATIENCE - 0.1) is Next.DOUBT
    assert then(error, REFUSAL_PATIENCE) is Next.GIVE_UP


def test_a_run_that_was_just_started_may_be_unknown_but_not_refused():
    assert then(failure(404, JSON), LONG, is_new_run=True) is Next.OUTAGE
    assert then(failure(403, JSON), LONG, is_new_run=True) is Next.GIVE_UP
    token = calls.exchange_token("client", "assertion")
    assert then(failure(404, JSON, call=token), 0.0, is_new_run=True) is Next.DOUBT


@pytest.mark.parametrize(
    "error",
    [
        SixtyfourUnavailableError("No answer."),
        SixtyfourUnavailableError("Sixtyfour answered 429.", status=429, retry_after=300.0),
        SixtyfourRefusedError("The certificate of the host is not trusted (it has expired)."),
    ],
    ids=str,
)
def test_the_network_and_its_certificates_are_an_outage_however_long(error: SixtyfourError):
    assert then(error, LONG) is Next.OUTAGE


def test_what_can_never_be_sent_ends_the_wait_at_once():
    assert then(SixtyfourInputError("no id")) is Next.GIVE_UP


@pytest.mark.parametrize(("status", "is_about_it"), [(401, True), (403, False), (404, False), (400, False)])
def test_what_is_about_the_credential(status: int, is_about_it: bool):
    error = failure(status, JSON)
    assert isinstance(error, SixtyfourRefusedError)
    assert error.about_credential is is_about_it
    of_token = failure(status, JSON, call=calls.exchange_token("client", "assertion"))
    assert isinstance(of_token, SixtyfourRefusedError)
    assert of_token.about_credential


def refusal(status: int = 404) -> SixtyfourRefusedError:
    return SixtyfourNotFoundError("No.", status=status, from_api=True)


def repeated(*events: tuple[float, SixtyfourError | None]) -> list[float]:
    """Return for how long a refusal counts as repeated after each failure; ``None`` is a success."""
    repetition, found = Repetition(300.0), []
    for moment, error in events:
        if error is None:
            repetition.end()
        else:
            found.append(repetition.add(error, moment))
    return found


def test_a_refusal_is_as_old_as_its_first_in_a_row():
    assert repeated(*((10.0 * n, refusal()) for n in range(5))) == [0, 10, 20, 30, 40]


def test_a_success_ends_it():
    assert repeated((0, refusal()), (50, refusal()), (60, None), (70, refusal()), (80, refusal())) == [0, 50, 0, 10]


def test_another_refusal_begins_another():
    assert repeated((0, refusal()), (50, refusal()), (60, refusal(403)), (70, refusal(403))) == [0, 50, 0, 10]


def test_the_time_of_an_outage_does_not_count():
    away = SixtyfourUnavailableError("Away.")
    page = SixtyfourNotFoundError("A page.", status=404)
    events = [(0.0, refusal()), (50.0, refusal()), (60.0, away), (660.0, page), (670.0, refusal()), (680.0, refusal())]
    assert repeated(*events) == [0, 50, 0, 0, 50, 60]


def test_two_answers_far_apart_are_not_believed_and_no_clock_makes_time_run_back():
    assert repeated((0, refusal()), (86_400, refusal()), (0, refusal()), (5, refusal())) == [0, 100, 100, 105]
