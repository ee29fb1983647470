"""
What is taken of a delivery's body: ids and a status, each checked by its form. All else of it is left where it is.

What identifies an event is taken from the body, which is signed, and not from the header ``Sixtyfour-Event-Id``, which
is not: whoever repeats a delivery could change that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api.call import identifier
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.runs.status import COMPLETED, canonical

LONGEST_STATUS = 40  # characters
# The run is named by the first of these that is there: by a workflow's block, or by a job without a workflow.
_RUN_NAMES = ("run_id", "job_id", "task_id")


class MalformedDelivery(ValueError):
    """A body that names no run; the message says what is wrong, and shows nothing of it."""


class RunEvent(NamedTuple):
    """
    A run that has ended.

    :param event_id: the same for each repetition of a delivery.
    :param workflow_id: ``None`` if neither body nor URL names it.
    """

    event_id: str
    job_id: str
    workflow_id: str | None
    status: str
    is_signed: bool

    def asset_uri(self, conn_id: str) -> str:
        """Return the asset that stands for runs as this one."""
        kind, name = ("webhooks", conn_id) if self.workflow_id is None else ("workflows", self.workflow_id)
        return f"sixtyfour://{kind}/{name}"

    def extra(self) -> dict[str, Any]:
        """Return what an event of that asset gets: a payload as the watcher's, and that it comes from here."""
        payload: dict[str, Any] = {
            "job_id": self.job_id,
            "workflow_id": self.workflow_id,
            "status": self.status,
            "metrics": {},
        }
        unsigned = {} if self.is_signed else {"unsigned": True}
        return {"payload": payload, "from_webhook": True, "event_id": self.event_id, **unsigned}


def read_event(body: bytes, workflow_id: str | None, *, is_signed: bool) -> RunEvent:
    """
    Return what a body says.

    :param workflow_id: of the URL's query, for a body that names none.
    :param is_signed: else the body's own event id isn't believed, and its digest takes the place: nobody can take an
        id from a signed delivery that is still to come.
    :raises MalformedDelivery: if it is no JSON object, or has no id that can be one.
    """
    try:
        data = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise MalformedDelivery("The body is not JSON in UTF-8.") from None
    if not isinstance(data, dict):
        raise MalformedDelivery("The body is not a JSON object.")
    name = next((name for name in _RUN_NAMES if data.get(name) is not None), None)
    if name is None:
        raise MalformedDelivery(f"The body names no run: none of {', '.join(_RUN_NAMES)}.")
    job_id = _id(data[name], name)
    named = data.get("workflow_id") if data.get("workflow_id") is not None else workflow_id
    status = _status(data)
    event_id = f"unsigned:{hashlib.sha256(body).hexdigest()}" if not is_signed else _event_id(data, job_id, status)
    return RunEvent(event_id, job_id, None if named is None else _id(named, "workflow_id"), status, is_signed)


def _event_id(data: Mapping[str, Any], job_id: str, status: str) -> str:
    given = data.get("event_id")
    return f"run:{job_id}:{status}" if given is None else _id(given, "event_id")


def _status(data: Mapping[str, Any]) -> str:
    """Return how the run ended; the block of a workflow doesn't say so, for it is reached by no other run."""
    given = data.get("status")
    if given is None:
        return COMPLETED
    return _id(canonical(given[:LONGEST_STATUS]) if isinstance(given, str) else given, "status")


def _id(value: Any, name: str) -> str:
    try:
        return identifier(value, name)
    except SixtyfourInputError:
        raise MalformedDelivery(f"The {name} is not one that can be right.") from None
