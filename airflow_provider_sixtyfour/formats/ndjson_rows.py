"""
The rows of a file with one JSON object a line.

Every line is parsed, so that none goes up that the API would stumble over after the run has begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from airflow_provider_sixtyfour.formats.columns import Seen
from airflow_provider_sixtyfour.formats.json_members import members_of
from airflow_provider_sixtyfour.formats.json_text import json_bytes, json_line
from airflow_provider_sixtyfour.formats.json_values import plain_object
from airflow_provider_sixtyfour.formats.records import Readable, RecordChunk, bad_line, check_text, whole_records
from airflow_provider_sixtyfour.formats.rejects import Rejects
from airflow_provider_sixtyfour.formats.table import extension_of

ROWS_PER_CHUNK = 256
_DECODER = json.JSONDecoder()


def read_ndjson(
    stream: Readable, name: str, *, rejects: Rejects, renamed: Mapping[str, str], delimiter: str | None
) -> JsonSource:
    """Return the rows of a file, for `formats.reader.open_source`."""
    return JsonSource(whole_records(stream, name), name, extension_of(name), rejects=rejects, renamed=renamed)


class JsonSource:
    """
    A `Source` made of JSON lines.

    :param chunks: the lines.
    :param renamed: new names of members by their old ones.
    """

    header = b""
    columns: Sequence[str] = ()

    def __init__(
        self, chunks: Iterator[RecordChunk], name: str, extension: str, *, rejects: Rejects, renamed: Mapping[str, str]
    ) -> None:
        self.name = name
        self.extension = extension
        self._chunks = chunks
        self._rejects = rejects
        self._renamed = renamed
        self._old, self._new = Seen(name), Seen(name)
        self._old.want(renamed)

    def chunks(self) -> Iterator[RecordChunk]:
        """
        Give all rows, once.

        :raises SixtyfourInputError: if the rejects refuse a line; and after the last, if no row has a column that is
            required or gets another name.
        """
        for chunk in self._chunks:
            check_text(chunk, self.name)
            good = []
            for line, record in chunk.records():
                if not record.strip():
                    continue
                try:
                    good.append((line, self._good(record)))
                except ValueError as error:
                    self._rejects.put(line, str(error), record)
            is_whole = len(good) == len(chunk.ends) and not self._renamed
            yield chunk if is_whole else RecordChunk.of(good)
        self._old.check()
        self._new.check()

    def row(self, record: bytes) -> dict[str, Any]:
        """Return a record of a chunk by its members' names."""
        return _object(record)

    def require(self, names: Iterable[str]) -> None:
        """Have it checked that there are members of these names: after the last row, since any row may have others."""
        self._new.want(names)

    def _good(self, record: bytes) -> bytes:
        """
        Return the line of a row, with its members' new names.

        :raises ValueError: with what is wrong with it.
        """
        row = _object(record)
        self._old.note(row)
        if self._renamed:
            names = [self._renamed.get(name, name) for name in row]
            if len(set(names)) < len(row):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"with other names for columns, two would have the name {twice[:60]!r}")
            members = members_of(record.decode().strip(), _DECODER)
            # The values as they are written: no number gets other digits.
            record = _line(zip(names, (members[name].written for name in row), strict=True))
            row = dict(zip(names, row.values(), strict=True))
        self._new.note(row)
        return record


def lines_of(rows: Iterable[Any], name: str) -> Iterator[RecordChunk]:
    """
    Give rows as JSON lines; a row's line is its number, counted from 1.

    :raises SixtyfourInputError: if one is no object, or holds something that JSON cannot represent.
    """
    lines: list[tuple[int, bytes]] = []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise bad_line(name, number, f"an object should be here, not {type(row).__name__}")
        lines.append((number, json_line(plain_object(row, f"{name}, line {number}"))))
        if len(lines) == ROWS_PER_CHUNK:
            yield RecordChunk.of(lines)
            lines = []
    if lines:
        yield RecordChunk.of(lines)


def _line(members: Iterable[tuple[str, str]]) -> bytes:
    """Return the line of an object with these members, whose values are JSON already."""
    return b"{%s}\n" % b", ".join(b"%s: %s" % (json_bytes(name), value.encode()) for name, value in members)


def _object(record: bytes) -> dict[str, Any]:
    """
    Return the object that a line holds.

    :raises ValueError: with what it holds instead.
    """
    try:
        value = json.loads(record.decode(), parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON ({error.msg}, at character {error.pos + 1})") from None
    except _ConstantError:
        raise
    except ValueError:  # nothing else is left: Python advises what nobody can do here
        raise ValueError("JSON with a number of more than 4,300 digits") from None
    except RecursionError:
        raise ValueError("JSON that is nested too deeply to be read") from None
    if not isinstance(value, dict):
        raise ValueError('JSON, but no object such as {"company": "Example"}')
    return value


class _ConstantError(ValueError):
    """A number that only Python's JSON has."""


def _refuse(constant: str) -> NoReturn:
    raise _ConstantError(f"{constant}, which JSON cannot represent")
