"""
What the API answers on jobs without a workflow, as frozen values; see `models`.

:param timestamps: of each, as text, parsed by the property that reads one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.fields import (
    MalformedAnswer,
    as_datetime,
    read_count,
    read_id,
    read_message,
    read_number,
    read_object,
    read_other_id,
    read_required,
    read_status,
    read_timestamps,
)
from airflow_provider_sixtyfour.api.models import ResultFile

if TYPE_CHECKING:
    from pendulum import DateTime

_NO_SECRETS = Cleaner()
_MOST_CREDITS = 10**15  # what else than nonsense would be more


class StartedJob(NamedTuple):
    """
    The answer to the submission of a bulk job.

    :param task_id: what `Job` is polled by.
    :param already_started: whether the API recognised the ``Idempotency-Key`` and started nothing new. Such an answer
        has no ``row_count`` and no estimate.
    :param row_count: rows of the file.
    :param estimated_cost_cents: rows times the price of the tier, in cents. A floor: ``find_people`` can cost more.
        ``None`` if credits were asked for.
    :param estimated_cost_credits: the same in credits; ``None`` if cents were asked for.
    """

    task_id: str
    already_started: bool
    row_count: int | None = None
    estimated_cost_cents: float | None = None
    estimated_cost_credits: float | None = None

    @property
    def job_id(self) -> str:
        """Its id, under the name that a run has it."""
        return self.task_id

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> StartedJob:
        """Read the answer; its ``task_id`` is required."""
        data = read_object(value, "a started job")
        return cls(
            task_id=read_id(read_required(data, "task_id", "a started job"), cleaner),
            already_started=data.get("already_started") is True,
            row_count=read_count(data, "row_count"),
            estimated_cost_cents=read_number(data, "estimated_cost_cents"),
            estimated_cost_credits=read_number(data, "estimated_cost_credits"),
        )


class Job(NamedTuple):
    """
    A job as ``GET /job-status/{task_id}`` shows it.

    :param status: ``running``, ``completed``, ``failed``, ``cancelled``, ``terminated``, ``timed_out`` or
        ``continued_as_new``, which is still running; the case may differ.
    :param error_message: why it failed, where the API says so; no page declares it.
    :param results: the result files of a job that has completed: for each block of its pipeline one of each format.
        Empty before.
    :param charge_amount: what was charged, in cents; ``None`` before, or if credits were asked for.
    :param charge_credits: the same in credits; ``None`` before, or if cents were asked for.
    """

    status: str
    run_id: str | None = None
    error_message: str | None = None
    results: tuple[ResultFile, ...] = ()
    charge_amount: float | None = None
    charge_credits: float | None = None
    timestamps: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> Job:
        """Read a job; its ``status`` is required."""
        data = read_object(value, "a job")
        results = data.get("results")
        return cls(
            status=read_status(read_required(data, "status", "a job"), cleaner),
            run_id=read_other_id(data, "run_id", cleaner),
            error_message=read_message(data, "error", cleaner) or read_message(data, "error_message", cleaner),
            results=() if results is None else ResultFile.read_all(results, cleaner),
            charge_amount=read_number(data, "charge_amount"),
            charge_credits=read_number(data, "charge_credits"),
            timestamps=read_timestamps(data, cleaner, "start_time", "close_time"),
        )

    @property
    def start_time(self) -> DateTime | None:
        """When it was started."""
        return as_datetime(self.timestamps.get("start_time"))

    @property
    def close_time(self) -> DateTime | None:
        """When it completed; ``None`` before, and for a job that ended otherwise."""
        return as_datetime(self.timestamps.get("close_time"))


def read_credits(value: Any, cleaner: Cleaner = _NO_SECRETS) -> float:
    """Read the credits that are left, which may be fewer than none."""
    credits = read_object(value, "the balance").get("credits")
    if isinstance(credits, bool) or not isinstance(credits, int | float) or not abs(credits) < _MOST_CREDITS:
        raise MalformedAnswer("the balance has no number of 'credits'")
    return credits
