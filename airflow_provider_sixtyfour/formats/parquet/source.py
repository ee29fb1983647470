"""
A result file as what comes of it in Parquet is read from: UTF-8, in blocks of whole lines.

Invariant: a block is valid UTF-8, and has no escape of half a surrogate pair; what was replaced is noted.
"""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, cast

import pyarrow as pa

from airflow_provider_sixtyfour.formats.parquet.casts import ParquetImpossibleError, shown
from airflow_provider_sixtyfour.formats.records import BYTE_ORDER_MARK

BLOCK = 16 * 1024 * 1024  # bytes of the text that become a row group
LONGEST_ROW = 256 * 1024 * 1024  # bytes: a row is in memory as a whole
MOST_CELLS = 40_000_000  # of a row group, empty ones included: each takes memory, whatever the text is like
MOST_COLUMNS = 20_000  # the description of all columns is in memory, once for each row group
MOST_SHOWN = 5  # names of columns in a message
WriteTables = Callable[[pa.Schema, Iterator[pa.Table]], object]
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)


class Notes:
    """What differs between a result file and its Parquet, for the one warning about it."""

    def __init__(self) -> None:
        self.replaced = 0
        self._notes: dict[str, None] = {}

    def add(self, note: str) -> None:
        """Take in a sentence, once."""
        self._notes[note] = None

    def columns(self, what: str, names: Sequence[str]) -> None:
        """Take in what goes for some columns, if there are any."""
        if names:
            more = f" and {len(names) - MOST_SHOWN:,} more" if len(names) > MOST_SHOWN else ""
            self.add(f"{what} {', '.join(shown(name) for name in names[:MOST_SHOWN])}{more}")

    def clear(self) -> None:
        """Forget all of it."""
        self.replaced = 0
        self._notes.clear()

    def text(self) -> str:
        """Return all of it; empty if nothing differs."""
        replaced = f"characters that are not valid in UTF-8 became U+FFFD: {self.replaced:,}" if self.replaced else ""
        return "; ".join(filter(None, [replaced, *self._notes]))


def as_utf8(file: BinaryIO, notes: Notes) -> BinaryIO:
    """Return the file, at its first character; a copy of it if it was in UTF-16."""
    file.seek(0)
    start = file.read(len(BYTE_ORDER_MARK))
    encoding = _UTF16.get(start[:2])
    if encoding is None:
        file.seek(len(BYTE_ORDER_MARK) if start == BYTE_ORDER_MARK else 0)
        return file
    file.seek(2)
    notes.add("it was read as UTF-16")
    copy = cast("BinaryIO", tempfile.TemporaryFile(prefix="sixtyfour-"))  # noqa: SIM115 - closed with its last reference
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    while data := file.read(BLOCK):
        copy.write(decoder.decode(data).encode())
    copy.write(decoder.decode(b"", final=True).encode())
    copy.seek(0)
    return copy


def blocks(file: BinaryIO, notes: Notes | None, *, has_escapes: bool) -> Iterator[bytes]:
    """
    Give whole lines from where the file is, about `BLOCK` bytes at a time.

    :param notes: ``None`` if nothing is to be replaced, as was found before.
    :param has_escapes: whether a backslash means what it means in JSON.
    :raises ParquetImpossibleError: for a line that is too long to be held in memory.
    """
    held: list[bytes] = []
    held_bytes = 0
    while data := file.read(BLOCK):
        whole, end, rest = data.rpartition(b"\n")
        if end:
            yield _clean(b"".join([*held, whole, end]), notes, has_escapes)
            held, held_bytes = [], 0
        held.append(rest)
        held_bytes += len(rest)
        if held_bytes > LONGEST_ROW:
            raise ParquetImpossibleError(f"a line has more than {LONGEST_ROW:,} bytes")
    if held_bytes:
        yield _clean(b"".join(held), notes, has_escapes)


def _clean(block: bytes, notes: Notes | None, has_escapes: bool) -> bytes:
    if notes is None:
        return block
    try:
        block.decode()
    except UnicodeDecodeError:
        text = block.decode("utf-8", "replace")
        notes.replaced += text.count("\ufffd") - block.count("\ufffd".encode())
        block = text.encode()
    if has_escapes and (b"\\ud" in block or b"\\uD" in block):
        halves = 0

        def whole(found: re.Match[bytes]) -> bytes:
            nonlocal halves
            halves += found[1] is not None
            return found[0] if found[1] is None else rb"\ufffd"

        block = _ESCAPE.sub(whole, block)
        notes.replaced += halves
    return block


def cut(block: bytes, rows: int) -> Iterator[bytes]:
    """Give a block in parts of so many lines at most."""
    if block.count(b"\n") <= rows:
        yield block
        return
    lines = block.split(b"\n")
    for start in range(0, len(lines), max(1, rows)):
        yield b"\n".join(lines[start : start + max(1, rows)])


def unique_names(names: Sequence[str], notes: Notes) -> list[str]:
    """Return a name for each column: its own, its number if it has none, or with a number if another has it too."""
    owned = set(names)
    taken: set[str] = set()
    found = []
    renamed = []
    for position, name in enumerate(names, 1):
        wanted = name or f"column_{position}"
        unique, number = wanted, 2
        while unique in taken or (unique in owned and unique != name):
            unique, number = f"{wanted}_{number}", number + 1
        taken.add(unique)
        found.append(unique)
        if unique != name:
            renamed.append(unique)
    notes.columns("columns without a name, or with that of another, are", renamed)
    return found


def check_columns(names: Sequence[str]) -> None:
    """
    Check that there aren't too many.

    :raises ParquetImpossibleError: if there are.
    """
    if len(names) > MOST_COLUMNS:
        raise ParquetImpossibleError(f"more than {MOST_COLUMNS:,} columns")
