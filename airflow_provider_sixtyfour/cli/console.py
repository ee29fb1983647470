"""
What a command prints: data to stdout in the format that was asked for, and all else to stderr, a line each.

Invariant: with ``-o json``, stdout is one JSON document, or empty where the command failed.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

from airflow_provider_sixtyfour.cli.text import json_text, one_line, printable, width, yaml_text
from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError


class OutputClosedError(Exception):
    """Whoever reads stdout has stopped, as ``head`` does."""


class Console:
    """
    The output of one command.

    :param output: ``json``, ``table``, ``yaml`` or ``plain``.
    :param program: how the command line was called, for messages that name a command.
    """

    def __init__(self, out: TextIO, err: TextIO, *, output: str, program: str) -> None:
        self._out = out
        self._err = err
        self.output = output
        self.program = program

    @property
    def is_terminal(self) -> bool:
        """Whether somebody sees stderr as it is written."""
        return self._err.isatty()

    @property
    def err(self) -> TextIO:
        """Where progress is shown."""
        return self._err

    def records(self, records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
        """
        Print a list of records.

        :param columns: what a table shows of them; JSON and YAML have all.
        """
        if not self._is_structured(list(records)):
            cells = [[_cell(record.get(column)) for column in columns] for record in records]
            self._write_table(cells, [column.replace("_", " ") for column in columns])

    def record(self, record: Mapping[str, Any], shown: Sequence[str] | None = None) -> None:
        """
        Print one record.

        :param shown: what a table shows of it; all if ``None``.
        """
        if not self._is_structured(dict(record)):
            names = list(record) if shown is None else shown
            self._write_table([[name.replace("_", " "), _cell(record.get(name))] for name in names])

    def document(self, value: Any, lines: Iterable[str] | None = None) -> None:
        """
        Print a value.

        :param lines: what stands for it in a table and as plain text; JSON if ``None``.
        """
        if self._is_structured(value):
            return
        if lines is None:
            self._write(json_text(value, self._out.encoding) + "\n")
        for line in lines or ():
            self._write(printable(line) + "\n")

    def note(self, message: str) -> None:
        """Write a line to stderr."""
        with contextlib.suppress(OSError, ValueError):  # where nobody reads it, the command is carried out all the same
            print(one_line(message), file=self._err, flush=True)

    def info(self, event: str, *args: Any) -> None:
        """Take in what happens, as a log does."""
        self.note(event % args if args else event)

    def warning(self, event: str, *args: Any) -> None:
        """Take in what the reader should look at."""
        self.note("Warning: " + (event % args if args else event))

    def error(self, event: str, *args: Any) -> None:
        """Take in what the reader has to fix."""
        self.note(event % args if args else event)

    def ask(self, question: str) -> bool:
        """Ask on the terminal; only y or yes means yes."""
        print(one_line(question) + " [y/N] ", end="", file=self._err, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def finish(self) -> None:
        """
        Bring out what was printed.

        :raises OutputClosedError: if nobody reads it.
        :raises SixtyfourTransferError: if it can't be written.
        """
        try:
            self._out.flush()
        except OSError as error:
            raise self._closed(error) from None

    def _is_structured(self, value: Any) -> bool:
        if self.output == "json":
            self._write(json_text(value, self._out.encoding) + "\n")
        elif self.output == "yaml":
            self._write(yaml_text(value, self._out.encoding))
        return self.output in ("json", "yaml")

    def _write_table(self, rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> None:
        if self.output == "plain":
            for row in rows:
                self._write("\t".join(row) + "\n")
            return
        every = [[name.upper() for name in header], *rows] if header else rows
        widths = [max(map(width, column)) for column in zip(*every, strict=True)]
        for row in every:
            padded = [cell + " " * (most - width(cell)) for cell, most in zip(row, widths, strict=True)]
            self._write("  ".join(padded).rstrip() + "\n")

    def _write(self, text: str) -> None:
        encoding = self._out.encoding or "utf-8"
        try:
            self._out.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except OSError as error:
            raise self._closed(error) from None

    def _closed(self, error: OSError) -> Exception:
        with contextlib.suppress(OSError, ValueError):
            # What is left in its buffer would fail once more when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())
        if isinstance(error, BrokenPipeError):
            return OutputClosedError()
        return SixtyfourTransferError(f"The output can't be written: {error.strerror or error}.")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_cell(name)}={_cell(each)}" for name, each in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value)) or "-"
    return printable(str(value)) or "-"
