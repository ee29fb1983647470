from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.responses import Answer, read, retry_after
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from tests.unit.api.properties import searched

CALL = calls.live_status("job-1")
DOING = "While checking the status of run job-1."
CALLS: list[calls.Call[Any]] = [
    CALL,
    calls.list_workflows(),
    calls.get_workflow("w"),
    calls.list_blocks(),
    calls.list_runs(),
    calls.run_workflow("w", {}),
    calls.cancel_run("j"),
    calls.result_files("j"),
    calls.exchange_token("c", "a"),
]


def answer(status: int, body: Any = b"", headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def error_of(status: int, body: Any = b"", headers: dict[str, str] | None = None, **options: Any) -> SixtyfourError:
    with pytest.raises(SixtyfourError) as caught:
        read(CALL, answer(status, body, headers), **options)
    return caught.value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "Bad graph", "message": "Block 2 has no input"}, "Block 2 has no input (Bad graph)."),
        ({"error": {"code": "bad_graph", "message": "No source."}}, "No source. (bad_graph)."),
        ({"error": {"code": "", "message": "No source."}}, "No source."),
        ({"error": {"message": "No source"}}, "No source."),
        ({"error": "Same", "message": "Same"}, "Same."),
        ({"error": None, "message": "Only this"}, "Only this."),
        ({"error": {}, "message": "Only this"}, "Only this."),
        ({"error": "Only this"}, "Only this."),
        ({"error": "invalid_client", "error_description": "Unknown key"}, "Unknown key (invalid_client)."),
        ({"detail": "Not here"}, "Not here."),
        ({"detail": {"error": "e", "message": "m"}}, "m (e)."),
        (
            {"detail": [{"loc": ["body", "rows", 0], "msg": "Field required"}, {"loc": ["query"], "msg": "Bad"}]},
            "body.rows.0: Field required; query: Bad.",
        ),
        ({"detail": ["one", {"message": "two"}]}, "one; two."),
        ({"detail": []}, "no reason given."),
        ({"message": "Nur so viel: Größe"}, "Nur so viel: Größe."),
        ({"unknown": {"größe": 1}}, '{"unknown": {"größe": 1}}.'),
        ("just text", "just text."),
        ([], "no reason given."),
        ({}, "no reason given."),
        (None, "no reason given."),
        (17, "17."),
        (b"", "no reason given."),
        (b"plain words", "plain words."),
        (b"<html><head><title>413 Too\n Large</title></head><body>nginx</body></html>", "413 Too Large."),
        (b"<html><body><h1>Bad &amp; worse</h1><hr>nginx</body></html>", "Bad & worse nginx."),
        (b'{"error": "half', '{"error": "half.'),
        (b"\xff\xfe\x00oops", "\ufffd\ufffd oops."),
        (b'{"message": "\\ud800 half a pair\\u001b[31m"}', "half a pair."),
    ],
)
def test_every_shape_of_error_becomes_one_readable_line(body: Any, reason: str):
    error = error_of(422, body)
    assert isinstance(error, SixtyfourRefusedError)
    assert str(error) == f"Sixtyfour answered 422: {reason} {DOING}"
    assert error.status == 422


@pytest.mark.parametrize(
    ("status", "kind", "advice"),
    [
        (400, SixtyfourRefusedError, ""),
        (401, SixtyfourRefusedError, " Check the API key, or the OAuth client, of the connection."),
        (
            402,
            SixtyfourRefusedError,
            " Add credits to the Sixtyfour account, then clear the task.",
        ),
        (403, SixtyfourRefusedError, " The connection's credential has no access to it."),
        (404, SixtyfourNotFoundError, " There is none of that id, or it belongs to another organisation."),
        (409, SixtyfourRefusedError, ""),
        (413, SixtyfourRefusedError, ""),
        (422, SixtyfourRefusedError, ""),
        (408, SixtyfourUnavailableError, ""),
        (425, SixtyfourUnavailableError, ""),
        (429, SixtyfourUnavailableError, " The account is over its limit of requests a minute."),
        (500, SixtyfourUnavailableError, ""),
        (502, SixtyfourUnavailableError, ""),
        (503, SixtyfourUnavailableError, ""),
        (504, SixtyfourUnavailableError, ""),
        (599, SixtyfourUnavailableError, ""),
        (100, SixtyfourUnavailableError, ""),
    ],
)
def test_the_status_determines_the_class_and_the_advice(status: int, kind: type[SixtyfourError], advice: str):
    error = error_of(status, {"detail": "Why"})
    assert type(error) is kind
    assert error.status == status  # type: ignore[attr-defined]
    assert str(error) == f"Sixtyfour answered {status}: Why.{advice} {DOING}"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_only_a_refusal_before_any_work_is_known_to_have_done_nothing(status: int):
    error = error_of(status)
    assert isinstance(error, SixtyfourUnavailableError)
    assert error.may_have_worked == (status not in (425, 429))


def test_a_huge_reason_is_cut():
    error = error_of(400, {"detail": "x" * 2_000_000})
    assert str(error) == f"Sixtyfour answered 400: {'x' * 496} […] {DOING}"
    assert len(str(error_of(400, b"<p>" * 500_000))) < 200
    assert len(str(error_of(400, b"y" * 2_000_000))) < 800
    assert len(str(error_of(400, {"detail": [{"loc": ["a" * 5000], "msg": "b"}] * 100}))) < 800


def test_deeply_nested_json_is_no_crash():
    for body in (b"[" * 200_000, b'{"error":' * 200_000, b'{"detail":' * 900 + b"1" + b"}" * 900):
        assert len(str(error_of(400, body))) < 1500
        assert isinstance(error_of(200, body), SixtyfourUnavailableError)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"<html><title>Maintenance</title></html>", "it is not JSON. It begins: 'Maintenance'"),
        (b"", "it is not JSON. It is empty."),
        (b'{"overall_status": "runn', "it is not JSON."),
        (b'{"overall_status": 7}', "a live status has no 'overall_status'."),
        (b'{"overall_status": "  "}', "a live status has no 'overall_status'."),
        (b"[]", "a live status should be an object, not list."),
        (b"null", "a live status should be an object, not NoneType. It begins: 'null'"),
    ],
)
def test_a_200_without_meaning_counts_as_unavailable(body: bytes, what: str):
    error = error_of(200, body)
    assert isinstance(error, SixtyfourUnavailableError)
    assert str(error) == f"Answer 200 of the API can't be read: {what} {DOING}"
    assert error.may_have_worked


def test_the_error_of_a_redirect_has_its_host_and_nothing_more_of_it():
    error = error_of(307, b"", {"location": "https://user:pw@elsewhere.example:8443/path?signature=sesame"})
    assert isinstance(error, SixtyfourRefusedError)
    assert str(error) == (
        "Sixtyfour answered 307: a redirect to elsewhere.example:8443, which is not followed. "
        f"The host of the connection is probably not the API's own address. {DOING}"
    )


@pytest.mark.parametrize("location", ["", "/relative", "http://[", "http://" + "a" * 100_000, "\x00\x1b[31m"])
def test_any_location_makes_a_short_error(location: str):
    error = error_of(302, b"", {"location": location})
    assert isinstance(error, SixtyfourRefusedError)
    assert len(str(error)) < 400


SECRET = 's3cr3t-"quoted"\\-' + "k" * 40


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, {"message": f"The key {SECRET} is not known"}),
        (401, {"odd": [f"The key {SECRET} is not known"]}),
        (401, SECRET.encode()),
        (502, f"<html><title>{SECRET}</title>".encode()),
        (200, f"<p>hello</p> {SECRET}".encode()),
        # Where the text is cut, a piece of a secret must not be left over.
        *((400, {"message": "x" * length + SECRET + "y" * 600}) for length in (440, 470, 490, 499)),
        *((200, b"x" * length + SECRET.encode() + b"y" * 600) for length in (80, 100, 119)),
    ],
)
def test_no_message_repeats_a_secret(status: int, body: Any):
    text = str(error_of(status, body, secrets=(SECRET,)))
    assert "s3cr3t" not in text
    assert "kkkk" not in text


def test_no_message_repeats_a_signature():
    link = "https://store.example/a.csv?sig=SESAME&x=1"
    assert "SESAME" not in str(error_of(400, {"message": f"no such file: {link}"}))
    assert "https://store.example/a.csv?***" in str(error_of(400, {"message": f"no such file: {link}"}))
    # Half an answer: not JSON any more, so it could be shown as text.
    assert "SESAME" not in str(error_of(200, b'[{"download_url": "https://store.example/a.csv?sig=SESAME'))
    assert "SESAME" not in str(error_of(200, link.encode()))


@pytest.mark.parametrize(
    "body", [b'{"token": "MINTED"}', b"access_token=MINTED&expires_in=60", b'{"access_token": "MINTED']
)
def test_nothing_of_a_token_answer_is_shown(body: bytes):
    with pytest.raises(SixtyfourUnavailableError) as caught:
        read(calls.exchange_token("client", "assertion"), answer(200, body))
    assert "MINTED" not in str(caught.value)
    assert "getting an access token for OAuth client client" in str(caught.value)


@searched
@given(
    call=st.sampled_from(CALLS),
    status=st.integers(100, 599) | st.sampled_from([200, 201, 204, 301, 404, 429]),
    body=st.binary(max_size=300) | st.text(max_size=200).map(lambda text: json.dumps(text).encode()),
    headers=st.dictionaries(st.sampled_from(["retry-after", "location", "content-type"]), st.text(max_size=40)),
)
@example(call=CALL, status=302, body=b"", headers={"location": "http://["})
@example(call=calls.list_blocks(), status=200, body=b'[{"block_name": "x"}, {"block_name": null}]', headers={})
def test_any_answer_is_read_or_refused_in_words(
    call: calls.Call[Any], status: int, body: bytes, headers: dict[str, str]
):
    _read_or_refuse(call, Answer(status, headers, body))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
shaped = st.dictionaries(
    st.sampled_from(["error", "message", "detail", "code", "error_description", "job_id", "status", "overall_status"]),
    json_values | st.text(max_size=20),
    max_size=5,
)


@searched
@given(
    call=st.sampled_from(CALLS),
    status=st.sampled_from([200, 400, 404, 500]),
    value=json_values | shaped | st.lists(shaped, max_size=3),
)
@example(call=calls.result_files("j"), status=200, value=[{"row_count": 10**400}])
def test_any_json_is_read_or_refused_in_words(call: calls.Call[Any], status: int, value: Any):
    _read_or_refuse(call, answer(status, value))


def _read_or_refuse(call: calls.Call[Any], given_answer: Answer) -> None:
    error: SixtyfourRefusedError | SixtyfourUnavailableError
    try:
        read(call, given_answer)
    except (SixtyfourRefusedError, SixtyfourUnavailableError) as raised:
        error = raised
    else:
        assert 200 <= given_answer.status < 300
        return
    assert len(str(error)) < 1500
    assert str(error).isprintable()
    assert isinstance(error, SixtyfourNotFoundError) == (given_answer.status == 404)
    assert error.status == given_answer.status


NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("999999999", 999999999.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Sun, 22 Nov 2026 12:01:30 -0000", 90.0),
        ("Sun, 22 Nov 2026 13:01:30 +0100", 90.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("0x10", None),
        ("1,5", None),
        ("9" * 400, None),
        ("Sun, 99 Nov 2026 12:01:30 GMT", None),
        ("Sun, 22 Nov 99999 12:01:30 GMT", None),
        ("Sun, 22 Nov 2026 12:01:30 +9999", None),
    ],
)
def test_retry_after_in_both_forms(value: str, seconds: float | None):
    assert retry_after({"retry-after": value}, NOW) == seconds


def test_no_retry_after():
    assert retry_after({}) is None


@searched
@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,5} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d [+-]?\w{0,6}"))
def test_any_retry_after_is_no_crash(value: str):
    seconds = retry_after({"retry-after": value}, NOW)
    assert seconds is None or seconds >= 0


@pytest.mark.parametrize("status", [429, 503, 500])
def test_an_error_carries_what_retry_after_asks_for(status: int):
    error = error_of(status, b"", {"retry-after": "12"})
    assert isinstance(error, SixtyfourUnavailableError)
    assert error.retry_after == 12.0


def test_what_an_answer_holds_is_not_in_its_repr():
    assert "TOKEN" not in repr(Answer(200, {"set-cookie": "TOKEN"}, b'{"access_token": "TOKEN"}'))
