"""The life of a token, in both clients, against the emulator's token endpoint."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.async_client import AsyncSixtyfourClient
from airflow_provider_sixtyfour.api.client import SixtyfourClient
from airflow_provider_sixtyfour.api.credentials import OAuthClient
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError, SixtyfourUnavailableError
from tests.emulator_process import EmulatorProcess
from tests.unit.api.conftest import CLIENT_ID, plain_settings
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Reply, Server

OpenSender = Callable[[Settings], Sender]
MakeSettings = Callable[..., Settings]
TOKEN_PATH = "/oauth/token"


def paths(emulator: EmulatorProcess) -> list[str]:
    return [request["path"] for request in emulator.requests()]


def test_one_token_serves_many_calls(emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings):
    sender = open_sender(oauth_settings())
    for _ in range(5):
        sender.send(calls.list_workflows())
    assert paths(emulator) == [TOKEN_PATH, *["/workflows"] * 5]
    token_request, *others = emulator.requests()
    assert not {"authorization", "x-api-key"} & token_request["headers"].keys()
    assert {request["headers"]["authorization"].split(" ")[0] for request in others} == {"Bearer"}
    assert all("x-api-key" not in request["headers"] for request in others)


def test_a_token_is_renewed_before_it_ends(open_sender: OpenSender, private_pem: str):
    times = {"now": 0.0}
    tokens = (Reply(body=b'{"access_token": "T%d", "expires_in": 3600}' % number) for number in itertools.count(1))
    with Server(lambda request: next(tokens) if request.path == TOKEN_PATH else Reply(body=b"[]")) as server:
        credential = OAuthClient(CLIENT_ID, "key-1", private_pem, clock=lambda: times["now"])
        sender = open_sender(plain_settings(server.url, credential))
        used = []
        for times["now"] in (0.0, 3500.0, 3539.0, 3541.0, 7000.0, 7082.0):
            sender.send(calls.list_workflows())
            used.append(server.requests[-1].headers["authorization"])
    assert used == [f"Bearer {token}" for token in ("T1", "T1", "T1", "T2", "T2", "T3")]
    assert [request.path for request in server.requests].count(TOKEN_PATH) == 3


def test_threads_that_need_a_token_at_once_share_one_renewal(emulator: EmulatorProcess, oauth_settings: MakeSettings):
    emulator.fault("delay", path=TOKEN_PATH, delay=0.2)
    client = SixtyfourClient(oauth_settings())
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: client.send(calls.list_workflows()), range(16)))
    client.close()
    assert paths(emulator).count(TOKEN_PATH) == 1


async def test_coroutines_that_need_a_token_at_once_share_one_renewal(
    emulator: EmulatorProcess, oauth_settings: MakeSettings
):
    emulator.fault("delay", path=TOKEN_PATH, delay=0.2)
    async with AsyncSixtyfourClient(oauth_settings()) as client:
        await asyncio.gather(*(client.send(calls.list_workflows()) for _ in range(16)))
    assert paths(emulator).count(TOKEN_PATH) == 1


def test_a_token_that_was_revoked_is_replaced_once(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings
):
    sender = open_sender(oauth_settings())
    sender.send(calls.list_workflows())
    emulator.control("DELETE", "tokens")
    emulator.control("DELETE", "requests")
    sender.send(calls.list_workflows())
    assert [(request["path"], request["status"]) for request in emulator.requests()] == [
        ("/workflows", 401),
        (TOKEN_PATH, 200),
        ("/workflows", 200),
    ]
    assert sender.slept == []


def test_threads_that_lose_a_token_at_once_share_one_renewal(emulator: EmulatorProcess, oauth_settings: MakeSettings):
    client = SixtyfourClient(oauth_settings())
    client.send(calls.list_workflows())
    emulator.control("DELETE", "tokens")
    emulator.control("DELETE", "requests")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: client.send(calls.list_workflows()), range(8)))
    client.close()
    assert paths(emulator).count(TOKEN_PATH) == 1


def test_a_call_is_replayed_on_a_401_once_and_not_more(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings
):
    emulator.fault("answer", path="/workflows", status=401, times=10, body={"error": "Unauthorized", "message": "No"})
    sender = open_sender(oauth_settings())
    with pytest.raises(SixtyfourRefusedError, match=r"answered 401: No \(Unauthorized\).* While listing the workflows"):
        sender.send(calls.list_workflows())
    assert paths(emulator) == [TOKEN_PATH, "/workflows", TOKEN_PATH, "/workflows"]


def test_a_submission_without_a_key_survives_a_revoked_token_as_one_run(
    emulator: EmulatorProcess,
    open_sender: OpenSender,
    oauth_settings: MakeSettings,
    submission: Callable[..., calls.Call[object]],
):
    sender = open_sender(oauth_settings())
    sender.send(calls.list_workflows())
    emulator.control("DELETE", "tokens")
    before = len(emulator.runs())
    sender.send(submission())
    assert len(emulator.runs()) == before + 1


def test_a_client_that_is_refused_asks_once(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings, private_pem: str
):
    settings = plain_settings(emulator.url, OAuthClient("nobody", "key-1", private_pem))
    sender = open_sender(settings)
    with pytest.raises(SixtyfourRefusedError, match="While getting an access token for OAuth client nobody"):
        sender.send(calls.list_workflows())
    assert paths(emulator) == [TOKEN_PATH]


def test_a_submission_is_repeated_if_only_its_token_could_not_be_had(
    emulator: EmulatorProcess,
    open_sender: OpenSender,
    oauth_settings: MakeSettings,
    submission: Callable[..., calls.Call[object]],
):
    call = submission()
    emulator.fault("reset", path=TOKEN_PATH)
    emulator.fault("answer", path=TOKEN_PATH, status=502, body="<html>")
    before = len(emulator.runs())
    sender = open_sender(oauth_settings())
    sender.send(call)
    assert paths(emulator) == [TOKEN_PATH, TOKEN_PATH, TOKEN_PATH, "/workflows/run"]
    assert len(emulator.runs()) == before + 1
    assert len(sender.slept) == 2


def test_each_try_at_a_token_sends_a_new_assertion(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings
):
    # The emulator refuses an assertion that it has seen: the answer of the first try is lost.
    emulator.fault("drop", path=TOKEN_PATH, when="after")
    settings = oauth_settings()
    open_sender(settings).send(calls.list_workflows())
    assert paths(emulator) == [TOKEN_PATH, TOKEN_PATH, "/workflows"]
    assert len(set(settings.credential.secrets())) == 3


def test_a_new_token_is_reported_as_a_secret_and_appears_nowhere(
    emulator: EmulatorProcess,
    open_sender: OpenSender,
    oauth_settings: MakeSettings,
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG)
    secrets_reported: list[str] = []
    settings = oauth_settings(on_secret=secrets_reported.append)
    sender = open_sender(settings)
    sender.send(calls.list_workflows())
    [token] = secrets_reported
    assertion, _ = settings.credential.secrets()
    assert emulator.requests()[-1]["headers"]["authorization"] == f"Bearer {token}"
    texts = [repr(settings), repr(settings.credential), repr(sender.client)]
    for status in (400, 401, 502):
        echo = {"message": f"odd: {token} and {assertion}"}
        emulator.fault("answer", path="/workflows", status=status, times=3, body=echo)
        with pytest.raises((SixtyfourRefusedError, SixtyfourUnavailableError)) as caught:
            sender.send(calls.list_workflows(), attempts=2)
        emulator.control("DELETE", "faults")
        texts += [str(caught.value), repr(caught.value), caplog.text]
    assert "odd: *** and ***" in texts[3]
    shown = "\n".join(texts)
    assert not any(secret in shown for secret in (assertion, token))
    assert CLIENT_ID not in texts[0]


ADVICE = "Check this machine's clock, and the connection's client id (login), key_id and private key."


@pytest.mark.parametrize(
    "body",
    [{"error": "invalid_client", "error_description": "No such key"}, {"detail": "No such key (invalid_client)"}],
    ids=["RFC 6749", "detail"],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_the_error_of_the_token_endpoint_names_what_to_check(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings, status: int, body: object
):
    emulator.fault("answer", path=TOKEN_PATH, status=status, body=body)
    with pytest.raises(SixtyfourRefusedError) as caught:
        open_sender(oauth_settings()).send(calls.list_workflows())
    assert caught.value.status == status
    assert str(caught.value).startswith(f"Sixtyfour answered {status}: No such key (invalid_client).")
    assert str(caught.value).endswith(f"{ADVICE} While getting an access token for OAuth client {CLIENT_ID}.")
    assert paths(emulator) == [TOKEN_PATH]


def test_an_error_under_status_200_is_a_refusal_at_once(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings
):
    body = {"error": "invalid_grant", "error_description": "The assertion has expired"}
    emulator.fault("answer", path=TOKEN_PATH, status=200, body=body, times=5)
    with pytest.raises(SixtyfourRefusedError) as caught:
        open_sender(oauth_settings()).send(calls.list_workflows())
    assert str(caught.value) == (
        f"Sixtyfour answered 200 with an error: The assertion has expired (invalid_grant). {ADVICE} "
        f"While getting an access token for OAuth client {CLIENT_ID}."
    )
    assert paths(emulator) == [TOKEN_PATH]


@pytest.mark.parametrize("body", [{"access_token": "", "error": ""}, [], "<html>", {"hello": 1}], ids=str)
def test_an_odd_answer_of_the_token_endpoint_is_no_refusal(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings, body: object
):
    emulator.fault("answer", path=TOKEN_PATH, status=200, body=body)
    sender = open_sender(oauth_settings())
    sender.send(calls.list_workflows())
    assert paths(emulator) == [TOKEN_PATH, TOKEN_PATH, "/workflows"]


@pytest.mark.parametrize("ahead", [-30.0, 0.0, 59.0], ids=lambda seconds: f"{seconds:+g} s")
def test_a_clock_that_is_somewhat_wrong_still_gets_a_token(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings, ahead: float
):
    open_sender(oauth_settings(clock=lambda: time.time() + ahead)).send(calls.list_workflows())
    assert paths(emulator) == [TOKEN_PATH, "/workflows"]


@pytest.mark.parametrize("ahead", [-1000.0, 200.0], ids=lambda seconds: f"{seconds:+g} s")
def test_a_clock_that_is_quite_wrong_is_the_first_thing_to_check(
    emulator: EmulatorProcess, open_sender: OpenSender, oauth_settings: MakeSettings, ahead: float
):
    with pytest.raises(SixtyfourRefusedError, match="Check this machine's clock"):
        open_sender(oauth_settings(clock=lambda: time.time() + ahead)).send(calls.list_workflows())
    assert paths(emulator) == [TOKEN_PATH]
