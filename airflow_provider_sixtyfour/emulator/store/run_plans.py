"""
What tests decide about runs before they are started.

Invariant: a plan is spent when it has been used as often as it says, and plans are used in the order of their
arrival; a run that no plan is for goes by the emulator's options.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

ENDED = frozenset({"completed", "failed", "cancelled", "canceled", "timeout", "timed_out", "terminated"})
"""The statuses of a run that is over, in lower case."""


class PlannedFile(BaseModel):
    """A result file that differs from the one that the run makes. ``omit`` names members to leave out."""

    model_config = ConfigDict(extra="forbid")

    filename: str | None = None
    block_number: int | None = None
    row_count: int | None = None
    file_size: int | None = None
    download_url: str | None = None
    content_type: str | None = None
    rows: list[dict[str, Any]] | None = None
    omit: tuple[str, ...] = ()

    def claims(self) -> dict[str, Any]:
        """Return the members to show instead of the true ones."""
        return self.model_dump(include=self.model_fields_set - {"rows", "omit"})


class Plan(BaseModel):
    """How the next runs go. Times are in seconds."""

    model_config = ConfigDict(extra="forbid")

    times: int | None = Field(default=1, ge=1)  # None: for ever
    workflow_id: str | None = None  # only runs of this workflow
    seconds: float | None = Field(default=None, ge=0)
    queue_seconds: float | None = Field(default=None, ge=0)
    status: str = "completed"  # in any case
    ends: bool | None = None  # whether that status is an end; None: where the API is known to have it for one
    fail_block: int | None = None  # a sequence_number
    error_message: str | None = None
    hide_for_seconds: float = Field(default=0, ge=0)
    cancel_seconds: float = Field(default=0, ge=0)  # how long a cancel takes
    links_after_seconds: float = Field(default=0, ge=0)  # how long after its end a run still has no links
    late_files: dict[int, float] = Field(default_factory=dict)  # the same for one block, by its sequence_number
    results: list[PlannedFile] | None = None
    synthetic_bytes: int | None = Field(default=None, ge=1)

    @property
    def is_end(self) -> bool:
        """Whether a run of this plan ends when its time is up."""
        return self.status.lower() in ENDED if self.ends is None else self.ends

    def model_post_init(self, context: object, /) -> None:
        """Let ``fail_block`` or ``error_message`` alone say that the run fails."""
        named = {"fail_block", "error_message"} & self.model_fields_set
        if named and "status" not in self.model_fields_set:
            self.status = "failed"


class Plans:
    """The plans that wait for their runs."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Plan, list[int | None]]] = []

    def add(self, plan: Plan) -> None:
        """Queue a plan."""
        self._waiting.append((plan, [plan.times]))

    def take(self, workflow_id: str) -> Plan | None:
        """Return the plan of a run that starts now."""
        for index, (plan, left) in enumerate(self._waiting):
            if plan.workflow_id not in (None, workflow_id):
                continue
            if left[0] is not None:
                left[0] -= 1
                if left[0] == 0:
                    del self._waiting[index]
            return plan
        return None

    def describe(self) -> list[dict[str, Any]]:
        """Return what still waits."""
        return [{**plan.model_dump(exclude_unset=True), "times_left": left[0]} for plan, left in self._waiting]

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
