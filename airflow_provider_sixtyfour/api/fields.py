"""Reads the fields of an answer: what is unknown or missing is ``None``, what a decision rests on is required."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api.cleaning import Cleaner

if TYPE_CHECKING:
    from pendulum import DateTime

LONGEST_ID = 200  # characters; also of a status

_LONGEST_TIMESTAMP = 64  # characters; what is longer is no timestamp
_MOST = 2**63 - 1  # what else than nonsense would be more


class MalformedAnswer(ValueError):
    """An answer lacks a field that a decision rests on."""


def read_object(value: Any, what: str) -> Mapping[str, Any]:
    """Return an object, or raise `MalformedAnswer`."""
    if not isinstance(value, Mapping):
        raise MalformedAnswer(f"{what} should be an object, not {type(value).__name__}")
    return value


def read_list(value: Any, what: str) -> Sequence[Any]:
    """Return a list, or raise `MalformedAnswer`."""
    if not isinstance(value, list):
        raise MalformedAnswer(f"{what} should be a list, not {type(value).__name__}")
    return value


def read_required(data: Mapping[str, Any], key: str, what: str) -> str:
    """Return a text that is not blank, or raise `MalformedAnswer`."""
    value = read_text(data, key)
    if value is None:
        raise MalformedAnswer(f"{what} has no {key!r}")
    return value


def read_text(data: Mapping[str, Any], key: str) -> str | None:
    """Return a text that is not blank, as it came."""
    value = data.get(key)
    return value if isinstance(value, str) and value.strip() else None


def read_message(data: Mapping[str, Any], key: str, cleaner: Cleaner) -> str | None:
    """Return a text for readers, cleaned; see `cleaning`."""
    text = read_text(data, key)
    return cleaner.message(text) or None if text else None


def read_name(data: Mapping[str, Any], key: str, cleaner: Cleaner) -> str | None:
    """Return a name for readers, cleaned and cut to the length of a name."""
    text = read_text(data, key)
    return cleaner.name(text) or None if text else None


def read_status(text: str, cleaner: Cleaner) -> str:
    """Return a status, which is compared without its case and the space around it."""
    return read_id(text.strip(), cleaner)


def read_id(text: str, cleaner: Cleaner) -> str:
    """Return an id; one that holds a secret, or that is no id anyway, becomes a text that can't be taken for one."""
    cleaned = cleaner.value(text)
    return cleaned if len(cleaned) <= LONGEST_ID else cleaner.name(cleaned)


def read_other_id(data: Mapping[str, Any], key: str, cleaner: Cleaner) -> str | None:
    """Return an id that isn't required; one that can't be right is as good as none."""
    text = read_text(data, key)
    return text if text and read_id(text, cleaner) == text else None


def read_number(data: Mapping[str, Any], key: str) -> float | None:
    """Return a number that is not negative; ``None`` for one that is absurdly large."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Compared, not `isfinite`: that overflows on an integer of more than 308 digits.
    return value if 0 <= value <= _MOST else None


def read_count(data: Mapping[str, Any], key: str) -> int | None:
    """Return a number without its fraction."""
    number = read_number(data, key)
    return None if number is None else int(number)


def read_mapping(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return an object; an empty one where there is none."""
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def read_timestamps(data: Mapping[str, Any], cleaner: Cleaner, *names: str) -> Mapping[str, str]:
    """Return the texts of timestamps by their names; `as_datetime` parses one when it is read."""
    texts = ((name, read_text(data, name)) for name in names)
    return {name: cleaner.value(text) for name, text in texts if text and len(text) <= _LONGEST_TIMESTAMP}


def as_datetime(text: str | None) -> DateTime | None:
    """
    Return the instant that a timestamp of the API names; ``None`` if there is none, or if it can't be parsed.

    Takes 7 µs, too long to do it for each of the 500 runs in a list that nobody may look at. A timestamp without a
    zone is taken as UTC, as the ``Z`` of the API's other timestamps has it.
    """
    if text is None or not text[0].isdigit():  # "now", for pendulum, is a time
        return None
    import pendulum

    try:
        found = pendulum.parse(text, exact=True)
        # A date, a time of day or a duration is no instant; and an offset of a day or more raises only when it is used.
        return found if isinstance(found, pendulum.DateTime) and found.utcoffset() is not None else None
    except (ValueError, TypeError, OverflowError):  # a TypeError for "1:"
        return None
