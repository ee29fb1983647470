"""Whether the pilot of an input, its first rows, is good enough to enrich the rest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_sixtyfour.api.metrics import numbers
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourQualityError

NAMED = 10  # columns that a message names


def read_fill_rates(given: Any) -> dict[str, float]:
    """
    Read ``min_fill_rate``: a share of 0 to 1 for each column; also as JSON text, which a template gives.

    :raises SixtyfourInputError: if it is something else.
    """
    if given is None or given == "None":
        return {}
    if isinstance(given, str):
        with suppress(ValueError, RecursionError):  # else it is refused below, as it is
            given = json.loads(given)
    if not isinstance(given, Mapping):
        raise SixtyfourInputError(
            f'min_fill_rate should be shares by columns, such as {{"email": 0.3}}, not {given!r:.60}.'
        )
    return {_column(name): _share(name, share) for name, share in given.items()}


def _column(name: Any) -> str:
    if not isinstance(name, str) or not name:
        raise SixtyfourInputError(f"min_fill_rate should be by names of columns, not {name!r:.60}.")
    return name


def _share(name: str, given: Any) -> float:
    try:
        share = float(given)
    except (TypeError, ValueError):
        share = -1.0
    if isinstance(given, bool) or not 0 <= share <= 1:
        raise SixtyfourInputError(f"min_fill_rate of {name[:60]!r} should be a share from 0 to 1, not {given!r:.60}.")
    return share


def fill_rates(quality: Any) -> dict[str, float]:
    """
    Return the share of values that are filled, by column.

    :param quality: of a run's results, as ``SixtyfourEnrichOperator`` returns it; anything else has no columns.
    """
    shares = {}
    for name, counts in quality.items() if isinstance(quality, Mapping) else ():
        match counts:
            case {"filled": int(filled), "empty": int(empty)} if filled + empty > 0:
                shares[str(name)] = filled / (filled + empty)
    return shares


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
