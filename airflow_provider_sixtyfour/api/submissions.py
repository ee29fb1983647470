"""
Whether to start a run, or to go on with one that an earlier try of the task has started.

`decide` is the whole decision, a pure function. The record is written before the request is sent, so a worker
may die at any instant: what it was about to do is known, and its ``Idempotency-Key`` makes the API answer with
the run that was started, if one was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api.verdicts import COMPLETED, FAILED, canonical

RECORD_VERSION = 1


class Action(Enum):
    """What to do about a submission."""

    START = "start a run under a new key"
    REPLAY = "send again under the recorded key"
    ADOPT = "go on with the recorded run"


class Record(NamedTuple):
    """
    What an earlier try of the same task left behind.

    :param key: the ``Idempotency-Key`` that it sent, or was about to send.
    :param digest: the work it asked for, see `payloads.digest`.
    :param max_tries: the task instance's ``max_tries`` then; only a user's Clear changes it.
    :param job_id: the run, once the API had answered.
    :param handle: the upload that it sent along: another one would make another request of it under the same key.
    """

    key: str
    digest: str
    max_tries: int
    job_id: str | None = None
    handle: str | None = None

    def started(self, job_id: str) -> Record:
        """Return the record with the run's id."""
        return self._replace(job_id=job_id)

    def as_json(self) -> dict[str, Any]:
        """Return the record as JSON types."""
        return {
            "version": RECORD_VERSION,
            "key": self.key,
            "digest": self.digest,
            "max_tries": self.max_tries,
            "job_id": self.job_id,
            "handle": self.handle,
        }

    @classmethod
    def read(cls, value: Any) -> Record | None:
        """Read what `as_json` wrote; ``None`` for anything that isn't such a record."""
        match value:
            case {"key": str(key), "digest": str(digest), "max_tries": int(max_tries)}:
                return cls(key, digest, max_tries, _text(value, "job_id"), _text(value, "handle"))
        return None


def _text(value: Mapping[str, Any], name: str) -> str | None:
    text = value.get(name)
    return text if isinstance(text, str) else None


def decide(
    record: Record | None, *, max_tries: int, digest: str, status: str | None, clear_pays_again: bool = True
) -> Action:
    """
    Decide what a try of a task does.

    - No record: this is the first try. Start.
    - A Clear since (another ``max_tries``): the user asks for new work. Start; but without ``clear_pays_again`` go on
      with a run that has completed, and ask for one whose answer was lost.
    - Other work (another digest): what was started doesn't answer it. Start.
    - No run recorded: the request may have been lost, or its answer. Replay; the key makes it one run.
    - A run that failed, was cancelled, timed out, or is gone (``status`` is ``None``): start another.
    - A run that is going, or has completed: adopt it, it is paid for.

    :param status: what the API says of the recorded run; ``None`` if it knows none, or none is recorded.
    """
    if record is None or record.digest != digest:
        return Action.START
    is_stopped_by_a_clear = record.job_id is not None and canonical(status or "") != COMPLETED
    if record.max_tries != max_tries and (clear_pays_again or is_stopped_by_a_clear):
        return Action.START
    if record.job_id is None:
        return Action.REPLAY
    if status is None or canonical(status) in FAILED:
        return Action.START
    return Action.ADOPT


def derived_key(identity: Mapping[str, Any], *, max_tries: int, digest: str, generation: int) -> str:
    """
    Return an ``Idempotency-Key`` that every try of the same task derives alike, for where nothing can be stored.

    :param identity: what tells this task instance from every other, in this and any other deployment.
    :param generation: 0 for the first run; one more for each run that turned out failed.
    """
    parts = [*(f"{name}={identity[name]}" for name in sorted(identity)), str(max_tries), digest, str(generation)]
    return "airflow-" + hashlib.sha256("\x00".join(parts).encode()).hexdigest()
