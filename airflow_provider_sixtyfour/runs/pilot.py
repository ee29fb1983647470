"""Whether the pilot of an input, its first rows, is good enough to enrich the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_sixtyfour.api.metrics import numbers
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourQualityError
from airflow_provider_sixtyfour.formats.quality import filled_share, read_quality

NAMED = 10  # columns that a message names


def fill_rates(quality: Any) -> dict[str, float]:
    """
    Return the share of values that are filled, by column.

    :param quality: of a run's results, as ``SixtyfourEnrichOperator`` returns it; anything else has no columns.
    """
    shares = ((name, filled_share(column)) for name, column in read_quality(quality).items())
    return {name: share for name, share in shares if share is not None}


def check_fill_rates(rates: Mapping[str, float], wanted: Mapping[str, float], rows: int | None) -> None:
    """
    Check the results of a pilot.

    :param rates: of its results, by column.
    :param wanted: the lowest that are good enough, by column.
    :param rows: of its results.
    :raises SixtyfourInputError: if a column isn't there.
    :raises SixtyfourQualityError: if fewer values than that are filled.
    """
    if wanted and not rates:
        what = "it has no rows" if rows == 0 else "its files are of a kind whose columns are not counted"
        raise SixtyfourQualityError(f"The fill rates of the pilot are not known: {what}. The rest was not started.")
    if missing := [name for name in wanted if name not in rates]:
        there = ", ".join(sorted(rates)[:NAMED])
        raise SixtyfourInputError(
            f"min_fill_rate names {missing[0][:60]!r}, and the results of the pilot have no such column. They have: "
            f"{there}. The rest was not started. Correct it and clear this task, which pays for nothing again."
        )
    if short := [
        f"{name} {rates[name]:.1%} (at least {share:.1%})" for name, share in wanted.items() if rates[name] < share
    ]:
        of = "its rows" if rows is None else f"its {rows:,} rows"
        raise SixtyfourQualityError(
            f"The pilot has too few values: {', '.join(short[:NAMED])} of {of}. The rest was not started. Change the "
            "workflow; or lower min_fill_rate and clear this task, which pays for nothing again."
        )


def described(rates: Mapping[str, float]) -> str:
    """Return fill rates as people read them, the lowest first."""
    lowest = sorted(rates.items(), key=lambda pair: (pair[1], pair[0]))
    more = f" and {len(lowest) - NAMED} more" if len(lowest) > NAMED else ""
    return ", ".join(f"{name} {share:.0%}" for name, share in lowest[:NAMED]) + more


def pilot_metrics(pilot: Any) -> dict[str, float]:
    """
    Return what a pilot has used, by the API's names; empty if there was none, or it doesn't tell.

    :param pilot: what ``SixtyfourPilotOperator`` returned.
    """
    metrics = pilot.get("metrics") if isinstance(pilot, Mapping) else None
    return numbers(metrics) if isinstance(metrics, Mapping) else {}
