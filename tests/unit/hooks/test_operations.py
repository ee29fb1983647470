"""The hook's method for each operation, against the emulator over a socket."""

import inspect
import io
import itertools
import json
import re
import runpy
import time
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourRunFailedError,
    SixtyfourTimeoutError,
    SixtyfourTransferError,
)
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from tests.unit.conftest import ROWS

LEADS = b"name,company_name\nLead One,Example Bakery\nLead Two,Sample\n"
OPERATIONS = [
    *("list_workflows", "get_workflow", "create_workflow", "update_workflow", "deploy_workflow", "delete_workflow"),
    *("list_blocks", "run_workflow", "get_run_status", "list_runs", "wait_for_run", "cancel_run", "list_result_files"),
    *("download_result", "upload_file", "check_balance", "start_bulk_people", "start_bulk_company", "get_job_status"),
]


@pytest.fixture
def hook(emulator):
    return SixtyfourHook()


def graph(*names):
    blocks = [{"block_id": name, "block_name": name, "specs": {}} for name in names]
    edges = [{"from_block_id": a, "to_block_id": b} for a, b in itertools.pairwise(names)]
    return {
        "workflow_name": "Leads",
        "workflow_description": "",
        "workflow_definition": {"blocks": blocks, "edges": edges},
    }


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_documented_with_its_parameters(name):
    method = getattr(SixtyfourHook, name)
    signature = inspect.signature(method)
    docstring = inspect.getdoc(method) or ""

    assert all(each.annotation is not inspect.Parameter.empty for each in list(signature.parameters.values())[1:])
    assert signature.return_annotation is not inspect.Signature.empty
    elsewhere = inspect.getdoc(SixtyfourHook.start_bulk_people) if "start_bulk_people" in docstring else ""
    for parameter in list(signature.parameters)[1:]:
        assert f":param {parameter}:" in f"{docstring}\n{elsewhere}" or parameter == "struct", parameter


def test_workflows_are_created_saved_and_deleted(hook, emulator):
    blocks = {kind.block_name for kind in hook.list_blocks()}
    assert {"webhook", "find_email"} <= blocks
    body = graph("webhook", "find_email")
    for number, block in enumerate(body["workflow_definition"]["blocks"], start=1):
        block |= {"sequence_number": number, "block_type": "x"}

    created = hook.create_workflow(body)
    assert hook.get_workflow(created.id).name == "Leads"
    assert hook.update_workflow(created.id, {"workflow_name": "Others"}).name == "Others"
    assert created.id in {workflow.id for workflow in hook.list_workflows()}
    hook.delete_workflow(created.id)
    with pytest.raises(SixtyfourNotFoundError):
        hook.get_workflow(created.id)


def test_deploying_saves_only_what_differs(hook, emulator):
    workflow_id = "8d3c0f6e-1b66-4c4b-9a55-3f2f6a6d8f10"

    def saved():
        return len(emulator.asked("POST", "/workflows/update_workflow"))

    assert hook.deploy_workflow(workflow_id, graph("webhook", "find_email")).id == workflow_id
    assert saved() == 1
    assert hook.deploy_workflow(workflow_id, json.dumps(graph("webhook", "find_email"))).id == workflow_id
    assert saved() == 1
    hook.deploy_workflow(workflow_id, graph("webhook", "find_phone"))
    assert saved() == 2
    with pytest.raises(SixtyfourInputError, match="blocks"):
        hook.deploy_workflow(workflow_id, graph())
    assert saved() == 2


def test_run_from_rows_to_its_file(hook, emulator, workflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = hook.run_workflow(workflow, webhook_payload=ROWS, result_formats=("csv", "ndjson"))
    ended = hook.wait_for_run(run.job_id, poll_interval=0.05)

    assert (run.already_started, ended.status, ended.workflow_id) == (False, "completed", workflow)
    assert hook.get_run_status(run.job_id).status == "completed"
    [listed] = hook.list_runs(workflow_id=workflow, status="completed")
    assert listed.job_id == run.job_id
    assert listed.completed_at >= listed.queued_at
    [file] = hook.list_result_files(run.job_id)

    landed = hook.download_result(run.job_id, "leads.csv")

    assert (landed["rows"], landed["filename"], landed["path"]) == (2, file.filename, f"file://{tmp_path}/leads.csv")
    assert len((tmp_path / "leads.csv").read_bytes()) == landed["bytes"] == file.file_size
    assert json.loads(json.dumps(landed)) == landed  # fit for XCom
    assert [path.name for path in tmp_path.iterdir()] == ["leads.csv"]


@pytest.mark.parametrize("form", ["str", "url", "path", "object path", "memory"])
def test_result_is_downloaded_to_any_path(hook, emulator, workflow, tmp_path, memory_store, form):
    job_id = emulator.completed_run(workflow, result_formats="ndjson")
    target = tmp_path / "below" / "a b.ndjson"
    destination = {
        "str": str(target),
        "url": f"file://{target}",
        "path": target,
        "object path": ObjectStoragePath(f"file://{target}"),
        "memory": "memory://bucket/a.ndjson",
    }[form]

    landed = hook.download_result(job_id, destination, format="ndjson", files=2)

    content = ObjectStoragePath(landed["path"]).read_bytes()
    assert len(content.splitlines()) == landed["rows"] == 2


def test_result_that_breaks_off_leaves_what_was_there(hook, emulator, workflow, tmp_path, no_pauses):
    job_id = emulator.completed_run(workflow)
    target = tmp_path / "leads.csv"
    target.write_text("before")
    emulator.fault("cut", where="storage", cut_after=5, times=100)

    with pytest.raises(SixtyfourTransferError, match="could not be fetched"):
        hook.download_result(job_id, target)

    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["leads.csv"]


def test_result_of_a_run_that_is_running_is_not_downloaded(hook, emulator, workflow, tmp_path):
    emulator.plan(seconds=600)
    job_id = emulator.start_run(workflow)

    with pytest.raises(SixtyfourTransferError, match="still in progress"):
        hook.download_result(job_id, tmp_path / "leads.csv")
    with pytest.raises(SixtyfourInputError, match="format should be one of"):
        hook.download_result(job_id, tmp_path / "leads.csv", format="xml")
    hook.cancel_run(job_id)
    with pytest.raises(SixtyfourRefusedError, match="answered 400"):
        hook.cancel_run(job_id)


def test_run_that_fails_is_an_error(hook, emulator, workflow):
    emulator.plan(status="failed", seconds=0.05, fail_block=2, error_message="quota exceeded")
    job_id = hook.run_workflow(workflow, webhook_payload=ROWS).job_id

    with pytest.raises(SixtyfourRunFailedError, match="quota exceeded") as failure:
        hook.wait_for_run(job_id, poll_interval=0.05)
    assert (failure.value.job_id, failure.value.status) == (job_id, "failed")


@pytest.mark.parametrize("timeout", [0.3, timedelta(seconds=0.3)])
def test_wait_ends_at_its_timeout_and_the_run_continues(hook, emulator, workflow, timeout):
    emulator.plan(seconds=600)
    job_id = hook.run_workflow(workflow, webhook_payload=ROWS).job_id
    began = time.monotonic()

    with pytest.raises(SixtyfourTimeoutError, match=job_id):
        hook.wait_for_run(job_id, poll_interval=0.05, timeout=timeout)

    assert 0.3 <= time.monotonic() - began < 10
    assert emulator.cancels() == []


def test_wait_takes_no_nonsense(hook):
    for options in ({"poll_interval": 0}, {"timeout": -1}, {"timeout": "soon"}):
        with pytest.raises(SixtyfourInputError):
            hook.wait_for_run("j", **options)


def test_key_that_is_given_starts_one_run(hook, emulator, workflow):
    first = hook.run_workflow(workflow, webhook_payload=ROWS, idempotency_key="mine")
    again = hook.run_workflow(workflow, webhook_payload=ROWS, idempotency_key="mine")
    other = hook.run_workflow(workflow, webhook_payload=ROWS)

    assert (again.job_id, again.already_started) == (first.job_id, True)
    assert other.job_id != first.job_id
    keys = [one["headers"]["idempotency-key"] for one in emulator.submissions()]
    assert keys[:2] == ["mine", "mine"]
    assert re.fullmatch(r"[0-9a-f-]{36}", keys[2])


def test_run_whose_answer_is_lost_is_started_once(hook, emulator, workflow, no_pauses):
    emulator.fault("drop", path="/workflows/run", when="after")

    run = hook.run_workflow(workflow, webhook_payload=ROWS)

    assert [one["job_id"] for one in emulator.runs()] == [run.job_id]
    assert run.already_started


def test_input_that_can_not_be_sent_is_refused(hook, emulator, workflow):
    with pytest.raises(SixtyfourInputError, match="not both"):
        hook.run_workflow(workflow, webhook_payload=ROWS, resource_handle_id="h")
    with pytest.raises(SixtyfourInputError, match="result_formats"):
        hook.run_workflow(workflow, webhook_payload=ROWS, result_formats=("xml",))
    assert emulator.submissions() == []


@pytest.mark.parametrize("form", ["str", "path", "url", "object path", "memory", "stream", "file"])
def test_file_is_uploaded_from_anywhere(hook, emulator, tmp_path, memory_store, form):
    path = tmp_path / "leads.csv"
    path.write_bytes(LEADS)
    in_memory = ObjectStoragePath("memory://bucket/leads.csv")
    in_memory.write_bytes(LEADS)
    reads = emulator.store_workflow(source="read_csv")

    with path.open("rb") as file:
        source, filename = {
            "str": (str(path), None),
            "path": (path, None),
            "url": (f"file://{path}", None),
            "object path": (ObjectStoragePath(f"file://{path}"), None),
            "memory": (in_memory, None),
            "stream": (io.BytesIO(LEADS), "leads.csv"),
            "file": (file, None),
        }[form]
        handle = hook.upload_file(source, filename=filename)

    run = hook.run_workflow(reads, resource_handle_id=handle)
    hook.wait_for_run(run.job_id, poll_interval=0.05)
    assert hook.list_result_files(run.job_id)[-1].row_count == 2


def test_file_that_is_not_there_is_named(hook, tmp_path):
    with pytest.raises(SixtyfourInputError, match="does not exist"):
        hook.upload_file(tmp_path / "nowhere.csv")
    with pytest.raises(SixtyfourInputError, match="is a folder"):
        hook.upload_file(tmp_path)
    with pytest.raises(SixtyfourInputError, match="filename is missing"):
        hook.upload_file(io.BytesIO(b"x"))


def test_bulk_jobs_are_started_and_followed(hook, emulator):
    people = hook.start_bulk_people(io.BytesIO(LEADS), filename="leads.csv", struct={"title": "job title"})
    company = hook.start_bulk_company(
        io.BytesIO(b"company_name\nSample\n"), filename="c.csv", struct={"revenue": "in dollars"}, cost_units="credits"
    )

    assert (people.row_count, people.estimated_cost_cents > 0) == (2, True)
    assert (company.row_count, company.estimated_cost_credits > 0) == (1, True)
    for task_id in (people.task_id, company.task_id):
        while (job := hook.get_job_status(task_id)).status == "running":
            time.sleep(0.05)
        assert (job.status, job.charge_amount > 0, len(job.results) > 0) == ("completed", True, True)
    keys = {one["headers"]["idempotency-key"] for one in emulator.asked("POST", "/bulk-intelligence/people")}
    assert len(keys) == 1


def test_balance_is_none_where_the_server_does_not_know_it(hook, emulator):
    assert hook.check_balance() > 0
    emulator.fault("answer", path="/check-balance", status=404, times=5, body={"detail": "Not Found"})
    assert hook.check_balance() is None
    emulator.control("DELETE", "faults")
    emulator.fault("answer", path="/check-balance", status=403, times=5, body={"detail": "No"})
    with pytest.raises(SixtyfourRefusedError):
        hook.check_balance()


def test_connection_of_requests_reaches_what_is_not_wrapped(hook, emulator):
    with hook.get_conn() as session:
        assert session.get("/check-balance").json()["credits"] > 0
    assert emulator.asked("GET", "/check-balance")[-1]["headers"]["x-api-key"] == emulator.api_key


def test_async_client_sends_the_same_calls(hook, emulator, workflow):
    import asyncio

    async def read():
        async with await hook.open_async_client() as client:
            return await client.send(calls.get_workflow(workflow)), await client.send(calls.check_balance())

    found, credits = asyncio.run(read())
    assert (found, credits) == (hook.get_workflow(workflow), hook.check_balance())


PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "hook.md"


def test_example_of_the_page_runs(hook, emulator, workflow, tmp_path):
    section = PAGE.read_text()
    code = section.partition("```python\n")[2].partition("```")[0]
    code = code.replace("YOUR_WORKFLOW_ID", workflow).replace("/data/leads.csv", f"{tmp_path}/leads.csv")
    assert f"{tmp_path}/leads.csv" in code
    (tmp_path / "example.py").write_text(f"from airflow.decorators import task\n{code}")
    enrich = runpy.run_path(str(tmp_path / "example.py"))["enrich"].function

    landed, again = enrich(ROWS, run_id="r"), enrich(ROWS, run_id="r")

    assert (landed["rows"], again) == (2, landed)
    assert len(emulator.runs()) == 1
    listed = re.findall(r"`(\w+)`", section.partition("| what | methods |")[2].partition("They block")[0])
    assert {*listed} - {"None"} == {*OPERATIONS}
