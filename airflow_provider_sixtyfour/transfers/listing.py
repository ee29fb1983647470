"""
A run's result files, and a link to each just when it is needed.

Invariant: a link is handed out once and only while it has time left; the list is asked for again otherwise. Safe to
use from several threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.errors import (
    SixtyfourInputError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.downloads import Link
    from airflow_provider_sixtyfour.api.models import ResultFile

LINK_RESERVE = 60.0  # seconds before its end from which a link is not used any more


class Listing:
    """The result files of one run in one format."""

    def __init__(self, client: SixtyfourClient, job_id: str, format: str) -> None:
        self.format = format
        self._client = client
        self._call = calls.result_files(job_id, format)
        self._used: set[int] = set()
        self._lock = threading.Lock()
        self._refresh()

    def _refresh(self) -> None:
        self.files = self._client.send(self._call)
        self._asked_at = time.monotonic()
        self._used.clear()

    def link(self, position: int) -> Link:
        """
        Return a link that hasn't been tried yet and has time left.

        :raises SixtyfourUnavailableError: if the API gives none, or lists other files than before.
        """
        from airflow_provider_sixtyfour.api.downloads import Link

        with self._lock:
            reserve = min(LINK_RESERVE, self.files[position].expires_in / 2)
            if position in self._used or time.monotonic() > self._asked_at + self.files[position].expires_in - reserve:
                expected = self.files[position]
                self._refresh()
                if position >= len(self.files) or _identity(self.files[position]) != _identity(expected):
                    raise SixtyfourUnavailableError("The API lists other result files than a moment ago.")
            self._used.add(position)
            file = self.files[position]
            if file.download_url is None:
                said = f" ({file.message})" if file.message else ""
                raise SixtyfourUnavailableError(f"The API gives no link to {file.filename!r:.120}{said}.")
            return Link(file.download_url, self._asked_at + file.expires_in)


def _identity(file: ResultFile) -> tuple[str, int | None]:
    return file.filename, file.block_number


def wanted_blocks(files: Any) -> str | frozenset[int]:
    """
    Read ``files``: ``final``, ``all``, or block numbers, also as a rendered template gives them.

    :raises SixtyfourInputError: if it is anything else.
    """
    if files in ("final", "all"):
        return str(files)
    items = [files] if isinstance(files, int | str) else files
    try:
        numbers = frozenset(int(item) for item in items if not isinstance(item, bool))
    except (TypeError, ValueError):
        numbers = frozenset()
    if not numbers:
        raise SixtyfourInputError(f"files should be 'final', 'all' or block numbers, not {files!r:.60}.")
    return numbers


def choose(files: Sequence[ResultFile], wanted: str | frozenset[int], job_id: str, format: str) -> list[int]:
    """
    Return the positions of the wanted files in the list.

    :raises SixtyfourRefusedError: if the run has none, or none of a block that is asked for.
    """
    if not files:
        hint = "" if format == "csv" else f" Start the run with result_formats=('csv', '{format}')."
        raise SixtyfourRefusedError(f"Run {job_id} has no result file as {format}.{hint}")
    numbers = [-1 if file.block_number is None else file.block_number for file in files]
    if wanted == "all":
        return list(range(len(files)))
    chosen = frozenset([max(numbers)]) if isinstance(wanted, str) else wanted
    if missing := sorted(chosen - set(numbers)):
        raise SixtyfourRefusedError(
            f"Run {job_id} has no result file of block {missing[0]}; there are files of blocks {sorted(set(numbers))}."
        )
    return [position for position, number in enumerate(numbers) if number in chosen]
