"""
Measure what it takes to get a file of leads through a workflow in batches.

``python -m benchmarks.batches --parts split upload airflow`` prints Markdown tables: how fast a million rows are split
(`benchmarks.batches.split`), how fast the batches are uploaded (`benchmarks.batches.upload`), and how long it takes a
real Airflow to split, send, run and land all of them (`benchmarks.batches.airflow`), each compared with lower
bounds. All of it is on this machine, and all files are removed afterwards.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.batches.airflow import Plan, measure_airflow
from benchmarks.batches.ran import report
from benchmarks.batches.split import measure_splits
from benchmarks.batches.upload import measure_uploads

PARTS = ("split", "upload", "airflow")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0].strip())
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure (all)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="%(default)s")
    parser.add_argument("--batches", type=int, default=200, help="%(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="of splits and uploads (%(default)s)")
    parser.add_argument("--run-seconds", type=float, default=60.0, help="how long a run takes (%(default)g)")
    parser.add_argument("--poll-interval", type=float, default=10.0, help="of the tasks, in seconds (%(default)g)")
    parser.add_argument("--patience", type=float, default=1500.0, help="seconds for a Dag run (%(default)g)")
    return parser.parse_args()


def main() -> int:
    """Print the tables; return 1 if a goal is missed."""
    given = arguments()
    if given.rows % given.batches:
        sys.exit("--rows should be a multiple of --batches: all batches are to be of one size")
    plan = Plan(
        rows=given.rows,
        batches=given.batches,
        seconds=given.run_seconds,
        poll_interval=given.poll_interval,
        patience=given.patience,
    )
    print(f"Python {platform.python_version()}, Airflow {version('apache-airflow')}, {os.cpu_count()} cores")
    are_reached = True
    for part in given.parts:
        with tempfile.TemporaryDirectory(prefix="batches-") as name:
            if part == "split":
                lines, is_reached = measure_splits(Path(name), plan.rows, plan.batch_rows, given.rounds)
            elif part == "upload":
                lines, is_reached = measure_uploads(Path(name), plan.rows, plan.batch_rows, given.rounds)
            else:
                bare, floor, ours = measure_airflow(plan)
                lines, is_reached = report(bare, floor, ours, plan.batches, plan.rows)
        print(f"\n### {part}\n\n" + "\n".join(lines), flush=True)
        are_reached = are_reached and is_reached
    return 0 if are_reached else 1


if __name__ == "__main__":
    sys.exit(main())
