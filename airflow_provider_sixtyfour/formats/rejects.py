"""Rejected rows: reported in an error, or written to a file, each with its reason."""

from __future__ import annotations

from typing import Protocol

from airflow_provider_sixtyfour.formats.json_text import json_line
from airflow_provider_sixtyfour.formats.records import bad_line
from airflow_provider_sixtyfour.storage.file_stats import HashingWriter, Reference
from airflow_provider_sixtyfour.storage.protocols import Writable


class Rejects(Protocol):
    """Takes rows that no batch takes."""

    def put(self, line: int, reason: str, record: bytes) -> None:
        """
        Take a row.

        :param line: the line of the input on which it begins.
        :param record: the row as it stands there.
        """

    def drop(self, line: int, reason: str, record: bytes) -> None:
        """Take a row that nobody misses: another one says the same."""


class NoRejects:
    """
    Makes the first such row an error.

    :param name: the input, for the message.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def put(self, line: int, reason: str, record: bytes) -> None:
        """
        Refuse a row.

        :raises SixtyfourInputError: always.
        """
        raise bad_line(self._name, line, reason)

    def drop(self, line: int, reason: str, record: bytes) -> None:
        """Let a row go."""


class RejectFile:
    """
    Writes one JSON object a row: ``line``, ``reason`` and ``text``, the row as it stood in the input.

    :param file: what is written to.
    """

    def __init__(self, file: Writable) -> None:
        self._written = HashingWriter(file)
        self.rejected = 0

    def put(self, line: int, reason: str, record: bytes) -> None:
        """Write a row, and count it."""
        self.rejected += 1
        self.drop(line, reason, record)

    def drop(self, line: int, reason: str, record: bytes) -> None:
        """Write a row."""
        text = record.decode(errors="replace").rstrip("\r\n")
        self._written.write(json_line({"line": line, "reason": reason, "text": text}), rows=1)

    def reference(self, path: str) -> Reference:
        """Return what is to be known of the file."""
        return self._written.reference(path)
