"""
The result files of a run.

Invariant: a file is complete before anyone learns of it. Files are made when they are first asked for, once, from
the run's input; their names on this disk are numbers, whatever the run says that they are called.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from airflow_provider_sixtyfour.emulator.engine import csv_tables, pipeline, synthetic_file
from airflow_provider_sixtyfour.emulator.engine.inputs import Row, SentRows
from airflow_provider_sixtyfour.emulator.engine.pipeline import Count
from airflow_provider_sixtyfour.emulator.store.run_plans import PlannedFile
from airflow_provider_sixtyfour.emulator.store.runs import Run

CONTENT_TYPES = {"csv": "text/csv", "ndjson": "application/x-ndjson", "json": "application/json"}
_JSON = json.JSONEncoder(ensure_ascii=False).encode
_QUICK = 2_000  # rows that are counted or written without leaving the event loop


@dataclass(slots=True)
class ResultFile:
    """One file. `claims` are members to show instead of the true ones."""

    block_index: int  # in the order of execution
    block_number: int
    filename: str
    format: str
    row_count: int
    path: Path | None  # None: a synthetic one
    size: int
    inline: Path | None = None  # the same rows as NDJSON; None: too many, or synthetic ones
    claims: dict[str, Any] = field(default_factory=dict)
    omit: tuple[str, ...] = ()

    def inline_rows(self) -> list[Row] | None:
        """Return the rows, as typed as an NDJSON file has them, if there are few."""
        if self.inline is None:
            return None
        with self.inline.open(encoding="utf-8") as file:
            return [json.loads(line) for line in file]


class Results:
    """The files and the counts of all runs."""

    def __init__(self, folder: Path, inline_rows: int) -> None:
        self._folder = folder
        self._inline_rows = inline_rows
        self._files: dict[str, list[ResultFile]] = {}
        self._counts: dict[str, list[Count]] = {}
        self._busy: dict[str, asyncio.Lock] = {}

    async def counts(self, run: Run) -> list[Count]:
        """Return the rows in and out of each block, in the order of execution."""
        if run.job_id not in self._counts:
            self._counts[run.job_id] = await _off_loop(run, pipeline.counts, run.graph, run.rows)
        return self._counts[run.job_id]

    async def files(self, run: Run) -> list[ResultFile]:
        """Return the files that the whole run makes."""
        if run.job_id not in self._files:
            async with self._busy.setdefault(run.job_id, asyncio.Lock()):
                if run.job_id not in self._files:
                    self._files[run.job_id] = await _off_loop(
                        run, _make, run, self._folder / run.job_id, self._inline_rows
                    )
            self._busy.pop(run.job_id, None)
        return self._files[run.job_id]


async def _off_loop(run: Run, work: Callable[..., Any], *arguments: Any) -> Any:
    """Answer the other calls while a long input is worked on."""
    return work(*arguments) if run.rows.count <= _QUICK else await asyncio.to_thread(work, *arguments)


def makers(run: Run) -> list[int]:
    """Return the places, in the order of execution, of the blocks that make files; at least one does."""
    order = run.graph.order
    return [index for index, block in enumerate(order) if block.kind.makes_file] or [len(order) - 1]


def _make(run: Run, folder: Path, inline_rows: int) -> list[ResultFile]:
    folder.mkdir(parents=True, exist_ok=True)
    chosen = makers(run)
    if run.plan.results is not None:
        return [
            made
            for number, asked in enumerate(run.plan.results)
            for made in _planned(run, folder / f"planned-{number}", asked, inline_rows)
        ]
    if run.plan.synthetic_bytes is not None:
        return [_synthetic(run, chosen[-1], run.plan.synthetic_bytes)]
    names = pipeline.columns(run.graph, run.rows)
    writers = {index: _Writers(folder / str(index), names[index], run.formats, inline_rows) for index in chosen}
    with ExitStack() as stack:
        for writer in writers.values():
            stack.enter_context(writer)
        for made in pipeline.passes(run.graph, run.rows):
            for index, writer in writers.items():
                writer.write(made[index])
    return [made for index, writer in writers.items() for made in _described(run, index, writer)]


def _described(run: Run, index: int, writer: _Writers) -> list[ResultFile]:
    block = run.graph.order[index]
    stem = f"{block.block_name}_{block.sequence_number}_{run.job_id[:8]}"
    return [
        ResultFile(
            index, block.sequence_number, f"{stem}.{kind}", kind, writer.count, path, path.stat().st_size, writer.inline
        )
        for kind, path in writer.paths.items()
        if kind in run.formats
    ]


def _planned(run: Run, stem: Path, asked: PlannedFile, inline_rows: int) -> list[ResultFile]:
    """Make a file that a test has described; without rows of its own it has the run's last ones."""
    index = makers(run)[-1]
    if asked.rows is None:
        outputs = list(pipeline.passes(run.graph, run.rows))
        rows: Sequence[Row] = [row for made in outputs for row in made[index]]
        names = pipeline.columns(run.graph, run.rows)[index]
    else:
        rows, names = asked.rows, list(SentRows(asked.rows).columns)
    with _Writers(stem, names, run.formats, inline_rows) as writer:
        writer.write(rows)
    files = _described(run, index, writer)
    for file in files:
        file.claims, file.omit = asked.claims(), asked.omit
    return files


def _synthetic(run: Run, index: int, size: int) -> ResultFile:
    block = run.graph.order[index]
    name = f"{block.block_name}_{block.sequence_number}_{run.job_id[:8]}.csv"
    rows = synthetic_file.row_count(size)
    return ResultFile(index, block.sequence_number, name, "csv", rows, None, synthetic_file.file_size(size))


class _Writers:
    """Writes the same rows in each format; of NDJSON at least the first, as inline results are read from it."""

    def __init__(self, stem: Path, columns: list[str], formats: Iterable[str], inline_rows: int) -> None:
        wanted = {"csv", "ndjson", *formats}
        self.paths = {kind: stem.with_name(f"{stem.name}.{kind}") for kind in CONTENT_TYPES if kind in wanted}
        self.count = 0
        self._columns = columns
        self._inline_rows = inline_rows
        self._all_as_json = not {"json", "ndjson"}.isdisjoint(formats)
        self._open: dict[str, TextIO] = {}

    def __enter__(self) -> _Writers:
        for kind, path in self.paths.items():
            self._open[kind] = path.open("w", encoding="utf-8", newline="")
        self._table = csv_tables.Writer(self._open["csv"], self._columns)
        return self

    def __exit__(self, *_: object) -> None:
        if "json" in self._open:
            self._open["json"].write("\n]\n" if self.count else "[]\n")
        for file in self._open.values():
            file.close()

    @property
    def inline(self) -> Path | None:
        """Where to read the rows from if they are few."""
        return self.paths["ndjson"] if self.count <= self._inline_rows else None

    def write(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self._table.write(row)
            if self._all_as_json or self.count < self._inline_rows:
                text = _JSON(row)
                self._open["ndjson"].write(text + "\n")
                if "json" in self._open:
                    self._open["json"].write((",\n" if self.count else "[\n") + text)
            self.count += 1
