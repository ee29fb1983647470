"""
How fast an input is split into batches, and in how much memory, compared with lower bounds.

Candidates take turns, so that a change in the machine's load meets all of them alike: reading the file; its SHA-256,
which every batch's reference needs; copying it into files as large as batches; a pass of ``csv.reader``, which a
splitter that takes rows apart can't be faster than; and the splits. Printed are medians.

A split's batches are on disk (``fsync``) when it returns. The throughput counts the bytes of the input.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from statistics import median

from benchmarks.batches.input import LINES, PLAIN, QUOTED, write_leads, write_lines
from benchmarks.batches.interpreter import Taken, measure

GOAL_SPEED = 100.0  # MB/s of CSV
GOAL_MEMORY = 64.0  # MiB that a split may add

_READ = """
with open(path, "rb", buffering=0) as file:
    while file.read(262144):
        pass
"""
_HASH = """
import hashlib
digest = hashlib.sha256()
with open(path, "rb", buffering=0) as file:
    while block := file.read(262144):
        digest.update(block)
"""
_COPY = """
os.mkdir(folder)
count = -(-rows // batch_rows)
with open(path, "rb", buffering=0) as file:
    for number in range(count):
        with open(f"{folder}/{number}", "wb", buffering=0) as copy:
            left = os.path.getsize(path) // count + 1
            while left and (block := file.read(min(left, 262144))):
                copy.write(block)
                left -= len(block)
            os.fsync(copy.fileno())
"""
_TAKE_APART = """
import csv
with open(path, encoding="utf-8", newline="") as file:
    for row in csv.reader(file):
        pass
"""
_BEFORE = """
from airflow_provider_sixtyfour.operators.batches import split_input
split_input(rows=[{"a": 1}], destination=f"file://{folder}.warm")
"""
_SPLIT = """
made = split_input(source=f"file://{{path}}", destination=f"file://{{folder}}", batch_rows=batch_rows, {more})
assert sum(batch["rows"] for batch in made) == rows, made
assert len(made) == -(-rows // batch_rows), made
"""
_READER = "`csv.reader`"
_OURS = "split: CSV"
_LIMITS = {
    "read": (PLAIN, _READ),
    "SHA-256": (PLAIN, _HASH),
    "copy to as many files, each on disk": (PLAIN, _COPY),
    _READER: (PLAIN, _TAKE_APART),
}
_SPLITS = {
    _OURS: (PLAIN, ""),
    "split: CSV, columns renamed": (PLAIN, "rename_columns={'company': 'company_name'}"),
    "split: CSV with every cell in quotes": (QUOTED, ""),
    "split: CSV, each row parsed, `unique_by`": (PLAIN, "unique_by='email'"),
    "split: NDJSON": (LINES, ""),
}


def measure_splits(folder: Path, rows: int, batch_rows: int, rounds: int) -> tuple[list[str], bool]:
    """Return the table, and whether the split of CSV is as fast, and as small, as its goal."""
    write_leads(folder / PLAIN, rows)
    write_leads(folder / QUOTED, rows, quotes_all=True)
    write_lines(folder / LINES, rows)
    work = _LIMITS | {label: (file, _SPLIT.format(more=more)) for label, (file, more) in _SPLITS.items()}
    taken: dict[str, list[Taken]] = {label: [] for label in work}
    for _ in range(rounds):
        for label, (file, code) in work.items():
            shutil.rmtree(folder / "out", ignore_errors=True)
            taken[label].append(measure(code, folder / file, folder / "out", rows, batch_rows, before=_BEFORE))
    sizes = {label: os.path.getsize(folder / file) / 1e6 for label, (file, _) in work.items()}
    speeds = {label: [sizes[label] / each.seconds for each in all_] for label, all_ in taken.items()}
    reader, ours = median(speeds[_READER]), median(speeds[_OURS])
    lines = [
        f"{rows:,} rows, {sizes[_OURS]:.0f} MB of CSV; median of {rounds} rounds (lowest to highest)",
        "",
        "| | MB/s | MB per CPU second | of `csv.reader` | MiB more |",
        "|---|---|---|---|---|",
    ]
    for label, all_ in taken.items():
        per_cpu = median(sizes[label] / each.cpu for each in all_)
        lines.append(
            f"| {label} | {median(speeds[label]):.0f} ({min(speeds[label]):.0f} to {max(speeds[label]):.0f}) "
            f"| {per_cpu:.0f} | {median(speeds[label]) / reader:.2f} | {max(each.grown for each in all_):.0f} |"
        )
    lines += ["", f"Goal for {_OURS!r}: {GOAL_SPEED:.0f} MB/s; for each split: {GOAL_MEMORY:.0f} MiB at most."]
    most = max(each.grown for label in _SPLITS for each in taken[label])
    return lines, ours >= GOAL_SPEED and most <= GOAL_MEMORY
