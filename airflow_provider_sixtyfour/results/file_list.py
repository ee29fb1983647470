"""
A run's result files, and a link to each just when it is needed.

Invariant: a link is handed out once and only while it has time left; the list is asked for again otherwise. Safe to
use from several threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourRefusedError,
    SixtyfourTransferError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.formats.names import storable
from airflow_provider_sixtyfour.formats.table import ALWAYS_MADE

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.models import ResultFile
    from airflow_provider_sixtyfour.results.download import Link

LATE_PAUSES = (0.5, 1.0, 2.0, 4.0, 7.5, 15.0)  # seconds before each further look for files that aren't listed yet
LATE_LAST = 3.5  # seconds
LINK_RESERVE = 60.0  # seconds before its end from which a link is not used any more


class ResultFileList:
    """
    The result files of one run in one format.

    Their names, and what the API says of them, are storable as they are here.
    """

    def __init__(self, client: SixtyfourClient, job_id: str, format: str, kind: JobKind = WORKFLOW_RUN) -> None:
        self.format = format
        self._client = client
        self._call = kind.result_files(job_id, format)
        self._used: set[int] = set()
        self._lock = threading.Lock()
        self.refresh()

    def refresh(self) -> None:
        """Ask the API for the files again."""
        self.files = tuple(
            file._replace(
                filename=storable(file.filename), message=None if file.message is None else storable(file.message)
            )
            for file in self._client.send(self._call)
        )
        self._asked_at = time.monotonic()
        self._used.clear()

    def link(self, position: int) -> Link:
        """
        Return a link that hasn't been tried yet and has time left.

        :raises SixtyfourUnavailableError: if the API gives none, or lists other files than before.
        """
        from airflow_provider_sixtyfour.results.download import Link

        with self._lock:
            reserve = min(LINK_RESERVE, self.files[position].expires_in / 2)
            if position in self._used or time.monotonic() > self._asked_at + self.files[position].expires_in - reserve:
                expected = self.files[position]
                self.refresh()
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


def lacking(files: Sequence[ResultFile], wanted: str | frozenset[int]) -> str | None:
    """Return what a list of files lacks of what is wanted, to end a sentence with; ``None`` if nothing."""
    if not files:
        return "no result file"
    numbers = _numbers(files)
    missing = sorted(wanted - set(numbers)) if isinstance(wanted, frozenset) else []
    if not missing:
        return None
    return f"no result file of block {missing[0]}; there are files of blocks {sorted(set(numbers))}"


def wait_for_file_list(
    open_file_list: Callable[[], ResultFileList],
    wanted: str | frozenset[int],
    job_id: str,
    *,
    last_block: int | None,
    may_come: bool,
    log: Any,
    otherwise: Callable[[], ResultFileList] | None = None,
) -> ResultFileList:
    """
    Return the list of a run's files, once it has what is wanted.

    What says that a run has completed and what lists its files need not be the same machine, so that the list may be
    late. A completed run always has a CSV file, by the vendor's documentation, and NDJSON and JSON if it was started
    with them, which nothing says afterwards. So what is lacking is waited for, as `LATE_PAUSES` says; after that the
    task fails, and its retry looks again. What can't come is not waited for: any file of a run that ended otherwise
    than as ``completed``, and a file of a block that the run hasn't got. The file of the run's last block is waited
    for only `LATE_LAST` seconds where another one would do for ``final`` or ``all``: a block need not make one.

    :param open_file_list: asks the API.
    :param last_block: the highest number of the run's blocks that may make a file; ``None`` if it isn't known.
    :param may_come: whether the run has completed, so that what is lacking is to be expected.
    :param otherwise: asks for a list that will do in the end, such as of another format.
    :raises SixtyfourRefusedError: if there is nothing to wait for.
    :raises SixtyfourTransferError: if it hasn't come; a retry lands the same run.
    """
    waited = 0.0
    for pause in (*LATE_PAUSES, None):
        file_list = open_file_list()
        lack = lacking(file_list.files, wanted)
        is_final = not may_come or wanted_is_beyond(wanted, last_block)
        if lack is None:
            numbers = _numbers(file_list.files)
            if is_final or not isinstance(wanted, str) or last_block is None or max(numbers) >= last_block:
                return file_list
            if waited >= LATE_LAST or pause is None:
                log.info("Block %d has made no file: the last one is of block %d.", last_block, max(numbers))
                return file_list
            lack = f"no result file of the last block, {last_block}"
        hint = _hint(file_list.format) if not file_list.files else ""
        if is_final:
            raise SixtyfourRefusedError(f"There is {lack} as {file_list.format}.{hint} Run {job_id}.")
        if pause is None:
            break
        log.info("There is %s as %s yet; looking again in %g s. Run %s.", lack, file_list.format, pause, job_id)
        time.sleep(pause)
        waited += pause
    if otherwise is not None and lacking((file_list := otherwise()).files, wanted) is None:
        log.warning("There is %s; taking the files that the run has as %s.", lack, file_list.format)
        return file_list
    raise SixtyfourTransferError(
        f"There is {lack} as {file_list.format}, {waited:g} s after the run was found completed.{hint} A retry of the "
        f"task looks again and pays for nothing. Run {job_id}."
    )


def wanted_is_beyond(wanted: str | frozenset[int], last_block: int | None) -> bool:
    """Return whether a block is wanted that the run hasn't got."""
    return isinstance(wanted, frozenset) and last_block is not None and max(wanted) > last_block


def _hint(format: str) -> str:
    if format == ALWAYS_MADE:
        return ""
    return f" Start the run with result_formats=('{ALWAYS_MADE}', '{format}') if it wasn't."


def is_final_unclear(files: Sequence[ResultFile], wanted: str | frozenset[int], last_block: int | None) -> bool:
    """Return whether only the names of the blocks say which file is final."""
    return wanted == "final" and last_block is None and len(set(_numbers(files))) > 1


def choose(files: Sequence[ResultFile], wanted: str | frozenset[int], last_block: int | None = None) -> list[int]:
    """
    Return the positions of the wanted files in a list that lacks none of them.

    :param last_block: see `runs.status.RunOutcome`; a file of a later block is a copy with surplus columns, and
        ``final`` only where there is no other.
    """
    numbers = _numbers(files)
    if wanted == "all":
        return list(range(len(files)))
    up_to_last = [number for number in numbers if last_block is None or number <= last_block]
    chosen = frozenset([max(up_to_last or numbers)]) if isinstance(wanted, str) else wanted
    return [position for position, number in enumerate(numbers) if number in chosen]


def _numbers(files: Sequence[ResultFile]) -> list[int]:
    return [-1 if file.block_number is None else file.block_number for file in files]
