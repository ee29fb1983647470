"""The least quality that results should have: shares of filled rows by the names of columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.columns import refuse_missing
from airflow_provider_sixtyfour.formats.quality import Quality, filled_share, read_quality, rows_of, total


def quality_of(results: Any) -> Quality:
    """
    Return the quality of results as one table.

    :param results: what ``SixtyfourEnrichOperator`` or ``SixtyfourCollectBatchesOperator`` returned, or any nesting of
        these.
    :raises SixtyfourInputError: if the quality of some isn't known.
    """
    return total(_each(results), is_one_table=True)


def shortfalls(quality: Quality, least: Mapping[str, float]) -> dict[str, float]:
    """
    Return the columns that are filled in fewer rows than they should be, each with the share that is filled.

    :raises SixtyfourInputError: if a column was not counted, in a quality of any rows.
    """
    if not rows_of(quality):
        return {}
    refuse_missing("The quality of results", least, quality)
    shares = {name: filled_share(quality[name]) or 0.0 for name in least}
    return {name: share for name, share in shares.items() if share < least[name]}


def _each(results: Any) -> list[Quality]:
    if isinstance(results, Mapping):
        quality = read_quality(results.get("quality"))
        if not quality and results.get("rows") != 0:
            where = results.get("manifest") or results.get("path") or sorted(map(str, results))
            raise SixtyfourInputError(
                f"min_quality needs results with their quality, and {where!s:.200} has none: give it what "
                "SixtyfourEnrichOperator or SixtyfourCollectBatchesOperator returned. The quality of files above 64 "
                "MiB, and of those that an earlier version of this provider has landed, is not known."
            )
        return [quality]
    if isinstance(results, Iterable) and not isinstance(results, str | PathLike):
        return [quality for one in results for quality in _each(one)]
    if results is None:  # what a mapped task leaves that was skipped
        return []
    return _each({"path": results})
