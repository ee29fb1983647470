"""
One piece of work in an interpreter of its own: its seconds, those of CPU, and by how much its memory grew.

What is loaded or connected once is done before the clock starts, and counts for neither.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_FRAME = """
import json, logging, os, resource, sys, time
path, folder, rows, batch_rows = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
logging.disable(logging.INFO)
{before}
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, used = time.perf_counter(), time.process_time()
{work}
seconds, cpu = time.perf_counter() - began, time.process_time() - used
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024
print("measured " + json.dumps([seconds, cpu, grown]))
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """
    What a piece of work took.

    :param grown: MiB.
    """

    seconds: float
    cpu: float
    grown: float


def measure(
    work: str,
    path: Path,
    folder: Path,
    rows: int = 0,
    batch_rows: int = 0,
    *,
    before: str = "",
    environment: Mapping[str, str] | None = None,
) -> Taken:
    """Run Python code that knows ``path``, ``folder``, ``rows`` and ``batch_rows``, after some other code."""
    frame = _FRAME.format(before=before, work=work)
    done = subprocess.run(
        [sys.executable, "-c", frame, str(path), str(folder), str(rows), str(batch_rows)],
        env={
            **os.environ,
            "AIRFLOW_HOME": str(folder.parent / "airflow-of-one"),
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return Taken(*json.loads(done.stdout.rpartition("measured ")[2]))
