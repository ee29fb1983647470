"""
What the API answers, as frozen values.

Forgiving about what is unknown or missing, exact about the few fields that decisions rest on: a run without a
``job_id`` or a ``status`` is no run, and `MalformedAnswer` says so. Named tuples: every task's process makes these
classes each time, and a dataclass takes a millisecond.

Text for readers is cleaned as it is read, so that who shows it can't forget to; see `cleaning`. An id, a status and a
file's name, which decisions rest on, are changed only where they hold what no such text has. As they came are kept: a
stored workflow, which is compared and has to be cleaned where a difference is shown; rows; links; tokens. Timestamps
are kept as text, and parsed by the property that reads one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.fields import MalformedAnswer as MalformedAnswer
from airflow_provider_sixtyfour.api.fields import (
    as_datetime,
    read_count,
    read_id,
    read_list,
    read_mapping,
    read_message,
    read_name,
    read_number,
    read_object,
    read_other_id,
    read_required,
    read_status,
    read_text,
    read_timestamps,
)
from airflow_provider_sixtyfour.api.metrics import numbers

if TYPE_CHECKING:
    from pendulum import DateTime

_NO_SECRETS = Cleaner()
_NO_TIMESTAMPS: Mapping[str, str] = MappingProxyType({})


class Workflow(NamedTuple):
    """A stored workflow; ``definition`` (``blocks`` and ``edges``) is ``None`` in lists."""

    id: str
    name: str | None
    description: str | None
    status: str | None
    definition: Mapping[str, Any] | None
    timestamps: Mapping[str, str] = _NO_TIMESTAMPS

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> Workflow:
        """Read one workflow; its id is required."""
        data = read_object(value, "a workflow")
        return cls(
            id=read_id(read_required(data, "id", "a workflow"), cleaner),
            name=read_text(data, "name"),
            description=read_text(data, "description"),
            status=read_name(data, "status", cleaner),
            definition=read_mapping(data, "workflow_definition") or None,
            timestamps=read_timestamps(data, cleaner, "created_at", "updated_at", "last_run_date"),
        )

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[Workflow, ...]:
        """Read a list of workflows."""
        return tuple(cls.read(item, cleaner) for item in read_list(value, "the list of workflows"))

    @property
    def created_at(self) -> DateTime | None:
        """When it was created."""
        return as_datetime(self.timestamps.get("created_at"))

    @property
    def updated_at(self) -> DateTime | None:
        """When it was last saved."""
        return as_datetime(self.timestamps.get("updated_at"))

    @property
    def last_run_date(self) -> DateTime | None:
        """When its last run was started."""
        return as_datetime(self.timestamps.get("last_run_date"))


class BlockType(NamedTuple):
    """A kind of block that a workflow may use, with the JSON Schema of its ``specs``."""

    block_name: str
    specs_schema: Mapping[str, Any]

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[BlockType, ...]:
        """Read the list of kinds of blocks."""
        return tuple(
            cls(
                cleaner.value(read_required(read_object(item, "a block"), "block_name", "a block")),
                read_mapping(item, "specs_schema"),
            )
            for item in read_list(value, "the list of blocks")
        )


class StartedRun(NamedTuple):
    """
    The answer to a submission.

    ``already_started`` is true when the API recognised the ``Idempotency-Key`` and started nothing new.
    """

    job_id: str
    already_started: bool

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> StartedRun:
        """Read the answer; its ``job_id`` is required."""
        data = read_object(value, "a started run")
        return cls(
            read_id(read_required(data, "job_id", "a started run"), cleaner), data.get("already_started") is True
        )


class BlockProgress(NamedTuple):
    """How far one block of a run is; ``processed`` and ``total`` count rows."""

    block_name: str
    sequence_number: int | None
    status: str | None
    processed: int | None
    total: int | None
    error_message: str | None

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> BlockProgress:
        """Read one block of a live status."""
        data = value if isinstance(value, Mapping) else {}
        status = read_text(data, "status")
        return cls(
            block_name=read_name(data, "block_name", cleaner) or "?",
            sequence_number=read_count(data, "sequence_number"),
            status=read_status(status, cleaner) if status else None,
            processed=read_count(data, "processed_count"),
            total=read_count(data, "total_count"),
            error_message=read_message(data, "error_message", cleaner),
        )


class LiveStatus(NamedTuple):
    """
    A run as its ``live_status`` reports it; ``percent`` is 0 to 100.

    :param error_message: why it ended badly, and ``metrics``: what it has used; where a status tells, which that of a
        run does not; see `job_kinds`.
    """

    workflow_id: str | None
    status: str
    percent: float
    current_block: str | None
    blocks: tuple[BlockProgress, ...]
    timestamps: Mapping[str, str] = _NO_TIMESTAMPS
    error_message: str | None = None
    metrics: Mapping[str, float] = MappingProxyType({})

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> LiveStatus:
        """Read a live status; its ``overall_status`` is required."""
        data = read_object(value, "a live status")
        blocks = data.get("blocks")
        return cls(
            workflow_id=read_other_id(data, "workflow_id", cleaner),
            status=read_status(read_required(data, "overall_status", "a live status"), cleaner),
            percent=min(read_number(data, "overall_progress_percentage") or 0.0, 100.0),
            current_block=read_name(data, "current_block", cleaner),
            blocks=tuple(BlockProgress.read(block, cleaner) for block in blocks) if isinstance(blocks, list) else (),
            timestamps=read_timestamps(data, cleaner, "started_at", "completed_at", "last_updated"),
        )

    @property
    def started_at(self) -> DateTime | None:
        """When its first block began."""
        return as_datetime(self.timestamps.get("started_at"))

    @property
    def completed_at(self) -> DateTime | None:
        """When it ended, however it did."""
        return as_datetime(self.timestamps.get("completed_at"))

    @property
    def last_updated(self) -> DateTime | None:
        """As of when the rest is."""
        return as_datetime(self.timestamps.get("last_updated"))


_RUN_TIMESTAMPS = ("created_at", "updated_at", "queued_at", "started_at", "completed_at")


class ListedRun(NamedTuple):
    """A row of the list of runs; ``metrics`` are the API's own numbers (rows in and out, costs), see `api.metrics`."""

    job_id: str
    workflow_id: str | None
    status: str
    status_reason: str | None
    error_message: str | None
    metrics: Mapping[str, float] = MappingProxyType({})
    timestamps: Mapping[str, str] = _NO_TIMESTAMPS

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[ListedRun, ...]:
        """Read the list of runs, newest first as the API gives it; a row that names no run is left out."""
        rows = (row for row in read_list(value, "the list of runs") if isinstance(row, Mapping))
        return tuple(
            cls(
                job_id=row["job_id"],
                workflow_id=read_other_id(row, "workflow_id", cleaner),
                status=read_status(row["status"], cleaner),
                status_reason=read_message(row, "status_reason", cleaner),
                error_message=read_message(row, "error_message", cleaner),
                metrics=numbers(read_mapping(row, "metrics"), cleaner.name),
                timestamps=read_timestamps(row, cleaner, *_RUN_TIMESTAMPS),
            )
            for row in rows
            if read_other_id(row, "job_id", cleaner) and read_text(row, "status")
        )

    @property
    def created_at(self) -> DateTime | None:
        """When the API recorded it."""
        return as_datetime(self.timestamps.get("created_at"))

    @property
    def updated_at(self) -> DateTime | None:
        """When the API last wrote to it."""
        return as_datetime(self.timestamps.get("updated_at"))

    @property
    def queued_at(self) -> DateTime | None:
        """When it was submitted."""
        return as_datetime(self.timestamps.get("queued_at"))

    @property
    def started_at(self) -> DateTime | None:
        """When its first block began; ``None`` while it is queued."""
        return as_datetime(self.timestamps.get("started_at"))

    @property
    def completed_at(self) -> DateTime | None:
        """When it ended, however it did; ``None`` until then."""
        return as_datetime(self.timestamps.get("completed_at"))


class ResultFile(NamedTuple):
    """
    One result file of a run.

    ``download_url`` is a secret: whoever holds it can read the file. It is kept out of ``repr``, as are
    ``rows``, the rows themselves where the API sent them along. ``file_size`` is in bytes (uncompressed),
    ``expires_in`` in seconds.
    """

    filename: str
    block_number: int | None
    row_count: int | None
    file_size: int | None
    message: str | None
    expires_in: float
    download_url: str | None
    rows: tuple[Mapping[str, Any], ...] | None

    def __repr__(self) -> str:
        """Show all but the secret and the rows."""
        return f"ResultFile{self[:-2]}"

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[ResultFile, ...]:
        """Read the list of result files."""
        return tuple(
            cls._read(read_object(item, "a result file"), cleaner) for item in read_list(value, "the result files")
        )

    @classmethod
    def _read(cls, data: Mapping[str, Any], cleaner: Cleaner) -> ResultFile:
        rows = data.get("results")
        expires_in = read_number(data, "download_expires_in_seconds")
        return cls(
            filename=cleaner.value(read_text(data, "filename") or "", blank="_"),  # as `filenames` writes such
            block_number=read_count(data, "block_number"),
            row_count=read_count(data, "row_count"),
            file_size=read_count(data, "file_size"),
            message=read_message(data, "message", cleaner),
            # 900 s is what the vendor's OpenAPI text gives as the default.
            expires_in=900.0 if expires_in is None else expires_in,
            download_url=read_text(data, "download_url"),
            rows=tuple(r for r in rows if isinstance(r, Mapping)) if isinstance(rows, list) else None,
        )


class Token(NamedTuple):
    """An OAuth access token, kept out of ``repr``; ``expires_in`` is in seconds."""

    access_token: str
    expires_in: float

    def __repr__(self) -> str:
        """Show only how long it lives."""
        return f"Token(expires_in={self.expires_in})"

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> Token:
        """Read a token answer; a token that doesn't say how long it lives is taken to live five minutes."""
        data = read_object(value, "a token answer")
        token = read_required(data, "access_token", "a token answer")
        if not token.isascii() or not token.isprintable():
            raise MalformedAnswer("the access token holds characters that no header can")
        return cls(token, read_number(data, "expires_in") or 300.0)


def read_handle(value: Any, cleaner: Cleaner = _NO_SECRETS) -> str:
    """Read the handle id that an upload answers."""
    return read_id(read_required(read_object(value, "an upload's answer"), "handle_id", "an upload's answer"), cleaner)
