"""Limits of what may be spent, as parameters or as what a template has rendered."""

from __future__ import annotations

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
    except (TypeError, ValueError):
        limit = -1.0
    if isinstance(given, bool) or not 0 <= limit < float("inf"):
        raise SixtyfourInputError(f"{name} should be a number of {unit}, not {given!r:.60}.")
    return limit
