"""
Every call of the API as a value: what to send, how to read the answer, whether it may be sent twice.

Building a call checks its input and sends nothing; an id that can't be one (empty, ``None`` from a template, a
path) is refused here, before it becomes part of a URL.

A Dag file imports this module, so what reads the answers is imported with the first call that is built: making the
models takes longer than all else in here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, NamedTuple, TypeVar
from urllib.parse import quote

from airflow_provider_sixtyfour.api.errors import SixtyfourInputError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api import models
    from airflow_provider_sixtyfour.api.cleaning import Cleaner

T = TypeVar("T")

RESULT_FORMATS = ("csv", "json", "ndjson")
MAX_LISTED_RUNS = 500  # the highest `limit` of GET /workflows/runs

# Bytes, decoded. Small where a triggerer reads the answers of many runs, and where an answer is one object.
LONGEST_ANSWER = 16 * 1024 * 1024
LONGEST_LIST_OF_RUNS = 4 * 1024 * 1024
LONGEST_OBJECT = 1024 * 1024

_IDENTIFIER = re.compile(r"(?!\.+$)[A-Za-z0-9._~:@-]{1,200}")


class Upload(NamedTuple):
    """A file to send as ``multipart/form-data``; ``stream`` is seekable, so that it can be sent again."""

    stream: BinaryIO
    filename: str


class Call(NamedTuple, Generic[T]):
    """
    One request to the API.

    :param purpose: what it is for, as an error message begins: "starting workflow X".
    :param read: makes of an answer's JSON what the call asks for; cleans all of it that is text for readers.
    :param longest_answer: bytes that the answer may have; a longer one counts as unreadable.
    :param repeatable: whether it may be sent again although it may have worked. A submission is repeatable
        under an ``Idempotency-Key`` only.
    """

    purpose: str
    method: str
    path: str
    read: Callable[[Any, Cleaner], T]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    form: Mapping[str, str] | None = None
    upload: Upload | None = None
    idempotency_key: str | None = None
    repeatable: bool = True
    authenticated: bool = True
    longest_answer: int = LONGEST_ANSWER

    def __repr__(self) -> str:
        """Tell what it is for, and neither rows nor a signed assertion."""
        return f"Call({self.purpose!r})"

    def headers(self) -> dict[str, str]:
        """Return the headers of this call, without those that authenticate it."""
        headers = {"Accept": "application/json"}
        if self.body is not None:
            headers["Content-Type"] = "application/json"
        if self.idempotency_key is not None:
            headers["Idempotency-Key"] = self.idempotency_key
        return headers


def identifier(value: Any, name: str) -> str:
    """
    Return ``value`` if it can be an id, fit to stand in a URL.

    :raises SixtyfourInputError: if it can't: not text, empty, a rendered ``None``, or with a slash in it.
    """
    if not isinstance(value, str) or value in ("None", "null") or not _IDENTIFIER.fullmatch(value):
        shown = repr(value) if isinstance(value, str) else type(value).__name__
        hint = " Did the upstream task return it?" if value in (None, "", "None", "null") else ""
        raise SixtyfourInputError(f"{name} should be an id, not {shown[:120]}.{hint}")
    return value


def json_body(value: Any) -> bytes:
    """Encode as JSON, NaN refused; the caller has checked that nothing else is in the way."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).encode()


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
    query += [("result_formats", name) for name in result_formats if name != "json"]
    if "json" in result_formats:
        query.append(("save_json", "true"))
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
