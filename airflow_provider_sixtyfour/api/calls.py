"""
Every call of the API: a function each, which returns what to send as a value, `Call`.

Building a call checks its input and sends nothing; an id that can't be one (empty, ``None`` from a template, a
path) is refused here, before it becomes part of a URL.

A Dag file imports this module, so what reads the answers is imported with the first call that is built: making the
models takes longer than all else in here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from airflow_provider_sixtyfour.api.call import LONGEST_LIST_OF_RUNS as LONGEST_LIST_OF_RUNS
from airflow_provider_sixtyfour.api.call import LONGEST_OBJECT as LONGEST_OBJECT
from airflow_provider_sixtyfour.api.call import MAX_LISTED_RUNS as MAX_LISTED_RUNS
from airflow_provider_sixtyfour.api.call import RESULT_FORMATS as RESULT_FORMATS
from airflow_provider_sixtyfour.api.call import Call as Call
from airflow_provider_sixtyfour.api.call import Upload as Upload
from airflow_provider_sixtyfour.api.call import format_flags as format_flags
from airflow_provider_sixtyfour.api.call import identifier as identifier
from airflow_provider_sixtyfour.api.call import json_body as json_body
from airflow_provider_sixtyfour.api.job_calls import check_balance as check_balance
from airflow_provider_sixtyfour.api.job_calls import get_job_status as get_job_status
from airflow_provider_sixtyfour.api.job_calls import start_bulk_company as start_bulk_company
from airflow_provider_sixtyfour.api.job_calls import start_bulk_people as start_bulk_people

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api import models
    from airflow_provider_sixtyfour.api.cleaning import Cleaner


def list_workflows() -> Call[tuple[models.Workflow, ...]]:
    """``GET /workflows``: all workflows, without their graphs."""
    from airflow_provider_sixtyfour.api import models

    return Call("listing the workflows", "GET", "/workflows", models.Workflow.read_all)


def get_workflow(workflow_id: str) -> Call[models.Workflow]:
    """``GET /workflows/{id}``: one workflow with its graph."""
    from airflow_provider_sixtyfour.api import models

    workflow_id = identifier(workflow_id, "workflow_id")
    return Call(f"reading workflow {workflow_id}", "GET", f"/workflows/{quote(workflow_id)}", models.Workflow.read)


def list_blocks() -> Call[tuple[models.BlockType, ...]]:
    """``GET /workflows/blocks``: the kinds of blocks, with the schemas of their ``specs``."""
    from airflow_provider_sixtyfour.api import models

    return Call("listing the kinds of blocks", "GET", "/workflows/blocks", models.BlockType.read_all)


def create_workflow(body: Mapping[str, Any]) -> Call[models.Workflow]:
    """``POST /workflows/create_workflow``; 409 if ``body["id"]`` is taken. Not repeatable: it could create two."""
    from airflow_provider_sixtyfour.api import models

    return Call(
        f"creating workflow {body.get('workflow_name')!r}",
        "POST",
        "/workflows/create_workflow",
        models.Workflow.read,
        body=json_body(body),
        repeatable=False,
    )


def update_workflow(workflow_id: str, body: Mapping[str, Any]) -> Call[models.Workflow]:
    """``POST /workflows/update_workflow``: creates or replaces, so sending it twice changes nothing more."""
    from airflow_provider_sixtyfour.api import models

    workflow_id = identifier(workflow_id, "workflow_id")
    return Call(
        f"saving workflow {workflow_id}",
        "POST",
        "/workflows/update_workflow",
        models.Workflow.read,
        query=(("workflow_id", workflow_id),),
        body=json_body(body),
    )


def delete_workflow(workflow_id: str) -> Call[models.Workflow]:
    """``POST /workflows/delete_workflow``; its runs stay."""
    from airflow_provider_sixtyfour.api import models

    workflow_id = identifier(workflow_id, "workflow_id")
    return Call(
        f"deleting workflow {workflow_id}",
        "POST",
        "/workflows/delete_workflow",
        models.Workflow.read,
        query=(("workflow_id", workflow_id),),
    )


def run_workflow(
    workflow_id: str,
    body: Mapping[str, Any],
    *,
    result_formats: Sequence[str] = ("csv",),
    idempotency_key: str | None = None,
) -> Call[models.StartedRun]:
    """
    ``POST /workflows/run``: start a run, which costs credits.

    :param body: ``webhook_payload`` and/or ``specs_override``.
    :param result_formats: of ``csv``, ``json``, ``ndjson``. CSV is always made; JSON is asked for by
        ``save_json=true``, the others by ``result_formats``.
    :param idempotency_key: a replay under the same key answers with the first run and starts nothing.
    """
    from airflow_provider_sixtyfour.api import models

    workflow_id = identifier(workflow_id, "workflow_id")
    query = [("workflow_id", workflow_id)]
    listed, flags = format_flags(result_formats)
    query += [("result_formats", name) for name in listed] + [(flag, "true") for flag in flags]
    return Call(
        f"starting workflow {workflow_id}",
        "POST",
        "/workflows/run",
        models.StartedRun.read,
        query=tuple(query),
        body=json_body(body),
        idempotency_key=idempotency_key,
        repeatable=idempotency_key is not None,
        longest_answer=LONGEST_OBJECT,
    )


def list_runs(
    *, status: str | None = None, workflow_id: str | None = None, limit: int = 100
) -> Call[tuple[models.ListedRun, ...]]:
    """
    ``GET /workflows/runs``: runs, newest first; there are no further pages.

    :param status: ``running``, ``completed``, ``cancelled`` or ``active`` (queued and running).
    :param limit: 1 to 500.
    """
    from airflow_provider_sixtyfour.api import models

    query = [("limit", str(limit))]
    if status is not None:
        query.append(("status", status))
    if workflow_id is not None:
        query.append(("workflow_id", identifier(workflow_id, "workflow_id")))

    def read(value: Any, cleaner: Cleaner) -> tuple[models.ListedRun, ...]:
        return models.ListedRun.read_all(value[:limit] if isinstance(value, list) else value, cleaner)

    return Call(
        "listing the runs",
        "GET",
        "/workflows/runs",
        read,
        query=tuple(query),
        longest_answer=LONGEST_LIST_OF_RUNS,
    )


def live_status(job_id: str) -> Call[models.LiveStatus]:
    """``GET /workflows/runs/{run_id}/live_status``: how far a run is."""
    from airflow_provider_sixtyfour.api import models

    job_id = identifier(job_id, "job_id")
    return Call(
        f"checking the status of run {job_id}",
        "GET",
        f"/workflows/runs/{quote(job_id)}/live_status",
        models.LiveStatus.read,
        longest_answer=LONGEST_OBJECT,
    )


def cancel_run(job_id: str) -> Call[None]:
    """``POST /workflows/cancel``; 400 when the run has ended."""
    job_id = identifier(job_id, "job_id")
    return Call(
        f"cancelling run {job_id}",
        "POST",
        "/workflows/cancel",
        lambda *_: None,
        query=(("job_id", job_id),),
        longest_answer=LONGEST_OBJECT,
    )


def result_files(job_id: str, format: str = "csv") -> Call[tuple[models.ResultFile, ...]]:
    """``GET /workflows/runs/{run_id}/results/download-links``: the files with fresh links, alive for 15 minutes."""
    from airflow_provider_sixtyfour.api import models

    job_id = identifier(job_id, "job_id")
    return Call(
        f"listing the result files of run {job_id}",
        "GET",
        f"/workflows/runs/{quote(job_id)}/results/download-links",
        models.ResultFile.read_all,
        query=(("format", format),),
    )


def upload_file(stream: BinaryIO, filename: str) -> Call[str]:
    """
    ``POST /storage/csv/upload``: send a ``.csv``, ``.json``, ``.jsonl`` or ``.ndjson`` file, get its handle.

    Repeatable: a second upload costs nothing and leaves a handle that nobody uses.
    """
    from airflow_provider_sixtyfour.api import models

    return Call(
        f"uploading {filename}",
        "POST",
        "/storage/csv/upload",
        models.read_handle,
        upload=Upload(stream, filename),
        longest_answer=LONGEST_OBJECT,
    )


def exchange_token(client_id: str, assertion: str) -> Call[models.Token]:
    """``POST /oauth/token``: an access token for a signed assertion (RFC 7523)."""
    from airflow_provider_sixtyfour.api import models

    return Call(
        f"getting an access token for OAuth client {client_id}",
        "POST",
        "/oauth/token",
        models.Token.read,
        form={
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            "scope": "full_access",
        },
        # The assertion's `jti` is good for one use: another try needs another assertion.
        repeatable=False,
        authenticated=False,
        longest_answer=LONGEST_OBJECT,
    )
