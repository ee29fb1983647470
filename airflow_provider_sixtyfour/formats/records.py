"""
A file as chunks of whole records, read once, a block at a time.

Invariant: a chunk holds whole records only. All chunks together are the file, in its order, without a byte order mark
at its beginning and with a line end at its end; how the stream was cut into blocks doesn't show.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import BytesIO
from itertools import accumulate, islice
from typing import Protocol

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

BLOCK = 128 * 1024  # bytes that are read and looked through at a time: they stay in a core's cache
LONGEST_RECORD = 8 * 1024 * 1024  # bytes; of a file, twice that is held at most
BYTE_ORDER_MARK = codecs.BOM_UTF8
UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Readable(Protocol):
    """What a file is read from."""

    def read(self, size: int, /) -> bytes:
        """Return as many bytes as there are now, up to that many; none at the end."""


class RecordEnds:
    """
    Where records end in some bytes; found out one by one only when that is asked for.

    :param count: how many ends there are.
    :param last: the last of them; 0 if there is none.
    :param lines: returns bytes as many as those, in which a line feed stands where a record ends, and nowhere else.
    """

    __slots__ = ("_count", "_lines", "_offsets", "last")

    def __init__(self, count: int, last: int, lines: Callable[[], bytes]) -> None:
        self._count = count
        self._lines = lines
        self._offsets: list[int] | None = None
        self.last = last

    @classmethod
    def at_line_feeds(cls, data: bytes) -> RecordEnds:
        """Return the ends where each line feed is one."""
        return cls(line_feeds(data), data.rfind(b"\n") + 1, lambda: data)

    @classmethod
    def at(cls, offsets: list[int]) -> RecordEnds:
        """Return ends that are known one by one."""
        ends = cls(len(offsets), offsets[-1] if offsets else 0, bytes)
        ends._offsets = offsets
        return ends

    def __len__(self) -> int:
        return self._count

    @property
    def first(self) -> int:
        """The end of the first record."""
        return self._lines().index(b"\n") + 1 if self._offsets is None else self._offsets[0]

    @property
    def offsets(self) -> list[int]:
        """All of them."""
        if self._offsets is None:
            lines = BytesIO(self._lines())  # skips from one line feed to the next, where ``split`` goes byte by byte
            self._offsets = list(islice(accumulate(map(len, lines)), self._count))
        return self._offsets


class RecordChunk:
    """
    Consecutive whole records.

    :param data: their bytes, each record with its line end.
    :param ends: where in ``data`` each record ends.
    :param line: the line of the file on which the first begins, counted from 1.
    :param lines: the line on which each begins; ``None`` where they follow one another without a gap.
    :param outline: what a grammar has made of them to find their ends; ``None`` where it made nothing.
    """

    __slots__ = ("data", "ends", "line", "lines", "outline")

    def __init__(
        self,
        data: bytes,
        ends: RecordEnds,
        line: int,
        lines: Sequence[int] | None = None,
        outline: bytes | None = None,
    ) -> None:
        self.data = data
        self.ends = ends
        self.line = line
        self.lines = lines
        self.outline = outline

    @classmethod
    def of(cls, records: Iterable[tuple[int, bytes]]) -> RecordChunk:
        """Return a chunk of single records, each with its line."""
        pairs = list(records)
        lines, parts = [line for line, _ in pairs], [record for _, record in pairs]
        data = b"".join(parts)
        return cls(data, RecordEnds.at(list(accumulate(map(len, parts)))), lines[0] if lines else 0, lines)

    def records(self) -> Iterator[tuple[int, bytes]]:
        """Give each record with the line on which it begins."""
        line, start = self.line, 0
        for number, end in enumerate(self.ends.offsets):
            record = self.data[start:end]
            yield (line if self.lines is None else self.lines[number]), record
            line += record.count(b"\n")
            start = end

    def line_of(self, number: int) -> int:
        """Return the line on which a record begins."""
        return next(islice(self.records(), number, None))[0]


def line_feeds(data: bytes) -> int:
    """Return how many there are; before Python 3.13, ``count`` goes byte by byte, and takes five times as long."""
    return len(data) - len(data.replace(b"\n", b""))


def bad_line(name: str, line: int, reason: str) -> SixtyfourInputError:
    """Return the error for a line that can't be taken: the cause first, the file, whose path may be long, last."""
    return SixtyfourInputError(f"Line {line}: {reason}. In {name}.")


def whole_records(
    stream: Readable,
    name: str,
    *,
    ends_of: Callable[[bytes], tuple[RecordEnds, bytes | None]] = lambda data: (RecordEnds.at_line_feeds(data), None),
    why_endless: Callable[[bytes], tuple[int, str] | None] = lambda _: None,
) -> Iterator[RecordChunk]:
    """
    Give a stream's records in chunks.

    :param name: the file, for messages.
    :param ends_of: returns where records end in bytes that begin with one, and their `RecordChunk.outline`, up to the
        last end. Default: at each line feed.
    :param why_endless: returns where in a record without an end there is a reason for that, and the reason.
    :raises SixtyfourInputError: if a record is too long or has no end.
    """
    line, ending = 1, b"\n"
    rest = _beginning(stream, name)
    blocks = iter(partial(stream.read, BLOCK), b"")
    # As much again as is left over: a long record is looked through a few times, not once a block.
    while block := b"".join(islice(blocks, max(1, len(rest) // BLOCK))):
        data = rest + block
        ends, outline = ends_of(data)
        if len(data) > LONGEST_RECORD:
            longest = ends.first if ends else len(data)
            if longest > LONGEST_RECORD:  # a later one lies within the block
                raise _endless(data[:longest], name, line, why_endless)
        if not ends:
            rest = data
            continue
        chunk, rest = RecordChunk(data[: ends.last], ends, line, outline=outline), data[ends.last :]
        line += line_feeds(chunk.data)
        ending = b"\r\n" if chunk.data.endswith(b"\r\n") else b"\n"
        yield chunk
    if rest:
        data = rest + (b"\n" if rest.endswith(b"\r") else ending)
        ends, outline = ends_of(data)
        if not ends:
            raise _endless(rest, name, line, why_endless)
        yield RecordChunk(data, ends, line, outline=outline)


def check_text(chunk: RecordChunk, name: str) -> None:
    """
    Check that a chunk is UTF-8 text.

    :raises SixtyfourInputError: naming the line that isn't.
    """
    if (position := chunk.data.find(b"\0")) >= 0:
        reason = "a NUL byte. The file should be text in UTF-8 (is it UTF-16, or a spreadsheet?)"
    elif chunk.data.isascii():
        return
    else:
        try:
            chunk.data.decode()
            return
        except UnicodeDecodeError as error:
            position, reason = error.start, f"not UTF-8 ({error.reason}). Save the file as UTF-8"
    raise bad_line(name, chunk.line + chunk.data.count(b"\n", 0, position), reason)


def _beginning(stream: Readable, name: str) -> bytes:
    """Read past a byte order mark; return what was read if there is none."""
    start = b""
    while len(start) < len(BYTE_ORDER_MARK) and (more := stream.read(len(BYTE_ORDER_MARK) - len(start))):
        start += more
    if start.startswith(UTF_16_MARKS):
        raise bad_line(name, 1, "the file is UTF-16. Save it as UTF-8")
    return start.removeprefix(BYTE_ORDER_MARK)


def _endless(
    record: bytes, name: str, line: int, why: Callable[[bytes], tuple[int, str] | None]
) -> SixtyfourInputError:
    position, reason = why(record) or (0, f"a row of more than {LONGEST_RECORD // 2**20} MiB begins here")
    return bad_line(name, line + record.count(b"\n", 0, position), reason)
