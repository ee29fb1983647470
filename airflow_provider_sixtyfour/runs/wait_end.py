"""
How a wait ended, read from the event of its trigger: the same for every operator and sensor.

`SixtyfourRunTrigger` documents the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from airflow_provider_sixtyfour.runs.status import RunOutcome


class DeadlinePassed(NamedTuple):
    """The deadline has passed; the run had not ended then."""

    reason: str


class NotReported(NamedTuple):
    """
    The wait was given up before either: the run's status is not known.

    :param is_refused: whether the API has refused to report the run for as long as a refusal is borne; else the wait
        has failed, or its event can't be read.
    """

    reason: str
    is_refused: bool = True

    @property
    def sentence(self) -> str:
        """The reason, with a full stop at its end."""
        return self.reason if self.reason.endswith(".") else f"{self.reason}."


WaitEnd: TypeAlias = RunOutcome | DeadlinePassed | NotReported


class Found(NamedTuple):
    """
    What a trigger found.

    :param job_id: the run; ``None`` if the event names none.
    :param host: the base URL where it was started; ``None`` if that isn't known.
    """

    job_id: str | None
    host: str | None
    end: WaitEnd


def read_event(event: Mapping[str, Any] | None) -> Found:
    """Read the event of a trigger, whatever it is."""
    job_id = host = None
    if isinstance(event, Mapping) and isinstance(event.get("job_id"), str):
        job_id, host = event["job_id"], event.get("host")
    return Found(job_id, host, _end(event))


def _end(event: Mapping[str, Any] | None) -> WaitEnd:
    match event:
        case {"ended": {"job_id": str(), "status": str()} as ended}:
            return RunOutcome.from_event(ended)
        case {"deadline": str(reason), "job_id": str()}:
            return DeadlinePassed(reason)
        case {"refused": str(reason), "job_id": str()}:
            return NotReported(reason)
        case {"broken": str(reason), "job_id": str()}:
            return NotReported(reason, is_refused=False)
    return NotReported(f"Unreadable event of the trigger: {event!r:.200}", is_refused=False)


def left_running(reason: str, job_id: str, *, has_next_try: bool = False) -> str:
    """
    Return the message of a wait that has ended before its run, which was not cancelled.

    :param has_next_try: whether it was kept for the task's next try.
    """
    if has_next_try:
        return f"{reason} The run may still be in progress: the next try of this task reattaches to it. Run {job_id}."
    return f"{reason} The run was not cancelled and may still be in progress. Run {job_id}."
