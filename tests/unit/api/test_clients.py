"""Both clients, tested against the emulator and, for odd behaviour, against small servers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.credentials import ApiKey
from airflow_provider_sixtyfour.api.retry import ATTEMPTS
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from tests.emulator_process import EmulatorProcess
from tests.unit.api.certificates import Certificates
from tests.unit.api.conftest import plain_settings
from tests.unit.api.senders import Sender
from tests.unit.api.servers import Reply, Request, Server, Silent, closed_port

OpenSender = Callable[[Settings], Sender]
Submission = Callable[..., calls.Call[Any]]
NewRuns = Callable[[], list[dict[str, Any]]]
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


def settings(url: str, **options: Any) -> Settings:
    return plain_settings(url, ApiKey("SESAME"))._replace(**options)


def submissions(emulator: EmulatorProcess) -> list[dict[str, Any]]:
    return [request for request in emulator.requests() if request["path"] == "/workflows/run"]


def test_every_endpoint_of_the_contract(sender: Sender, emulator: EmulatorProcess):
    graph = {
        "blocks": [
            {"block_id": "a", "sequence_number": 1, "block_type": "i", "block_name": "webhook", "specs": {}},
            {"block_id": "b", "sequence_number": 2, "block_type": "e", "block_name": "find_email", "specs": {}},
        ],
        "edges": [{"from_block_id": "a", "to_block_id": "b"}],
    }
    body = {"workflow_name": "Größe", "workflow_description": "d", "workflow_definition": graph}
    workflow = sender.send(calls.create_workflow(body))
    assert (workflow.name, workflow.description) == ("Größe", "d")
    assert sender.send(calls.update_workflow(workflow.id, {"workflow_name": "other"})).name == "other"
    assert sender.send(calls.get_workflow(workflow.id)).definition is not None
    assert workflow.id in [one.id for one in sender.send(calls.list_workflows())]
    assert "find_email" in [kind.block_name for kind in sender.send(calls.list_blocks())]
    run = sender.send(
        calls.run_workflow(
            workflow.id, {"webhook_payload": [{"name": "Ada"}]}, result_formats=("csv", "json", "ndjson")
        )
    )
    assert not run.already_started
    live = sender.send(calls.live_status(run.job_id))
    assert (live.status, live.percent, live.workflow_id) == ("completed", 100.0, workflow.id)
    assert [block.block_name for block in live.blocks] == ["webhook", "find_email"]
    [row] = sender.send(calls.list_runs(workflow_id=workflow.id, status="completed", limit=500))
    assert (row.job_id, row.metrics["rows_in"]) == (run.job_id, 1)
    for format in calls.RESULT_FORMATS:
        [file] = sender.send(calls.result_files(run.job_id, format))
        assert (file.row_count, file.block_number) == (1, 2)
        assert file.download_url is not None
        assert file.download_url.startswith(emulator.storage_url)
    emulator.plan(seconds=600)
    running = sender.send(calls.run_workflow(workflow.id, {"webhook_payload": {"name": "Ada"}}))
    assert sender.send(calls.cancel_run(running.job_id)) is None
    assert sender.send(calls.live_status(running.job_id)).status == "cancelled"
    assert sender.send(calls.delete_workflow(workflow.id)).status == "deleted"
    with pytest.raises(SixtyfourNotFoundError):
        sender.send(calls.get_workflow(workflow.id))
    for request in emulator.requests():
        assert request["headers"]["x-api-key"] == emulator.api_key
        assert "authorization" not in request["headers"]
    assert sender.slept == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 409, 422])
@pytest.mark.parametrize("key", [None, "key"])
def test_a_refusal_is_requested_once_and_raised(
    sender: Sender, emulator: EmulatorProcess, submission: Submission, new_runs: NewRuns, status: int, key: str | None
):
    call = submission(key)
    body = {"error": {"code": "why", "message": "The reason"}}
    emulator.fault("answer", path="/workflows/run", status=status, body=body, times=10)
    with pytest.raises(SixtyfourRefusedError, match=rf"answered {status}: The reason \(why\)\..* While starting ") as e:
        sender.send(call)
    assert e.value.status == status
    assert len(emulator.requests()) == 1
    assert sender.slept == []
    assert new_runs() == []


@pytest.mark.parametrize(
    ("status", "body"),
    [(302, ""), (401, {"detail": "expired"}), (403, HTML), (409, {"detail": "in progress"}), (422, "")],
)
def test_a_refusal_after_a_lost_answer_is_no_end(
    sender: Sender, emulator: EmulatorProcess, submission: Submission, new_runs: NewRuns, status: int, body: Any
):
    emulator.fault("drop", when="after", path="/workflows/run")
    emulator.fault("answer", path="/workflows/run", status=status, body=body)
    started = sender.send(submission(str(uuid.uuid4())))
    assert [started.job_id] == [run["job_id"] for run in new_runs()]
    assert len(emulator.requests()) == 3


def test_refusals_after_a_lost_answer_leave_open_whether_it_worked(
    sender: Sender, emulator: EmulatorProcess, submission: Submission, new_runs: NewRuns
):
    emulator.fault("drop", when="after", path="/workflows/run")
    emulator.fault("answer", path="/workflows/run", status=401, body={"detail": "expired"}, times=10)
    with pytest.raises(SixtyfourUnavailableError, match=r"^Sixtyfour answered 401: expired.*may have worked") as caught:
        sender.send(submission(str(uuid.uuid4())))
    assert caught.value.may_have_worked
    assert len(emulator.requests()) == ATTEMPTS
    assert len(new_runs()) == 1


OUTAGES = {
    "502 with HTML": {"action": "answer", "status": 502, "body": HTML},
    "503 empty": {"action": "answer", "status": 503},
    "504 after it worked": {"action": "answer", "status": 504, "body": HTML, "when": "after"},
    "dropped": {"action": "drop"},
    "dropped after it worked": {"action": "drop", "when": "after"},
    "reset": {"action": "reset"},
    "reset after it worked": {"action": "reset", "when": "after"},
    "200 with HTML": {"action": "answer", "status": 200, "body": HTML},
    "200 with half an answer": {"action": "answer", "status": 200, "body": '{"job_id": "', "when": "after"},
    "200 with another answer": {"action": "answer", "status": 200, "body": {"hello": 1}, "when": "after"},
    "cut": {"action": "cut", "cut_after": 10},
}
WORKED = {"504 after it worked", "dropped after it worked", "reset after it worked", "cut"}
WORKED |= {"200 with half an answer", "200 with another answer"}


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_submission_that_may_have_worked_is_sent_once(
    sender: Sender, emulator: EmulatorProcess, submission: Submission, new_runs: NewRuns, outage: str
):
    call = submission()
    emulator.fault(**OUTAGES[outage], path="/workflows/run", times=10)
    with pytest.raises(SixtyfourUnavailableError) as caught:
        sender.send(call)
    assert caught.value.may_have_worked
    assert f"While starting workflow {dict(call.query)['workflow_id']}" in str(caught.value)
    assert len(submissions(emulator)) == 1
    assert len(new_runs()) == (1 if outage in WORKED else 0)
    assert sender.slept == []


@pytest.mark.parametrize("outage", OUTAGES)
def test_under_a_key_it_is_repeated_and_starts_one_run(
    sender: Sender, emulator: EmulatorProcess, submission: Submission, new_runs: NewRuns, outage: str
):
    key = f"{outage}-{type(sender).__name__}"
    call = submission(key)
    emulator.fault(**OUTAGES[outage], path="/workflows/run", times=3)
    started = sender.send(call)
    [run] = new_runs()
    assert started.job_id == run["job_id"]
    assert started.already_started == (outage in WORKED)
    sent = submissions(emulator)
    assert [request["idempotency_key"] for request in sent] == [key] * 4
    assert len(sender.slept) == 3
    assert all(0.5 <= pause <= 4.5 for pause in sender.slept)


@pytest.mark.parametrize("outage", OUTAGES)
def test_a_request_without_effects_is_repeated(sender: Sender, emulator: EmulatorProcess, outage: str):
    emulator.fault(**OUTAGES[outage], path="/workflows", times=3)
    sender.send(calls.list_workflows())
    assert len(emulator.requests()) == 4
    assert len(sender.slept) == 3


@pytest.mark.parametrize("key", [None, "k429"])
def test_a_429_is_repeated_after_what_it_asks_for(
    sender: Sender, emulator: EmulatorProcess, submission: Submission, new_runs: NewRuns, key: str | None
):
    call = submission(key and key + type(sender).__name__)
    emulator.fault("answer", path="/workflows/run", status=429, headers={"Retry-After": "7"}, times=2)
    emulator.fault("answer", path="/workflows/run", status=429, headers={"Retry-After": "100000"})
    emulator.fault("answer", path="/workflows/run", status=429, headers={"Retry-After": "soon"})
    emulator.fault("answer", path="/workflows/run", status=429)
    sender.send(call)
    assert len(submissions(emulator)) == 6
    assert len(new_runs()) == 1
    first, second, capped, *unasked = sender.slept
    assert 7 <= first <= 8
    assert 7 <= second <= 8
    assert first != second
    assert 300 <= capped <= 301
    assert all(0.5 <= pause <= 16.5 for pause in unasked)


def test_the_rate_limit_itself(sender: Sender, emulator: EmulatorProcess):
    emulator.fault("answer", status=429, times=ATTEMPTS - 1, body={"error": "Too Many Requests", "message": "More"})
    sender.send(calls.list_workflows())
    assert len(sender.slept) == ATTEMPTS - 1


def test_the_tries_come_to_an_end(sender: Sender, emulator: EmulatorProcess, caplog: pytest.LogCaptureFixture):
    emulator.fault("answer", status=502, body=HTML, times=100)
    with pytest.raises(SixtyfourUnavailableError) as caught:
        sender.send(calls.list_workflows())
    assert str(caught.value) == "Sixtyfour answered 502: 502 Bad Gateway. While listing the workflows."
    assert len(emulator.requests()) == ATTEMPTS
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider_sixtyfour")]
    assert len(lines) == ATTEMPTS - 1
    assert lines[0].startswith(f"{caught.value} Trying again in 1 s (1 of {ATTEMPTS}).")


def test_one_attempt_is_one_request(sender: Sender, emulator: EmulatorProcess):
    emulator.fault("answer", status=502, times=100)
    with pytest.raises(SixtyfourUnavailableError):
        sender.send(calls.list_workflows(), attempts=1)
    assert len(emulator.requests()) == 1


def test_nobody_listens(open_sender: OpenSender, submission: Submission):
    url = f"http://127.0.0.1:{closed_port()}"
    sender = open_sender(settings(url))
    # A connection that was never made carried nothing out: also a submission without a key is repeated.
    for call in (calls.list_workflows(), submission()):
        sender.slept.clear()
        with pytest.raises(SixtyfourUnavailableError) as caught:
            sender.send(call, attempts=3)
        assert str(caught.value) == f"No answer from {url}: connection refused. While {call.purpose}."
        assert not caught.value.may_have_worked
        assert len(sender.slept) == 2


def test_a_server_that_never_answers_is_given_up_on(open_sender: OpenSender, submission: Submission):
    with Silent() as server:
        sender = open_sender(settings(server.url, timeout=0.2))
        with pytest.raises(SixtyfourUnavailableError) as caught:
            sender.send(submission())
        assert str(caught.value).startswith(
            f"No answer from {server.url}: timed out after 0.2 s. While starting workflow "
        )
        assert caught.value.may_have_worked
        assert sender.slept == []
        with pytest.raises(SixtyfourUnavailableError):
            sender.send(calls.list_workflows(), attempts=2)
        assert len(sender.slept) == 1


def test_a_name_that_does_not_exist(open_sender: OpenSender):
    sender = open_sender(settings("http://nobody.invalid:1"))
    with pytest.raises(SixtyfourUnavailableError, match=r"nobody\.invalid:1: its name can't be resolved.* While "):
        sender.send(calls.list_workflows(), attempts=1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_raised_and_not_followed(open_sender: OpenSender, submission: Submission, status: int):
    def redirect(request: Request) -> Reply:
        return Reply(status, headers={"Location": f"{elsewhere.url}/other?signature=1"})

    with Server(lambda request: Reply(body=b"[]")) as elsewhere, Server(redirect) as api:
        sender = open_sender(settings(api.url))
        for call in (calls.list_workflows(), submission("key")):
            with pytest.raises(SixtyfourRefusedError) as caught:
                sender.send(call)
            assert f"a redirect to 127.0.0.1:{elsewhere.port}, which is not followed" in str(caught.value)
            assert "SESAME" not in str(caught.value)
        assert len(api.requests) == 2
        assert elsewhere.requests == []
        assert sender.slept == []


@pytest.mark.parametrize("location", ["http://[", "\xff\xfe", "", "mailto:x", "//", "http://a..b/"])
def test_an_odd_redirect_is_an_error_in_words(open_sender: OpenSender, location: str):
    with Server(lambda request: Reply(302, headers={"Location": location})) as api:
        with pytest.raises(SixtyfourError):
            open_sender(settings(api.url)).send(calls.list_workflows(), attempts=1)
        assert len(api.requests) == 1


def test_no_second_credential_comes_from_netrc(
    open_sender: OpenSender, key_settings: Settings, emulator: EmulatorProcess, netrc: Path
):
    open_sender(key_settings).send(calls.list_workflows())
    [request] = emulator.requests()
    assert "authorization" not in request["headers"]
    assert request["headers"]["x-api-key"] == emulator.api_key


def test_the_token_call_carries_no_second_credential(
    open_sender: OpenSender, oauth_settings: Any, emulator: EmulatorProcess, netrc: Path
):
    open_sender(oauth_settings()).send(calls.list_workflows())
    token, listing = emulator.requests()
    assert "authorization" not in token["headers"]
    assert listing["headers"]["authorization"].startswith("Bearer ")


def test_a_wrong_key_is_refused_and_not_shown(open_sender: OpenSender, emulator: EmulatorProcess):
    emulator.fault("answer", status=401, body={"message": "SESAME is not a key of ours"})
    with pytest.raises(SixtyfourRefusedError) as caught:
        open_sender(settings(emulator.url)).send(calls.list_workflows())
    assert str(caught.value) == (
        "Sixtyfour answered 401: *** is not a key of ours. Check the API key, or the OAuth client, of the connection. "
        "While listing the workflows."
    )
    assert len(emulator.requests()) == 1


def test_a_base_url_with_a_path(open_sender: OpenSender):
    with Server(lambda request: Reply(body=b"[]")) as server:
        open_sender(settings(f"{server.url}/v1")).send(calls.list_runs(workflow_id="a@b"))
    assert server.requests[0].path == "/v1/workflows/runs?limit=100&workflow_id=a%40b"


def test_connections_are_reused(sender: Sender, emulator: EmulatorProcess):
    for _ in range(5):
        sender.send(calls.list_workflows())
    assert len({request["client"] for request in emulator.requests()}) == 1


def test_rows_arrive_as_they_were_given(sender: Sender, emulator: EmulatorProcess, workflow_id: str):
    rows = [{"name": "Zoë 😀 \u2028 \x00", "n": 10**30, "f": -0.5, "b": None, "l": [{"x": True}]}]
    job_id = sender.send(calls.run_workflow(workflow_id, {"webhook_payload": rows})).job_id
    [run] = [run for run in emulator.runs() if run["job_id"] == job_id]
    assert run["body"] == {"webhook_payload": rows}


def test_a_certificate_that_is_not_trusted_is_raised_after_one_request(
    open_sender: OpenSender, certificates: Certificates, no_bundle: None
):
    with Server(lambda request: Reply(body=b"[]"), tls=certificates.server) as server:
        sender = open_sender(settings(server.url))
        with pytest.raises(SixtyfourRefusedError) as caught:
            sender.send(calls.list_workflows())
        assert str(caught.value) == (
            f"The certificate of {server.url} is not trusted (self-signed certificate). Set verify in the connection's "
            "extra to the path of the right CA bundle. While listing the workflows."
        )
        assert caught.value.status is None
        assert sender.slept == []
        assert server.requests == []


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_connections_word_on_certificates_goes_before_the_environments(
    open_sender: OpenSender, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Certificates(other).path))
    with Server(lambda request: Reply(body=b"[]"), tls=certificates.server) as server:
        for verify in (str(certificates.path), False):
            assert open_sender(settings(server.url, verify=verify)).send(calls.list_workflows()) == ()
        with pytest.raises(SixtyfourRefusedError, match="is not trusted"):
            open_sender(settings(server.url, verify=True)).send(calls.list_workflows())


def test_both_clients_trust_the_bundle_of_the_environment(
    open_sender: OpenSender, certificates: Certificates, no_bundle: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.path))
    with Server(lambda request: Reply(body=b"[]"), tls=certificates.server) as server:
        assert open_sender(settings(server.url)).send(calls.list_workflows()) == ()


@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_ca_bundle_that_is_none_is_bad_input(open_sender: OpenSender, tmp_path: Path, content: str | None):
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    sender = open_sender(settings(f"https://127.0.0.1:{closed_port()}", verify=str(bundle)))
    with pytest.raises(SixtyfourInputError, match=r"bundle\.pem"):
        sender.send(calls.list_workflows())
    assert sender.slept == []


def test_a_server_that_speaks_no_http(open_sender: OpenSender, certificates: Certificates):
    # Plain HTTP to a TLS port, and TLS to a plain one.
    with Server(lambda request: Reply(), tls=certificates.server) as tls, Server(lambda request: Reply()) as plain:
        for url in (tls.url.replace("https", "http"), plain.url.replace("http", "https")):
            with pytest.raises(SixtyfourUnavailableError) as caught:
                open_sender(settings(url)).send(calls.list_workflows(), attempts=1)
            assert str(caught.value).startswith(f"No answer from {url}: ")
            assert str(caught.value).endswith(" While listing the workflows.")


def test_an_answer_that_can_not_be_decoded_is_an_outage(open_sender: OpenSender):
    with (
        Server(lambda request: Reply(body=b"no gzip", headers={"Content-Encoding": "gzip"})) as server,
        pytest.raises(SixtyfourUnavailableError),
    ):
        open_sender(settings(server.url)).send(calls.list_workflows(), attempts=1)


def test_a_compressed_answer_is_read(open_sender: OpenSender):
    import gzip

    body = gzip.compress(json.dumps([{"id": "w", "name": "x" * 1000}]).encode())
    with Server(lambda request: Reply(body=body, headers={"Content-Encoding": "gzip"})) as server:
        [workflow] = open_sender(settings(server.url)).send(calls.list_workflows())
    assert workflow.id == "w"
