"""What batches are written to here, and what is in them."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import chain
from typing import Any

from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.batches.row_filter import RowFilter
from airflow_provider_sixtyfour.batches.split import write_batches
from airflow_provider_sixtyfour.formats.reader import open_rows, open_source
from airflow_provider_sixtyfour.formats.rejects import NoRejects, RejectFile


class MemoryFile(BytesIO):
    """A file that is in its folder when it is whole."""

    def __init__(self, files: dict[str, bytes], name: str) -> None:
        super().__init__()
        self._files, self._name = files, name

    def commit(self) -> None:
        assert self._name not in self._files
        self._files[self._name] = self.getvalue()


class MemoryFolder:
    """A folder; ``open`` counts the files that are being written."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.open = 0

    def path(self, name: str) -> str:
        return f"memory://{name}"

    @contextmanager
    def publishing(self, name: str) -> Iterator[MemoryFile]:
        self.open += 1
        try:
            yield MemoryFile(self.files, name)
        finally:
            self.open -= 1


class Split:
    """
    A split of some content, done.

    :param content: the bytes of a file, or rows.
    :param rejecting: whether to keep rejects instead of failing.
    """

    def __init__(
        self,
        content: bytes | list[Any],
        name: str = "leads.csv",
        *,
        limits: Limits | None = None,
        delimiter: str | None = None,
        rename_columns: dict[str, str] | None = None,
        rejecting: bool = False,
        max_rows: int | None = None,
        **filtering: Any,
    ) -> None:
        self.folder, rejects = MemoryFolder(), BytesIO()
        taken = RejectFile(rejects) if rejecting else NoRejects(name)
        if isinstance(content, bytes):
            source = open_source(
                BytesIO(content), name, rejects=taken, rename_columns=rename_columns, delimiter=delimiter
            )
        else:
            source = open_rows(content, rejects=taken, rename_columns=rename_columns)
        self.header = source.header
        row_filter = RowFilter(source, rejects=taken, **filtering)
        self.batches = write_batches(
            row_filter.chunks(), source, self.folder, stem="leads", limits=limits or Limits(), max_rows=max_rows
        )
        self.duplicates = row_filter.duplicates
        self.rejects = [json.loads(line) for line in rejects.getvalue().splitlines()]
        assert self.folder.open == 0
        self.contents = [content for _, content in sorted(self.folder.files.items())]
        self._check()

    def _check(self) -> None:
        """Check every reference against its file."""
        assert [batch["path"] for batch in self.batches] == [f"memory://{name}" for name in sorted(self.folder.files)]
        for number, (batch, content) in enumerate(zip(self.batches, self.contents, strict=True)):
            assert content.startswith(self.header)
            assert batch["index"] == number
            assert batch["bytes"] == len(content)
            assert batch["sha256"] == hashlib.sha256(content).hexdigest()
            assert batch["rows"] > 0

    @property
    def rows(self) -> list[int]:
        """The rows of each batch, by its reference."""
        return [batch["rows"] for batch in self.batches]

    def tables(self) -> list[list[list[str]]]:
        """The rows of each batch, as another reader of CSV reads them."""
        return [table(content)[1:] for content in self.contents]

    def all_rows(self) -> list[list[str]]:
        """The rows of all batches, in their order."""
        return list(chain.from_iterable(self.tables()))

    def all_objects(self) -> list[Any]:
        """The rows of all batches of JSON lines, in their order."""
        return list(chain.from_iterable(self.objects()))

    def objects(self) -> list[list[Any]]:
        """The rows of each batch of JSON lines."""
        return [[json.loads(line) for line in content.splitlines()] for content in self.contents]


def table(content: bytes) -> list[list[str]]:
    """Return what the standard library reads in a CSV file."""
    return [row for row in csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")) if row]
