"""Lands one result file of a run under a name that the caller gives: whole and verified or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.results.file_list import choose
from airflow_provider_sixtyfour.results.landing import Files
from airflow_provider_sixtyfour.results.landing_conflicts import LandingGuard
from airflow_provider_sixtyfour.results.run_files import Hook, how_it_ended, listed
from airflow_provider_sixtyfour.results.selection import wanted_blocks

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import LandedFile
    from airflow_provider_sixtyfour.results.options import LandingOptions


def land_file(hook: Hook, job_id: str, path: ObjectStoragePath, landing: LandingOptions, *, log: Any) -> LandedFile:
    """
    Land one file of a run that has ended, without a manifest.

    :param path: what it is to be.
    :raises SixtyfourInputError: if ``job_id`` can't be an id, or there are several files to choose from.
    :raises SixtyfourError: as `land`.
    """
    calls.identifier(job_id, "job_id")
    ended = how_it_ended(hook, job_id, log)
    wanted = wanted_blocks(landing.files)
    listing, last_block = listed(hook, job_id, landing, wanted, ended, is_typed=False, log=log)
    chosen = choose(listing.files, wanted, last_block)
    if len(chosen) > 1:
        names = ", ".join(repr(listing.files[position].filename)[:60] for position in chosen[:5])
        raise SixtyfourInputError(
            f"There are {len(chosen)} such files ({names}): name the block, or use SixtyfourToObjectStorageOperator. "
            f"Run {job_id}."
        )
    exclusive = LandingGuard(path.parent, None, None, job_id, log)
    return Files(hook, path.parent, landing, listing, {}, exclusive, log).land_as(chosen[0], path)
