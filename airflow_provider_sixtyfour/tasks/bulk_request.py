"""
What a bulk job is started with: its configuration, and one file, which is sent along and not uploaded before.

Invariant: what is sent is what was measured. The file is copied to local disk before a job is started, and a copy with
other content starts none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_calls import check_struct
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow_provider_sixtyfour.api.calls import Call
    from airflow_provider_sixtyfour.api.job_models import StartedJob
    from airflow_provider_sixtyfour.inputs.file import InputFile

# By kind: the tiers that the API's description names.
TIERS = {
    "people": ("micro", "low", "medium", "high", "xhigh", "scout"),
    "company": ("micro", "low", "medium", "high"),
}
_OF_COMPANIES = ("find_people", "people_focus_prompt", "lead_struct", "full_org_chart")
_COPIED_AT_ONCE = 1024 * 1024  # bytes


def bulk_config(
    kind: Any,
    *,
    struct: Any,
    tier: Any,
    columns: Any,
    **others: Any,
) -> dict[str, Any]:
    """
    Return the configuration of a job, as `calls.start_bulk_people` and `calls.start_bulk_company` take it.

    :param others: the rest of its members; those that are ``None`` or ``False`` are left out.
    :raises SixtyfourInputError: naming the parameter that can't be right.
    """
    if kind not in TIERS:
        raise SixtyfourInputError(f"kind should be 'people' or 'company', not {kind!r:.60}.")
    if tier not in (None, *TIERS[kind]):
        raise SixtyfourInputError(f"tier should be one of {', '.join(TIERS[kind])} for {kind}, not {tier!r:.60}.")
    if kind == "company" and not struct:
        raise SixtyfourInputError("struct is empty: a company job needs the fields to find.")
    if columns is not None and (
        isinstance(columns, str) or not columns or not all(isinstance(name, str) for name in columns)
    ):
        raise SixtyfourInputError(f"columns should be a list of names of the file's columns, not {columns!r:.60}.")
    given = {name: value for name, value in others.items() if value is not None and value is not False}
    if kind == "people" and (wrong := [name for name in _OF_COMPANIES if name in given]):
        raise SixtyfourInputError(f"{', '.join(wrong)} is for kind='company': a people job has no such setting.")
    if "lead_struct" in given:
        given["lead_struct"] = check_struct(given["lead_struct"], "lead_struct")
    config = {
        "struct": check_struct(struct, "struct"),
        "tier": tier,
        "columns": None if columns is None else list(columns),
        **given,
    }
    return {name: value for name, value in config.items() if value is not None}


class BulkRequest:
    """
    A `submissions.Startable`. As a context it removes its copy of the file at its end.

    :param kind: ``people`` or ``company``.
    :param config: see `bulk_config`.
    """

    handle: str | None = None

    def __init__(self, kind: str, config: Mapping[str, Any], result_formats: Sequence[str], file: InputFile) -> None:
        self._kind = kind
        self._config = config
        self._formats = tuple(result_formats)
        self._file = file
        self._ending = ExitStack()

    def __enter__(self) -> BulkRequest:
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    @property
    def title(self) -> str:
        """What is started, for messages."""
        return f"a bulk job ({self._kind})"

    def call(self, key: str) -> Call[StartedJob]:
        """
        Return the call that starts the job, with a stream of its own.

        :raises SixtyfourInputError: if the file has changed since it was measured.
        """
        stream = cast("BinaryIO", self._ending.enter_context(self._copy.open("rb")))
        start: Any = calls.start_bulk_people if self._kind == "people" else calls.start_bulk_company
        call: Call[StartedJob] = start(
            stream, self._file.name, result_formats=self._formats, idempotency_key=key, **self._config
        )
        return call

    def with_handle(self, handle: str) -> BulkRequest:
        """Return it as it is: it names no upload."""
        return self

    def packed(self) -> str | None:
        """Return nothing: a file is too long to be recorded, and the next try has the same one."""
        return None

    @cached_property
    def _copy(self) -> Path:
        from airflow_provider_sixtyfour.inputs.file import checked_size, sendable
        from airflow_provider_sixtyfour.storage.file_stats import HashingReader

        checked_size(self._file.path, delimiter=self._file.delimiter)
        path = Path(self._ending.enter_context(TemporaryDirectory(prefix="sixtyfour-"))) / "input"
        with sendable(self._file.path, self._file.delimiter) as stream, path.open("wb") as copy:
            hashed = HashingReader(stream)
            while chunk := hashed.read(_COPIED_AT_ONCE):
                copy.write(chunk)
        if hashed.sha256 != self._file.sha256:
            raise SixtyfourInputError(
                f"The file {self._file.path} has other content than when it was measured, so no job was started. "
                "Clear the task that makes it, together with this one."
            )
        return path
