"""Limits of what may be spent, and shares of values, as parameters or as what a template has rendered."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


def read_limit(given: Any, name: str, unit: str) -> float | None:
    """
    Return a limit; ``None`` for no limit.

    :param given: a number, or its text from a template. Empty text is no limit but a mistake: what should have been
        rendered isn't there.
    :param name: the parameter.
    :param unit: what it counts, in the plural.
    :raises SixtyfourInputError: if it is no finite number of 0 or more.
    """
    if given is None or given == "None":
        return None
    try:
        limit = float(given)
    except (TypeError, ValueError, OverflowError):
        limit = -1.0
    if isinstance(given, bool) or not 0 <= limit < float("inf"):
        raise SixtyfourInputError(f"{name} should be a number of {unit}, not {given!r:.60}.")
    return limit


def read_shares(given: Any, name: str) -> dict[str, float]:
    """
    Return shares by the names of columns; none for ``None``.

    :param given: shares from 0 to 1, or their text from a template; also all of it as JSON text.
    :param name: the parameter.
    :raises SixtyfourInputError: if it is something else.
    """
    value = given
    if value is None or value == "None":
        return {}
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):  # else it is refused below, as it is
            value = json.loads(value)
    if isinstance(value, Mapping) and all(isinstance(column, str) and column for column in value):
        shares = {column: _share(share) for column, share in value.items()}
        if not any(map(math.isnan, shares.values())):
            return shares
    raise SixtyfourInputError(
        f"{name} should give shares from 0 to 1 by names of columns, such as {{'email': 0.8}}, not {given!r:.120}."
    )


def _share(value: Any) -> float:
    """Return a share; not a number for what is none."""
    try:
        share = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return share if 0 <= share <= 1 else math.nan
