"""Python values as JSON's own types; what JSON cannot represent is refused with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


def plain_object(value: Mapping[Any, Any], where: str) -> dict[str, Any]:
    """
    Return an object as JSON's own types, whatever mappings, tuples and subclasses it is made of.

    :param where: what it is, for a message.
    :raises SixtyfourInputError: naming the place of a value that JSON cannot represent.
    """
    result: dict[str, Any] = _plain(value, where, 0)
    return result


def _plain(value: Any, where: str, depth: int) -> Any:
    """Return ``value`` made of JSON's own types."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, int):
        if value.bit_length() > 10_000:  # Python itself won't write one of more than 4,300 digits
            raise SixtyfourInputError(f"{where} is a number of more than 3,000 digits.")
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise SixtyfourInputError(f"{where} is {value}, which JSON cannot represent. Use None for a missing value.")
        return float(value)
    if depth > 100:
        raise SixtyfourInputError(f"{where.partition('[')[0]} is nested more than 100 levels deep, or holds itself.")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise SixtyfourInputError(f"{where} has a key that isn't text, of type {type(key).__name__}.")
        return {_text(key, where): _plain(item, f"{where}[{key!r:.60}]", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{where}[{number}]", depth + 1) for number, item in enumerate(value)]
    raise SixtyfourInputError(
        f"{where} is of type {type(value).__name__}, which JSON cannot represent. Turn it into text or a number first."
    )


def _text(value: str, where: str) -> str:
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        raise SixtyfourInputError(f"{where} holds text that isn't valid Unicode (half a surrogate pair).")
    return str(value)
