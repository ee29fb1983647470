"""An API that repeats the credential and signed URLs in every text that it sends: nothing of that is kept or shown."""

import json
import re
import traceback
from urllib.parse import quote

import pytest

from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import (
    SixtyfourCancelRunOperator,
    SixtyfourDeleteWorkflowOperator,
    SixtyfourDeployWorkflowOperator,
    SixtyfourRunWorkflowOperator,
)
from airflow_provider_sixtyfour.sensors.sixtyfour import SixtyfourRunSensor
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.api.servers import Reply, Server
from tests.unit.standins import StateStore, Task, fire
from tests.unit.test_secrets import DEFINITION

pytestmark = pytest.mark.usefixtures("no_pauses")

KEY = 'k-"1234567890"/abc+def'
SIGNATURE = "SESAME"
SPELLINGS = [KEY, json.dumps(KEY)[1:-1], json.dumps(KEY)[1:-1].replace("/", "\\/"), quote(KEY, safe=""), quote(KEY)]
LINKS = [
    f"https://store.example/a.csv?X-Amz-Signature={SIGNATURE}",
    f"https:\\/\\/store.example\\/a.csv?sig={SIGNATURE}",
    f"//store.example/a.csv?{SIGNATURE}",
    quote(f"https://store.example/a.csv?Signature={SIGNATURE}", safe=""),
    f"?token={SIGNATURE}",
    f"X-Goog-Signature={SIGNATURE}",
]
# What moves a cursor, ends a line, reverses it or hides in it; and half a character.
ODD = "\x1b[2J \r\n \u202e \u200b \x00 \ud83d "
POISON = ODD + " ".join([*SPELLINGS, *LINKS, KEY[:9] + "\u200b" + KEY[9:]]) + ODD + "x" * 3000
JOB, WORKFLOW = "run-1", "9a4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d66"
BLOCK = {
    "block_name": POISON,
    "block_type": POISON,
    "block_id": POISON,
    "sequence_number": 1,
    "specs": {POISON: POISON},
}


class Echo:
    """Answers what each endpoint may; every text that no decision depends on is poison."""

    def __init__(self):
        self.status = "failed"
        self.errors = None  # the status with which all is refused
        self.job_id = JOB
        self.block_message = POISON
        self.has_links = True
        self.demands = []  # what the specs of every block need
        self.asked = []
        self.url = ""

    def __call__(self, request):
        path, _, query = request.path.partition("?")
        self.asked.append(path)
        if path == "/file":
            return Reply(body=b"name\nLead One\n")
        if self.errors is not None and not path.startswith("/workflows/blocks"):
            location = {"Location": f"https://{quote(KEY, safe='')}.example/?sig={SIGNATURE}"}
            return Reply(self.errors, json.dumps({"detail": POISON, "message": POISON}).encode(), location)
        return Reply(body=json.dumps(self._value(request.method, path, query)).encode())

    def _value(self, method, path, query):
        row = {"workflow_id": POISON, "status_reason": POISON, "error_message": POISON, "metrics": {POISON: 1, "in": 2}}
        row["metrics"]["nested"] = {POISON: 3}
        block = {"block_name": POISON, "sequence_number": 1, "status": self.status, "error_message": self.block_message}
        links = {"download_url": f"{self.url}/file?sig={SIGNATURE}"} if self.has_links else {}
        workflow = {"id": WORKFLOW, "name": POISON, "description": POISON, "status": POISON}
        match path.rstrip("/").split("/")[1:]:
            case ["workflows", "run"]:
                return {"job_id": self.job_id, "status": POISON}
            case ["workflows", "runs"]:
                return [{**row, "job_id": JOB, "status": self.status}, {**row, "job_id": POISON, "status": POISON}]
            case ["workflows", "blocks"]:
                schema = {"type": "object", "properties": {"a": {"enum": [POISON]}}, "required": self.demands}
                return [{"block_name": name, "specs_schema": schema} for name in (POISON, "webhook", "find_email")]
            case ["workflows", "runs", _, "live_status"]:
                live = {"workflow_id": POISON, "overall_status": self.status, "current_block": POISON}
                return {**live, "blocks": [block, {**block, "status": POISON}], "estimation_blocked_by": POISON}
            case ["workflows", "runs", _, "results", "download-links"]:
                return [{"filename": POISON, "block_number": 1, "message": POISON, **links}]
            case ["storage", *_]:
                return {"handle_id": POISON}
            case ["workflows", *_]:
                return {**workflow, "workflow_definition": {"blocks": [BLOCK], "edges": []}}
        raise AssertionError(path)


@pytest.fixture
def echo(monkeypatch):
    respond = Echo()
    with Server(respond) as server:
        respond.url = server.url
        connection = {"conn_type": "sixtyfour", "host": server.url, "password": KEY}
        monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", json.dumps(connection))
        yield respond


def traces(text):
    """Return what is left in a text that should not be there."""
    spellings = {
        each for spelling in SPELLINGS for each in (spelling, repr(spelling)[1:-1], json.dumps(spelling)[1:-1])
    }
    found = [spelling for spelling in [*spellings, SIGNATURE, "1234567890"] if spelling in text]
    return found + re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202e\ud800-\udfff]", text)


def texts_in(value):
    """Return every text of a value, names included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for each in pair for text in texts_in(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts_in(each)]
    return []


class Kept:
    """All that Airflow would keep, or show."""

    def __init__(self, logs):
        self._logs = logs
        self._kept = []

    def run(self, kind, **arguments):
        one = Task(lambda: kind(task_id="t", **arguments), store=StateStore())
        try:
            try:
                deferral = one.defer()
            except AssertionError as returned:
                self._kept.append(str(returned))
            else:
                self._kept += [deferral.trigger.serialize(), deferral.kwargs]
                event = fire(deferral.trigger)
                self._kept.append(event)
                self._kept.append(one.resume(deferral, event))
        except Exception as error:  # all that Airflow writes of it
            self._kept.append("".join(traceback.format_exception(error)) + str(error) + repr(error.__cause__))
        self._kept += [one.ti.xcoms, json.loads(one.store._text)]

    def texts(self):
        return texts_in(self._kept)

    def check(self):
        """Assert that there is something, and nothing in it that should not be."""
        lines = self._logs.texts()
        assert {text[:200]: found for text in [*self.texts(), *lines] if (found := traces(text))} == {}
        longest = max(len(line) for text in lines for line in text.splitlines()) if lines else 0
        assert longest < 1200, "a message of 500 characters, and the text around it"


def everything(kept, folder, source):
    run = {"workflow_id": WORKFLOW, "webhook_payload": [{"a": 1}], "poll_interval": 0.02}
    for deferrable in (False, True):
        kept.run(SixtyfourRunWorkflowOperator, deferrable=deferrable, timeout=1.0, **run)
        kept.run(SixtyfourRunSensor, job_id=JOB, deferrable=deferrable, poke_interval=0.02, timeout=1.0)
    kept.run(SixtyfourToObjectStorageOperator, job_id=JOB, destination=f"file://{folder}", files="all")
    enrich = {"rows": [{"a": 1}], "destination": f"file://{folder}/enriched"}
    kept.run(SixtyfourEnrichOperator, workflow_id=WORKFLOW, poll_interval=0.02, timeout=1.0, **enrich)
    kept.run(ObjectStorageToSixtyfourOperator, source=f"file://{source}")
    kept.run(SixtyfourDeployWorkflowOperator, workflow_id=WORKFLOW, workflow=DEFINITION)
    kept.run(SixtyfourDeployWorkflowOperator, workflow_id=WORKFLOW, workflow=DEFINITION, check_only=True)
    kept.run(SixtyfourCancelRunOperator, job_id=JOB)
    kept.run(SixtyfourDeleteWorkflowOperator, workflow_id=WORKFLOW, ignore_missing=False)


@pytest.mark.parametrize("status", ["failed", "completed", "cancelled", POISON, f"failed {KEY}"], ids=lambda s: s[:9])
def test_text_of_the_api_is_cleaned_wherever_it_goes(echo, folder, tmp_path, logs, status):
    source = tmp_path / "in.csv"
    source.write_text("name\nLead One\n")
    echo.status = status
    kept = Kept(logs)

    everything(kept, folder, source)

    kept.check()
    shown = "\n".join([*kept.texts(), *logs.texts()])
    assert "***" in shown  # there was something to clean
    assert len(logs.texts()) > 10
    if status == "completed":
        landed = [path for path in folder.rglob("*") if path.is_file()]
        assert "metrics" in json.loads((folder / "enriched" / "_manifest.json").read_text())
        for path in landed:
            assert traces(str(path) + path.read_text()) == []


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 409, 422, 429, 500])
def test_refusals_are_cleaned_wherever_they_go(echo, folder, tmp_path, logs, status):
    source = tmp_path / "in.csv"
    source.write_text("name\nLead One\n")
    echo.errors = status
    kept = Kept(logs)

    everything(kept, folder, source)

    kept.check()
    assert f"Sixtyfour answered {status}" in "\n".join(kept.texts())


def test_differences_and_faults_of_a_workflow_are_cleaned(echo, logs):
    kept = Kept(logs)
    deployed = {"workflow_id": WORKFLOW, "workflow": DEFINITION}

    kept.run(SixtyfourDeployWorkflowOperator, **deployed)
    kept.run(SixtyfourDeployWorkflowOperator, **deployed, check_only=True)
    echo.demands = [POISON]
    kept.run(SixtyfourDeployWorkflowOperator, **deployed)
    kept.run(SixtyfourDeployWorkflowOperator, **deployed, validate_specs=True)

    kept.check()
    shown = "\n".join(kept.texts())
    assert "Saved the workflow." in "\n".join(logs.texts())
    assert "The stored workflow differs" in shown
    assert "The workflow can't be deployed" in shown


def test_a_file_without_a_link_is_explained_without_secrets(echo, folder, logs):
    echo.status, echo.has_links = "completed", False
    kept = Kept(logs)

    kept.run(SixtyfourToObjectStorageOperator, job_id=JOB, destination=f"file://{folder}", files="all")

    kept.check()
    assert "The API gives no link to" in "\n".join(kept.texts())


def test_a_reason_that_only_the_list_gives_is_cleaned(echo, logs):
    echo.block_message = None
    kept = Kept(logs)
    run = {"workflow_id": WORKFLOW, "webhook_payload": [{"a": 1}], "poll_interval": 0.02}
    for deferrable in (False, True):
        kept.run(SixtyfourRunWorkflowOperator, deferrable=deferrable, **run)

    kept.check()


@pytest.mark.parametrize("job_id", [POISON, KEY, f"job-1?sig={SIGNATURE}", "../../x", "a" * 10_000, "a\x00b"])
def test_an_odd_run_id_is_cleaned_wherever_it_goes(echo, logs, job_id):
    echo.job_id = job_id
    kept = Kept(logs)
    run = {"workflow_id": WORKFLOW, "webhook_payload": [{"a": 1}], "poll_interval": 0.02}
    for deferrable in (False, True):
        kept.run(SixtyfourRunWorkflowOperator, deferrable=deferrable, **run)

    kept.check()
    assert not any("live_status" in path for path in echo.asked), "it is taken for no other run's id"
