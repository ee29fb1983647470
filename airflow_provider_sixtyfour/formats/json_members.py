"""The members of a JSON object, each with where it is written, so that it can be copied as it is."""

from __future__ import annotations

import re
from json.decoder import JSONDecodeError, JSONDecoder
from typing import Any, NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")


class Member(NamedTuple):
    """A value of a row, and where it is written."""

    value: Any
    line: str
    start: int
    end: int

    def text(self) -> str | None:
        """Return it as text: as it is written, with all its digits."""
        return self.value if self.value is None or isinstance(self.value, str) else self.written

    @property
    def written(self) -> str:
        """The JSON that it is."""
        return self.line[self.start : self.end]


def members_of(line: str, decoder: JSONDecoder) -> dict[str, Member]:
    """
    Return the members of one object, the last of those with one name.

    :param line: without its line end.
    :raises ValueError: if it is no JSON object.
    :raises IndexError: if it is cut off.
    :raises RecursionError: if it is nested too deeply.
    """
    members: dict[str, Member] = {}
    position = _after(line, 0)
    if line[position] != "{":
        raise JSONDecodeError("it begins otherwise", line, position)
    position = _after(line, position + 1)
    while line[position] != "}":
        if members:
            position = _after(line, _past(line, position, ","))
        _past(line, position, '"')
        key, position = decoder.raw_decode(line, position)
        start = _after(line, _past(line, _after(line, position), ":"))
        value, end = decoder.raw_decode(line, start)
        members[key] = Member(value, line, start, end)
        position = _after(line, end)
    if _after(line, position + 1) != len(line):
        raise JSONDecodeError("there is more after it", line, position)
    return members


def _after(line: str, position: int) -> int:
    found = _SPACE.match(line, position)
    return found.end() if found else position


def _past(line: str, position: int, char: str) -> int:
    if line[position] != char:
        raise JSONDecodeError(f"no {char} where one should be", line, position)
    return position + 1
