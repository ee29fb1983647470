"""
What the API answers, as frozen values.

Forgiving about what is unknown or missing, exact about the few fields that decisions rest on: a run without a
``job_id`` or a ``status`` is no run, and `MalformedAnswer` says so. Named tuples: every task's process makes these
classes anew, and a dataclass takes a millisecond.

Text for readers is cleaned as it is read, so that who shows it can't forget to; see `cleaning`. An id, a status and a
file's name, which decisions rest on, are changed only where they hold what no such text has. As they came are kept: a
stored workflow, which is compared and has to be cleaned where a difference is shown; rows; links; tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.metrics import numbers

LONGEST_ID = 200  # characters; also of a status

_NO_SECRETS = Cleaner()
_MOST = 2**63 - 1  # what else than nonsense would be more


class MalformedAnswer(ValueError):
    """An answer lacks a field that a decision rests on."""


def _object(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise MalformedAnswer(f"{what} should be an object, not {type(value).__name__}")
    return value


def _list(value: Any, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise MalformedAnswer(f"{what} should be a list, not {type(value).__name__}")
    return value


def _required(data: Mapping[str, Any], key: str, what: str) -> str:
    value = _text(data, key)
    if value is None:
        raise MalformedAnswer(f"{what} has no {key!r}")
    return value


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) and value.strip() else None


def _message(data: Mapping[str, Any], key: str, cleaner: Cleaner) -> str | None:
    text = _text(data, key)
    return cleaner.message(text) or None if text else None


def _name(data: Mapping[str, Any], key: str, cleaner: Cleaner) -> str | None:
    text = _text(data, key)
    return cleaner.name(text) or None if text else None


def _status(text: str, cleaner: Cleaner) -> str:
    """Return a status, which is compared without its case and the space around it."""
    return _id(text.strip(), cleaner)


def _id(text: str, cleaner: Cleaner) -> str:
    """Return an id; one that holds a secret, or that is no id anyway, becomes a text that can't be taken for one."""
    cleaned = cleaner.value(text)
    return cleaned if len(cleaned) <= LONGEST_ID else cleaner.name(cleaned)


def _other_id(data: Mapping[str, Any], key: str, cleaner: Cleaner) -> str | None:
    """Return an id that isn't required; one that can't be right is as good as none."""
    text = _text(data, key)
    return text if text and _id(text, cleaner) == text else None


def _number(data: Mapping[str, Any], key: str) -> float | None:
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared, not `isfinite`: that overflows on an integer of more than 308 digits.
    return value if 0 <= value <= _MOST else None


def _count(data: Mapping[str, Any], key: str) -> int | None:
    number = _number(data, key)
    return None if number is None else int(number)


def _mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


class Workflow(NamedTuple):
    """A stored workflow; ``definition`` (``blocks`` and ``edges``) is ``None`` in lists."""

    id: str
    name: str | None
    description: str | None
    status: str | None
    definition: Mapping[str, Any] | None

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> Workflow:
        """Read one workflow; its id is required."""
        data = _object(value, "a workflow")
        return cls(
            id=_id(_required(data, "id", "a workflow"), cleaner),
            name=_text(data, "name"),
            description=_text(data, "description"),
            status=_name(data, "status", cleaner),
            definition=_mapping(data, "workflow_definition") or None,
        )

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[Workflow, ...]:
        """Read a list of workflows."""
        return tuple(cls.read(item, cleaner) for item in _list(value, "the list of workflows"))


class BlockType(NamedTuple):
    """A kind of block that a workflow may use, with the JSON Schema of its ``specs``."""

    block_name: str
    specs_schema: Mapping[str, Any]

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[BlockType, ...]:
        """Read the list of kinds of blocks."""
        return tuple(
            cls(
                cleaner.value(_required(_object(item, "a block"), "block_name", "a block")),
                _mapping(item, "specs_schema"),
            )
            for item in _list(value, "the list of blocks")
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
        data = _object(value, "a started run")
        return cls(_id(_required(data, "job_id", "a started run"), cleaner), data.get("already_started") is True)


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
        status = _text(data, "status")
        return cls(
            block_name=_name(data, "block_name", cleaner) or "?",
            sequence_number=_count(data, "sequence_number"),
            status=_status(status, cleaner) if status else None,
            processed=_count(data, "processed_count"),
            total=_count(data, "total_count"),
            error_message=_message(data, "error_message", cleaner),
        )


class LiveStatus(NamedTuple):
    """A run as its ``live_status`` tells it; ``percent`` is 0 to 100, ``ended_at`` the text of ``completed_at``."""

    workflow_id: str | None
    status: str
    percent: float
    current_block: str | None
    blocks: tuple[BlockProgress, ...]
    ended_at: str | None = None

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> LiveStatus:
        """Read a live status; its ``overall_status`` is required."""
        data = _object(value, "a live status")
        blocks = data.get("blocks")
        return cls(
            workflow_id=_other_id(data, "workflow_id", cleaner),
            status=_status(_required(data, "overall_status", "a live status"), cleaner),
            percent=min(_number(data, "overall_progress_percentage") or 0.0, 100.0),
            current_block=_name(data, "current_block", cleaner),
            blocks=tuple(BlockProgress.read(block, cleaner) for block in blocks) if isinstance(blocks, list) else (),
            ended_at=_text(data, "completed_at"),
        )


class ListedRun(NamedTuple):
    """A row of the list of runs; ``metrics`` are the API's own numbers (rows in and out, costs), see `api.metrics`."""

    job_id: str
    workflow_id: str | None
    status: str
    status_reason: str | None
    error_message: str | None
    metrics: Mapping[str, float] = MappingProxyType({})

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[ListedRun, ...]:
        """Read the list of runs, newest first as the API gives it; a row that names no run is left out."""
        rows = (row for row in _list(value, "the list of runs") if isinstance(row, Mapping))
        return tuple(
            cls(
                job_id=row["job_id"],
                workflow_id=_other_id(row, "workflow_id", cleaner),
                status=_status(row["status"], cleaner),
                status_reason=_message(row, "status_reason", cleaner),
                error_message=_message(row, "error_message", cleaner),
                metrics=numbers(_mapping(row, "metrics"), cleaner.name),
            )
            for row in rows
            if _other_id(row, "job_id", cleaner) and _text(row, "status")
        )


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
        """Tell all but the secret and the rows."""
        return f"ResultFile{self[:-2]}"

    @classmethod
    def read_all(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> tuple[ResultFile, ...]:
        """Read the list of result files."""
        return tuple(cls._read(_object(item, "a result file"), cleaner) for item in _list(value, "the result files"))

    @classmethod
    def _read(cls, data: Mapping[str, Any], cleaner: Cleaner) -> ResultFile:
        rows = data.get("results")
        expires_in = _number(data, "download_expires_in_seconds")
        return cls(
            filename=cleaner.value(_text(data, "filename") or "", blank="_"),  # as `filenames` writes such
            block_number=_count(data, "block_number"),
            row_count=_count(data, "row_count"),
            file_size=_count(data, "file_size"),
            message=_message(data, "message", cleaner),
            # 900 s is what the vendor's OpenAPI text gives as the default.
            expires_in=900.0 if expires_in is None else expires_in,
            download_url=_text(data, "download_url"),
            rows=tuple(r for r in rows if isinstance(r, Mapping)) if isinstance(rows, list) else None,
        )


class Token(NamedTuple):
    """An OAuth access token, kept out of ``repr``; ``expires_in`` is in seconds."""

    access_token: str
    expires_in: float

    def __repr__(self) -> str:
        """Tell only how long it lives."""
        return f"Token(expires_in={self.expires_in})"

    @classmethod
    def read(cls, value: Any, cleaner: Cleaner = _NO_SECRETS) -> Token:
        """Read a token answer; a token that doesn't say how long it lives is taken to live five minutes."""
        data = _object(value, "a token answer")
        token = _required(data, "access_token", "a token answer")
        if not token.isascii() or not token.isprintable():
            raise MalformedAnswer("the access token holds characters that no header can")
        return cls(token, _number(data, "expires_in") or 300.0)


def read_handle(value: Any, cleaner: Cleaner = _NO_SECRETS) -> str:
    """Read the handle id that an upload answers."""
    return _id(_required(_object(value, "an upload's answer"), "handle_id", "an upload's answer"), cleaner)
