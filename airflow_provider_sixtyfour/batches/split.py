"""
An input as batches: files that each fit a run.

Invariant: every row of the input is in exactly one batch, or among the rejects, or a duplicate of a row in a batch. The
same input gives the same batches, under the same names, byte for byte; so a second try writes again what a first one
left. What counts is the list that is returned: a longer input may have left more files in the folder.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from itertools import groupby
from operator import attrgetter
from typing import Protocol

from airflow_provider_sixtyfour.batches.boundaries import Part, cut
from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.reader import Source
from airflow_provider_sixtyfour.formats.records import RecordChunk
from airflow_provider_sixtyfour.storage.file_stats import HashingWriter, Reference
from airflow_provider_sixtyfour.storage.protocols import Publication

UNDER_WAY = 4  # files that are being brought to their places while the next one is filled
UNDER_WAY_BYTES = 16 * 1024 * 1024  # of those files; one may be larger
HELD = 2 * 1024 * 1024  # bytes of a file that wait for the thread that brings it to its place


class Batch(Reference):
    """
    What a task has to know of a batch: plain JSON, light enough for a thousand of them in one XCom.

    ``index`` is its place among the batches, counted from 0; for all else see `Reference`.
    """

    index: int


class Folder(Protocol):
    """Where batches go."""

    def path(self, name: str) -> str:
        """Return the URL of a file in it."""

    def publishing(self, name: str) -> AbstractContextManager[Publication]:
        """Give a file to write and to commit; nothing is left of it if the block ends without."""


def write_batches(
    chunks: Iterable[RecordChunk],
    source: Source,
    folder: Folder,
    *,
    stem: str,
    limits: Limits,
    max_rows: int | None = None,
    max_runs: int | None = None,
) -> list[Batch]:
    """
    Write rows as batches, each file whole or not at all.

    :param chunks: the rows; read once, and a chunk at a time.
    :param source: where they are from: it gives the header and the format of the files.
    :param stem: what the files' names begin with: ``{stem}-00000.csv`` is the first.
    :param max_rows: how many rows there may be in all; ``None`` for any number.
    :param max_runs: how many batches, likewise.
    :raises SixtyfourInputError: if there are more, or a row is larger than a batch may be. The batches before it are
        written then, but they are not returned.
    """
    batches: list[Batch] = []
    parts = cut(_guarded(chunks, source.name, max_rows), source.name, source.header, limits)
    with ThreadPoolExecutor(UNDER_WAY, thread_name_prefix="sixtyfour-batch") as committing:
        under_way: deque[tuple[Future[Reference], int]] = deque()

        def wait_for_first() -> None:
            batches.append({"index": len(batches), **under_way.popleft()[0].result()})

        for index, of_one in groupby(parts, key=attrgetter("batch")):
            if index == max_runs:
                raise SixtyfourInputError(
                    f"There are more than the {max_runs:,} batches of max_runs. Raise it if all are meant to be run, "
                    f"or raise batch_rows. In {source.name}."
                )
            file_name = f"{stem}-{index:05d}.{source.extension}"
            with ExitStack() as ending:
                file = ending.enter_context(folder.publishing(file_name))
                written = HashingWriter(file)
                rest = _fill(written, source.header, of_one)
                size = written.bytes + len(rest.data)
                while len(under_way) == UNDER_WAY or sum(each for _, each in under_way) > UNDER_WAY_BYTES:
                    wait_for_first()
                # A disk or a store takes longer to bring a file to its place than it takes to fill the next one. And
                # a large chunk is hashed and written without the interpreter's lock: in parallel, too.
                finishing = committing.submit(_finish, file, written, rest, folder.path(file_name), ending.pop_all())
                under_way.append((finishing, size))
        while under_way:
            wait_for_first()
    return batches


def _fill(written: HashingWriter, header: bytes, parts: Iterable[Part]) -> Part:
    """Write one batch but for its end, which is returned; of most batches, that is all of it."""
    held, rows, size = [header], 0, len(header)
    for part in parts:
        if size + len(part.data) > HELD:
            written.write(b"".join(held), rows)
            held, rows, size = [], 0, 0
        held.append(part.data)
        rows, size = rows + part.rows, size + len(part.data)
    return Part(0, b"".join(held), rows)


def _finish(file: Publication, written: HashingWriter, rest: Part, path: str, ending: ExitStack) -> Reference:
    """Write what is left of a batch, and let its file appear."""
    with ending:
        written.write(rest.data, rest.rows)
        file.commit()
    return written.reference(path)


def _guarded(chunks: Iterable[RecordChunk], name: str, max_rows: int | None) -> Iterator[RecordChunk]:
    """Give the chunks, unless they have more rows than they may."""
    rows = 0
    for chunk in chunks:
        rows += len(chunk.ends)
        if max_rows is not None and rows > max_rows:
            raise SixtyfourInputError(
                f"There are more than the {max_rows:,} rows of max_rows. Raise it if they are all meant to be run: "
                f"each is billed. In {name}."
            )
        yield chunk
