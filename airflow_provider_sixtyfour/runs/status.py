"""
What a run's status means: still running, completed, or failed and why.

The one place that knows the statuses. Operator, sensor and trigger share it, on the worker and in the
triggerer, so that the same run ends the same way everywhere.

A status that no page of the API names counts as still running ("finalizing" may exist), until the API has given the
run a ``completed_at`` for `UNKNOWN_FOR` seconds: then it is an end, and not a success.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.metrics import numbers
from airflow_provider_sixtyfour.api.models import BlockProgress, ListedRun, LiveStatus
from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError

ACTIVE = frozenset({"queued", "running"})
FAILED = frozenset({"failed", "cancelled", "timeout", "terminated"})
COMPLETED = "completed"
UNKNOWN_FOR = 60.0  # seconds
MOST_BLOCKS = 50  # of a run whose names an outcome has; it travels in a trigger's event

# Blocks that hand their rows on to somebody else: they make no file, or a copy of the one before with columns of their
# own (what became of a delivery).
OUTPUT_ONLY = frozenset({"append_to_notebook", "outgoing_webhook", "send_slack_message"})
_WHAT_HAPPENED = {
    "failed": "Failed",
    "cancelled": "Cancelled at Sixtyfour",
    "timeout": "Stopped by Sixtyfour's own time limit",
    "terminated": "Terminated at Sixtyfour",
}
_SPELLINGS = {"canceled": "cancelled", "timed_out": "timeout"}


def canonical(status: str) -> str:
    """Return a status in one spelling; the cancel call says ``canceled``, the others ``cancelled``."""
    status = re.sub(r"[\s-]+", "_", status.strip().lower())
    return _SPELLINGS.get(status, status)


def is_known(status: str) -> bool:
    """Return whether any page of the API names this status."""
    return canonical(status) in ACTIVE | FAILED | {COMPLETED}


class RunOutcome(NamedTuple):
    """
    How a run ended: plain texts and numbers only, so that it can travel in a trigger's event.

    :param status: ``completed``, ``failed``, ``cancelled``, ``timeout``, ``terminated``, or an unknown one.
    :param block: the block that failed, named as in the workflow.
    :param message: what the API said of it.
    :param metrics: what it has used, where the outcome comes from the list of runs, which alone has them.
    :param last_block: the number of the last block whose file is final, where the outcome comes from a live status: of
        those that are not `OUTPUT_ONLY`.
    :param seconds: from its start to its end, where the API gives both.
    :param blocks: the names of its blocks, in their order, where the outcome comes from a live status; `MOST_BLOCKS` at
        most.
    """

    job_id: str
    status: str
    workflow_id: str | None = None
    block: str | None = None
    message: str | None = None
    metrics: Mapping[str, float] = MappingProxyType({})
    last_block: int | None = None
    seconds: float | None = None
    blocks: tuple[str, ...] = ()

    def as_event(self) -> dict[str, Any]:
        """Return the outcome as JSON types."""
        return {**self._asdict(), "metrics": dict(self.metrics), "blocks": list(self.blocks)}

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> RunOutcome:
        """Read what `as_event` wrote, also when a later version wrote more."""
        return cls(
            job_id=event["job_id"],
            status=event["status"],
            workflow_id=event.get("workflow_id"),
            block=event.get("block"),
            message=event.get("message"),
            metrics=event.get("metrics") or {},
            last_block=event.get("last_block"),
            seconds=event.get("seconds"),
            blocks=tuple(event.get("blocks") or ()),
        )

    def raise_if_failed(self, what_next: str = "") -> None:
        """
        Raise unless the run completed.

        :param what_next: a sentence for the message: what a task does about it.
        :raises SixtyfourRunFailedError: naming the run, the block and what the API said.
        """
        if self.status == COMPLETED:
            return
        raise SixtyfourRunFailedError(
            " ".join(filter(None, (self.cause(), what_next, self.ids()))),
            job_id=self.job_id,
            status=self.status,
        )

    def cause(self) -> str:
        """Return how the run ended, and why, without ids."""
        if self.status == COMPLETED:
            return "Completed."
        what = _WHAT_HAPPENED.get(self.status, f"Ended with the unknown status {self.status!r}, so not as completed")
        where = f" in block {self.block}" if self.block else ""
        said = f": {self.message}" if self.message else "; the API gives no reason"
        return f"{what}{where}{said.rstrip('.')}."

    def ids(self) -> str:
        """Return the ids that a message about the run ends with."""
        return f"Run {self.job_id}{f', workflow {self.workflow_id}' if self.workflow_id else ''}."


def outcome_of(job_id: str, live: LiveStatus) -> RunOutcome | None:
    """Return how the run ended; ``None`` while it is running, by its status."""
    status = canonical(live.status)
    if status in ACTIVE or (not is_known(status) and _seconds_since(live.completed_at) < UNKNOWN_FOR):
        return None
    block = failed_block(live) if status != COMPLETED else None
    return RunOutcome(
        job_id=job_id,
        status=status,
        workflow_id=live.workflow_id,
        block=describe_block(block) if block else None,
        message=block.error_message if block else live.error_message,
        metrics=live.metrics,
        last_block=_last_block(live) if status == COMPLETED else None,
        seconds=_duration(live),
        blocks=_block_names(live),
    )


def _seconds_since(moment: datetime | None) -> float:
    """Return how long ago a moment of the API was; no time for none."""
    return 0.0 if moment is None else time.time() - moment.timestamp()


def _duration(run: LiveStatus | ListedRun) -> float | None:
    """Return the seconds from a run's start to its end; ``None`` where one isn't given, or they can't both be right."""
    started, ended = run.started_at, run.completed_at
    seconds = ended.timestamp() - started.timestamp() if started is not None and ended is not None else -1.0
    return seconds if seconds >= 0 else None


def _block_names(live: LiveStatus) -> tuple[str, ...]:
    """Return the names of a run's blocks by their numbers."""
    in_order = sorted(live.blocks, key=lambda block: block.sequence_number or 0)
    return tuple(block.block_name for block in in_order[:MOST_BLOCKS])


def _last_block(live: LiveStatus) -> int | None:
    """Return the highest number of a run's blocks, but for those that are `OUTPUT_ONLY`."""
    numbers = [block.sequence_number for block in live.blocks if block.block_name not in OUTPUT_ONLY]
    return max((number for number in numbers if number is not None), default=None)


def outcome_of_row(row: ListedRun) -> RunOutcome:
    """Return how a run ended, by its own row in the list of runs alone."""
    status = canonical(row.status)
    ended = with_metrics(RunOutcome(row.job_id, status, row.workflow_id), row)
    return ended if status == COMPLETED else with_reason(ended, row)


def has_reason(ended: RunOutcome) -> bool:
    """Return whether an outcome needs no further reason."""
    return ended.status == COMPLETED or ended.message is not None


def with_reason(ended: RunOutcome, row: ListedRun | None) -> RunOutcome:
    """Return the outcome with the reason that the list of runs gives, where no block gave one."""
    if row is None or ended.message:
        return ended
    reason = " - ".join(text for text in (row.status_reason, row.error_message) if text)
    reason = Cleaner().message(reason)  # each was cleaned when it was read; the two together may be too long
    return ended._replace(workflow_id=ended.workflow_id or row.workflow_id, message=reason or None)


def with_metrics(ended: RunOutcome, row: ListedRun) -> RunOutcome:
    """Return the outcome with the usage that the list of runs has, and its duration where that wasn't known."""
    seconds = _duration(row) if ended.seconds is None else ended.seconds
    return ended._replace(metrics=numbers(row.metrics), seconds=seconds)


def failed_block(live: LiveStatus) -> BlockProgress | None:
    """Return the block that a failed run failed in: the one marked so, else the one with a message."""
    failed = [block for block in live.blocks if block.status and canonical(block.status) in FAILED]
    return next(iter(failed + [block for block in live.blocks if block.error_message]), None)


def describe_block(block: BlockProgress) -> str:
    """Name a block for a reader: its name and its number in the workflow."""
    number = f" ({block.sequence_number})" if block.sequence_number is not None else ""
    return f"'{block.block_name}'{number}"


def describe_progress(live: LiveStatus) -> str:
    """Return in one line how far a run is: status, percent, block, rows."""
    parts = [f"{canonical(live.status)} {live.percent:.0f} %"]
    running = [block for block in live.blocks if block.status and canonical(block.status) == "running"]
    block = running[0] if running else None
    if block is not None:
        rows = f", {block.processed or 0:,} of {block.total:,} rows" if block.total else ""
        parts.append(f"block {describe_block(block)}{rows}")
    elif live.current_block:
        parts.append(f"block '{live.current_block}'")
    return ", ".join(parts)
