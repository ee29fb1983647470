"""What a test orders: which requests misbehave, and how."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Where = Literal["api", "storage"]


class FaultBody(BaseModel):
    """What a test orders. Times are in seconds."""

    model_config = ConfigDict(extra="forbid")

    action: str  # a name of the table of misbehaviours
    method: str | None = None
    path: str | None = None  # a regular expression for the whole path
    query: str | None = None  # a regular expression to be found in the query
    where: Where = "api"
    when: Literal["before", "after"] = "before"  # after: the request is processed first
    times: int | None = Field(default=None, ge=1)  # null: for ever; left out: once, or for ever in the `seconds`
    seconds: float | None = Field(default=None, gt=0)  # how long from now
    skip: int = Field(default=0, ge=0)  # how many to let through first
    status: int = Field(default=503, ge=200, le=599)
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None  # text as it is, anything else as JSON
    delay: float = Field(default=0, ge=0)
    cut_after: int = Field(default=0, ge=0)  # bytes of the body
    chunk_bytes: int = Field(default=1, ge=1)
    whole: bool = False  # the head of the answer trickles too
    mib: int = Field(default=64, ge=1, le=4096)
    rows: int = Field(default=1_000_000, ge=0)
    members: dict[str, Any] = Field(default_factory=dict)

    @property
    def limit(self) -> int | None:
        """How often it fires at most; None: without limit."""
        return 1 if "times" not in self.model_fields_set and self.seconds is None else self.times

    @field_validator("path", "query")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from error
        return pattern
