"""
Measure how fast an input is split into batches, and what memory that takes, beside what it can't be faster than.

A file of a million leads (about 150 MB of CSV) is made in a temporary folder. Each candidate goes through it in an
interpreter of its own, and they take turns, so that a change in the machine's load meets all of them alike: reading
the file; its SHA-256, which every batch's reference needs; copying it into files as large as batches; a pass of
``csv.reader``, which a splitter that takes rows apart can't be faster than; and the splits. Printed are medians.

A split's batches are on disk (``fsync``) when it returns. The throughput counts the bytes of the input.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

GOAL_SPEED = 100.0  # MB/s of CSV
GOAL_MEMORY = 64.0  # MiB that a split may add
ROWS = 1_000_000
ROUNDS = 3
NAMES = ["company", "name", "website", "email", "city", "country", "title", "linkedin", "phone", "notes"]

READ = """
with open(path, "rb", buffering=0) as file:
    while file.read(262144):
        pass
"""
HASH = """
import hashlib
digest = hashlib.sha256()
with open(path, "rb", buffering=0) as file:
    while block := file.read(262144):
        digest.update(block)
"""
COPY = """
os.mkdir(folder)
with open(path, "rb", buffering=0) as file:
    for number in range(200):
        with open(f"{folder}/{number}", "wb", buffering=0) as copy:
            left = os.path.getsize(path) // 200 + 1
            while left and (block := file.read(min(left, 262144))):
                copy.write(block)
                left -= len(block)
            os.fsync(copy.fileno())
"""
TAKE_APART = """
import csv
with open(path, encoding="utf-8", newline="") as file:
    for row in csv.reader(file):
        pass
"""
SPLIT = """
made = split_input(source=f"file://{{path}}", destination=f"file://{{folder}}", {more})
assert sum(batch["rows"] for batch in made) == rows, made
assert len(made) == -(-rows // 5000), made
"""
FRAME = """
import json, logging, os, resource, sys, time
path, folder, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
logging.disable(logging.INFO)
from airflow_provider_sixtyfour.operators.batches import split_input
split_input(rows=[{{"a": 1}}], destination=f"file://{{folder}}.warm")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, used = time.perf_counter(), time.process_time()
{work}
seconds, cpu = time.perf_counter() - began, time.process_time() - used
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
print("measured " + json.dumps([seconds, cpu, grown]))
"""
PLAIN = "split: CSV"
LIMITS = {"read": READ, "SHA-256": HASH, "copy to 200 files, each on disk": COPY, "csv.reader": TAKE_APART}
SPLITS = {
    PLAIN: ("leads.csv", ""),
    "split: CSV, columns renamed": ("leads.csv", "columns={'company': 'company_name'}"),
    "split: CSV with every cell in quotes": ("quoted.csv", ""),
    "split: CSV, each row parsed, unique_by": ("leads.csv", "unique_by='email'"),
    "split: NDJSON": ("leads.ndjson", ""),
}


def lead(number: int) -> list[str]:
    """Return a row; every tenth has a comma or a line end in a cell, every twentieth letters beyond ASCII."""
    return [
        f"Example {'Bäckerei' if number % 20 == 7 else 'Bakery'} {number % 99_991}",
        f"Lead {number}",
        f"https://www.bakery-{number}.example.com",
        f"lead-{number}@bakery-{number}.example.com",
        "Springfield",
        "US",
        "Head of Purchasing",
        f"in/lead-{number:07d}",
        f"+1 555 {number:07d}",
        ("met at the fair,\nlikes tea" if number % 20 == 3 else "met at the fair, likes tea")
        if number % 10 == 3
        else "met at the fair",
    ]


def make(folder: Path, rows: int) -> None:
    """Write the inputs."""
    with (
        open(folder / "leads.csv", "w", encoding="utf-8", newline="") as plain,
        open(folder / "quoted.csv", "w", encoding="utf-8", newline="") as quoted,
        open(folder / "leads.ndjson", "w", encoding="utf-8", newline="") as lines,
    ):
        plain.write(",".join(NAMES) + "\n")
        quoted.write(",".join(NAMES) + "\n")
        for number in range(rows):
            cells = lead(number)
            plain.write(",".join(f'"{cell}"' if "," in cell else cell for cell in cells) + "\n")
            quoted.write('"' + '","'.join(cells) + '"\n')
            lines.write(json.dumps(dict(zip(NAMES, cells, strict=True)), ensure_ascii=False) + "\n")


def measure(work: str, path: Path, folder: Path, rows: int) -> tuple[float, float, float]:
    """Return the seconds that some work takes, those of CPU, and the MiB by which its memory grows."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-c", FRAME.format(work=work), str(path), str(folder), str(rows)]
    environment = {**os.environ, "AIRFLOW_HOME": str(folder.parent / "airflow")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    seconds, cpu, grown = json.loads(done.stdout.rpartition("measured ")[2])
    return seconds, cpu, grown


def main() -> int:
    """Print the table; return 1 if the split of CSV is slower, or larger, than its goal."""
    parser = argparse.ArgumentParser(description="Measure how an input is split into batches.")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, options.rows)
        work = {label: ("leads.csv", code) for label, code in LIMITS.items()}
        work |= {label: (file, SPLIT.format(more=more)) for label, (file, more) in SPLITS.items()}
        taken: dict[str, list[tuple[float, float, float]]] = {label: [] for label in work}
        for _ in range(options.rounds):
            for label, (file, code) in work.items():
                taken[label].append(measure(code, folder / file, folder / "out", options.rows))
        sizes = {label: os.path.getsize(folder / file) / 1e6 for label, (file, _) in work.items()}
    print(f"{options.rows:,} rows, {sizes[PLAIN]:.0f} MB of CSV; median of {options.rounds} rounds (lowest to highest)")
    print(f"  {'':<40} {'MB/s':>22} {'per CPU s':>10} {'of csv.reader':>14} {'memory':>10}")
    reader = statistics.median(sizes["csv.reader"] / seconds for seconds, _, _ in taken["csv.reader"])
    speed, memory = {}, {}
    for label, values in taken.items():
        speeds = [sizes[label] / seconds for seconds, _, _ in values]
        speed[label], memory[label] = statistics.median(speeds), max(grown for _, _, grown in values)
        per_cpu = statistics.median(sizes[label] / cpu for _, cpu, _ in values)
        spread = f"({min(speeds):.0f} to {max(speeds):.0f})"
        print(
            f"  {label:<40} {speed[label]:7.0f} {spread:>14} {per_cpu:10.0f} "
            f"{speed[label] / reader:13.2f}x {memory[label]:6.0f} MiB"
        )
    print(f"goal for {PLAIN!r}: {GOAL_SPEED:.0f} MB/s, and {GOAL_MEMORY:.0f} MiB at most")
    return 0 if speed[PLAIN] >= GOAL_SPEED and max(memory[label] for label in SPLITS) <= GOAL_MEMORY else 1


if __name__ == "__main__":
    sys.exit(main())
