"""How a run ended, and the list of its files, for whoever lands them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError, SixtyfourTransferError
from airflow_provider_sixtyfour.formats.table import TYPED
from airflow_provider_sixtyfour.results.file_list import ResultFileList, is_final_unclear, lacking, wait_for_file_list
from airflow_provider_sixtyfour.results.options import PARQUET, LandingOptions
from airflow_provider_sixtyfour.runs.status import COMPLETED, RunOutcome, describe_progress, outcome_of

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.settings import Settings


class Hook(Protocol):
    """What a landing needs of `SixtyfourHook`, which itself lands files."""

    @property
    def client(self) -> SixtyfourClient:
        """The client of the API."""

    @property
    def settings(self) -> Settings:
        """What the connection says."""


def listed(
    hook: Hook,
    job_id: str,
    landing: LandingOptions,
    wanted: str | frozenset[int],
    ended: RunOutcome,
    *,
    is_typed: bool,
    log: Any,
    kind: JobKind = WORKFLOW_RUN,
) -> tuple[ResultFileList, int | None]:
    """Return the list of a run's files, once it has what is wanted, and the last block of it; errors as `land`."""
    listing = wait_for_file_list(
        partial(_listing, hook, job_id, landing, wanted, is_typed=is_typed, kind=kind),
        wanted,
        job_id,
        last_block=ended.last_block,
        may_come=ended.status == COMPLETED,
        log=log,
        otherwise=partial(ResultFileList, hook.client, job_id, landing.format, kind),
    )
    if kind is WORKFLOW_RUN and is_final_unclear(listing.files, wanted, ended.last_block):
        return listing, _last_block(hook, job_id)
    return listing, ended.last_block


def how_it_ended(hook: Hook, job_id: str, log: Any, *, kind: JobKind = WORKFLOW_RUN) -> RunOutcome:
    """
    Read how the run ended.

    :raises SixtyfourTransferError: if it has not.
    """
    live = hook.client.send(kind.status(job_id))
    ended = outcome_of(job_id, live)
    if ended is None:
        # Its files would be those of the blocks that have finished, as if they were all.
        raise SixtyfourTransferError(
            f"The run is still in progress: {describe_progress(live)}. Wait for it first, with SixtyfourRunSensor or "
            f"wait_for_completion=True. Run {job_id}."
        )
    if ended.status != COMPLETED:
        log.warning("%s Landing the files that it has. Run %s.", ended.cause(), job_id)
    return ended


def _last_block(hook: Hook, job_id: str) -> int | None:
    """Return the last block whose file is final; ``None`` if the API refuses to give it."""
    try:
        ended = outcome_of(job_id, hook.client.send(calls.live_status(job_id)))
    except SixtyfourRefusedError:
        return None
    return ended.last_block if ended else None


def _listing(
    hook: Hook,
    job_id: str,
    landing: LandingOptions,
    wanted: str | frozenset[int],
    *,
    is_typed: bool,
    kind: JobKind,
) -> ResultFileList:
    """
    Return the run's files; for Parquet those with types, where the run has them.

    :param is_typed: whether this task itself has started the run, with the formats that its landing takes.
    """
    if landing.output_format == PARQUET and landing.format != TYPED:
        typed = ResultFileList(hook.client, job_id, TYPED, kind)
        if is_typed or lacking(typed.files, wanted) is None:
            return typed
    return ResultFileList(hook.client, job_id, landing.format, kind)
