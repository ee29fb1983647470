"""
Whether to start a run, or to reattach to one that an earlier try of the task has started.

`decide` is the whole decision, a pure function. The record is written before the request is sent, so a worker
may die at any instant: what it was about to do is known, and its ``Idempotency-Key`` makes the API answer with
the run that was started, if one was.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import ESTIMATE
from airflow_provider_sixtyfour.inputs.payload import with_handle
from airflow_provider_sixtyfour.runs.status import COMPLETED, FAILED, canonical

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.models import StartedRun

RECORD_VERSION = 2
# Characters of a request as it is recorded. Airflow warns of values over 65,535 bytes ([state_store]
# max_value_storage_bytes), and MySQL's TEXT takes no more.
LONGEST_REQUEST = 48_000


class Action(Enum):
    """What to do about a submission."""

    START = "start a run under a new key"
    REPLAY = "send the request again under the recorded key, and reattach to its run"
    REPLACE = "send the recorded request again under its key to learn of its run, stop that run, and start another"
    ADOPT = "reattach to the recorded run"


class Startable(Protocol):
    """What a submission sends: `Request` for a run of a workflow, `bulk_jobs.BulkRequest` for a bulk job."""

    @property
    def title(self) -> str:
        """What is started, for messages: "workflow X"."""

    @property
    def handle(self) -> str | None:
        """The upload that it names."""

    def call(self, key: str) -> Call[Any]:
        """Return the call; its answer has a ``job_id`` and whether it was ``already_started``."""

    def with_handle(self, handle: str) -> Startable:
        """Return it with another upload."""

    def packed(self) -> str | None:
        """Return it as text from which it can be sent again; ``None`` if that can't be kept."""


class Request(NamedTuple):
    """
    What the submission of a run sends, so that a later try can send the very same again under the same key.

    What the API answers to another body under a used key is not documented.
    """

    workflow_id: str
    result_formats: tuple[str, ...]
    body: Mapping[str, Any]

    @property
    def title(self) -> str:
        """The workflow, for messages."""
        return f"workflow {self.workflow_id}"

    @property
    def handle(self) -> str | None:
        """The upload that it names."""
        handle: str | None = self.body.get("specs_override", {}).get("resource_handle_id")
        return handle

    def call(self, key: str) -> Call[StartedRun]:
        """Return the call that starts the run."""
        return calls.run_workflow(self.workflow_id, self.body, result_formats=self.result_formats, idempotency_key=key)

    def with_handle(self, handle: str) -> Request:
        """Return the request with the upload that the run is to read."""
        return self._replace(body=with_handle(self.body, handle))

    def packed(self) -> str | None:
        """Return the request as compressed text, or ``None`` if that is longer than `LONGEST_REQUEST`."""
        text = json.dumps([self.workflow_id, self.result_formats, self.body], separators=(",", ":"))
        packed = base64.b64encode(zlib.compress(text.encode())).decode()
        return packed if len(packed) <= LONGEST_REQUEST else None

    @classmethod
    def unpacked(cls, packed: str | None) -> Request | None:
        """Read what `packed` wrote; ``None`` for anything that isn't such a text."""
        try:
            match json.loads(zlib.decompress(base64.b64decode(packed or "", validate=True))):
                case [str(workflow_id), [*formats], {} as body]:
                    return cls(workflow_id, tuple(map(str, formats)), body)
        except (ValueError, zlib.error, RecursionError):
            pass
        return None


class Record(NamedTuple):
    """
    What an earlier try of the same task left behind.

    :param key: the ``Idempotency-Key`` that it sent, or was about to send.
    :param digest: the work it asked for, see `payloads.digest`.
    :param max_tries: the task instance's ``max_tries`` then; only a user's Clear changes it.
    :param job_id: the run, once the API had answered.
    :param handle: the upload that it sent along: another one would make another request of it under the same key.
    :param estimated_cost_cents: what the API said that it will cost, where it did.
    :param request: the request as `Request.packed` gives it; kept until the run's id is known, if it is short enough.
    :param is_counted: whether the run's end has been counted in the metrics.
    """

    key: str
    digest: str
    max_tries: int
    job_id: str | None = None
    handle: str | None = None
    request: str | None = None
    estimated_cost_cents: float | None = None
    is_counted: bool = False

    def started(self, job_id: str, estimated_cost_cents: float | None = None) -> Record:
        """Return the record with the run's id, which is then all that a later try needs."""
        return self._replace(job_id=job_id, request=None, estimated_cost_cents=estimated_cost_cents)

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {
            "version": RECORD_VERSION,
            "key": self.key,
            "digest": self.digest,
            "max_tries": self.max_tries,
            "job_id": self.job_id,
            "handle": self.handle,
            "request": self.request,
            **({} if self.estimated_cost_cents is None else {ESTIMATE: self.estimated_cost_cents}),
            **({"counted": True} if self.is_counted else {}),
        }

    @classmethod
    def read(cls, value: Any) -> Record | None:
        """Read what `as_json` wrote; ``None`` for anything that isn't such a record."""
        match value:
            case {"key": str(key), "digest": str(digest), "max_tries": int(max_tries)}:
                job_id, handle, request = (_text(value, name) for name in ("job_id", "handle", "request"))
                estimate = value.get(ESTIMATE)
                is_number = isinstance(estimate, int | float) and not isinstance(estimate, bool)
                estimate, is_counted = estimate if is_number else None, value.get("counted") is True
                return cls(key, digest, max_tries, job_id, handle, request, estimate, is_counted)
        return None


def _text(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    return text if isinstance(text, str) else None


def decide(
    record: Record | None,
    *,
    max_tries: int,
    digest: str,
    status: str | None,
    clear_pays_again: bool = True,
    replaces_failed: bool = True,
) -> Action:
    """
    Decide what a try of a task does.

    - No record: this is the first try. Start.
    - A Clear since (another ``max_tries``): the user asks for new work. Start, after the recorded run has been stopped;
      without ``clear_pays_again`` reattach to a run that has completed, and replay a request whose answer was lost.
    - Other work (another digest): the recorded run doesn't answer it. Start, after that run has been stopped.
    - In both cases, where no run is recorded, a run may have been started all the same: learn of it first. Replace.
    - No run recorded: the request may have been lost, or its answer. Replay; the key makes it one run.
    - A run that failed, was cancelled or timed out: start another; without ``replaces_failed`` adopt it, and so fail.
    - A run that is gone (``status`` is ``None``): start another.
    - A run that is in progress, or has completed: adopt it, it is paid for.

    :param status: what the API says of the recorded run; ``None`` if it knows none, or none is recorded.
    """
    if record is None:
        return Action.START
    is_other_work = record.digest != digest
    is_cleared = record.max_tries != max_tries
    if record.job_id is None:
        return Action.REPLACE if is_other_work or (is_cleared and clear_pays_again) else Action.REPLAY
    if is_other_work or (is_cleared and (clear_pays_again or canonical(status or "") != COMPLETED)):
        return Action.START
    if status is None or (replaces_failed and canonical(status) in FAILED):
        return Action.START
    return Action.ADOPT


def derived_key(identity: Mapping[str, Any], *, max_tries: int, digest: str, generation: int) -> str:
    """
    Return an ``Idempotency-Key`` that every try of the same task derives alike, for where nothing can be stored.

    :param identity: what identifies this task instance, in this and any other deployment.
    :param generation: 0 for the first run; one more for each run that turned out failed.
    """
    parts = [*(f"{name}={identity[name]}" for name in sorted(identity)), str(max_tries), digest, str(generation)]
    return "airflow-" + hashlib.sha256("\x00".join(parts).encode()).hexdigest()
