"""
Measure what it costs to wait for many runs in one triggerer, compared with another service's trigger.

``python -m benchmarks.waiting --runs 1000 --ends together spread slow`` measures each subject with each number of runs
and each way of ending, one after the other, and prints a Markdown table.

The triggers of a measurement are tasks of one event loop in one process, as in a triggerer. They start spread over one
poll interval, ask a server over TLS on 127.0.0.1 that runs in a process of its own, and log as a triggerer's runner
does, but to nowhere. `SixtyfourRunTrigger` asks this project's emulator, which allows 500 requests a minute and answers
429 beyond; `DbtCloudRunJobTrigger` asks a server that answers as dbt Cloud does, without a limit. Every tenth run
fails. A trigger of each kind has waited for a run before, so that what is loaded once counts for none.

Requests and connections are counted by the server, from the first trigger's start to the last event. CPU time is that
of the whole process. Memory is the most by which the process grew. The delay lasts from the end of a run at the server
to the trigger's event. A turn of the event loop is the time for which it kept everything waiting.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import secrets
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.waiting.certificate import Certificate, make_certificate
from benchmarks.waiting.processes import Child, child
from benchmarks.waiting.results import Result, result, table
from benchmarks.waiting.schedule import ENDS
from benchmarks.waiting.server import KEY_VARIABLE
from benchmarks.waiting.triggers import CONNECTION, SUBJECTS

ROOT = Path(__file__).resolve().parents[2]
STARTING = 180.0  # seconds in which a process should send something, on a busy machine
SHOWN = 5  # wrong outcomes

_WARM_UP = {"do": "begin", "count": 1, "ends": "together", "after": 0.0}


def log(line: str) -> None:
    """Log to stderr; stdout is for the table."""
    print(line, file=sys.stderr, flush=True)


def environment(subject: str, port: int, key: str, folder: Path, certificate: Certificate) -> dict[str, str]:
    """Return the environment of the measured process: its Airflow, its connection, whom it trusts."""
    connections = {
        "sixtyfour": {
            "conn_type": "sixtyfour",
            "host": f"https://127.0.0.1:{port}",
            "password": key,
            "extra": {"verify": str(certificate.bundle)},
        },
        "dbt-cloud": {"conn_type": "dbt_cloud", "login": "1", "host": f"127.0.0.1:{port}", "password": key},
    }
    return {
        **os.environ,
        "AIRFLOW_HOME": str(folder / "airflow"),
        f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps(connections[subject]),
        "SSL_CERT_FILE": str(certificate.bundle),
        "NO_PROXY": "127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }


async def measure(subject: str, count: int, ends: str, given: argparse.Namespace, folder: Path) -> Result:
    """Start both processes, wait for runs, stop both."""
    certificate = make_certificate(folder)
    key = secrets.token_urlsafe(24)
    seconds = given.after + ENDS[ends] + given.patience
    async with contextlib.AsyncExitStack() as stack:
        files = ("--chain", str(certificate.chain), "--key", str(certificate.key))
        server = await stack.enter_async_context(
            child(
                "benchmarks.waiting.server",
                subject,
                *files,
                "--latency",
                str(given.latency),
                env={**os.environ, KEY_VARIABLE: key, "PYTHONPATH": str(ROOT)},
            )
        )
        port = (await server.receive(STARTING))["port"]
        triggers = await stack.enter_async_context(
            child(
                "benchmarks.waiting.triggers",
                subject,
                "--poll-interval",
                str(given.poll_interval),
                env=environment(subject, port, key, folder, certificate),
            )
        )
        await wait_for_runs(server, triggers, _WARM_UP, seconds)
        truth, seen = await wait_for_runs(
            server, triggers, {"do": "begin", "count": count, "ends": ends, "after": given.after}, seconds
        )
        counts = await server.ask({"do": "counts"}, STARTING)
    made = result(subject, ends, truth, seen, counts)
    lasted = seen["ended"] - seen["began"]
    log(f"  {counts['routes']} {counts['statuses']}")
    # Where others keep the machine busy, turns and delays are theirs.
    busy = counts["server_cpu"] / lasted
    log(f"  {lasted:.0f} s, server {busy:.0%} of a core, the machine's load {os.getloadavg()[0]:.1f}")
    for line in made.faults[:SHOWN]:
        log(f"  wrong outcome of {line}")
    return made


async def wait_for_runs(server: Child, triggers: Child, order: dict[str, Any], seconds: float) -> tuple[Any, Any]:
    """Start runs and wait for them; return their true outcomes, and what was received."""
    truth = await server.ask(order, STARTING)
    runs = [run["id"] for run in truth]
    return truth, await triggers.ask({"runs": runs, "seconds": seconds}, seconds + STARTING)


def measure_all(given: argparse.Namespace) -> list[Result]:
    """Measure each combination."""
    results = []
    for count in given.runs:
        for ends in given.ends:
            for subject in given.subjects:
                log(f"{subject}: {count} runs, ends {ends}")
                # Nothing is left of it: Airflow's files, the certificate, the emulator's.
                with tempfile.TemporaryDirectory(prefix="waiting-") as folder:
                    results.append(asyncio.run(measure(subject, count, ends, given, Path(folder))))
                log(table(results[-1:]).splitlines()[-1])
    return results


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0].strip())
    parser.add_argument("--runs", type=int, nargs="+", default=[1000], help="how many at once (1000)")
    parser.add_argument(
        "--ends",
        nargs="+",
        choices=list(ENDS),
        default=["together", "spread"],
        help="all at once, spread over 20 s, or over ten minutes (together spread)",
    )
    parser.add_argument("--subjects", nargs="+", choices=list(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--poll-interval", type=float, default=10.0, help="seconds (%(default)g)")
    parser.add_argument("--after", type=float, default=60.0, help="seconds until the first end (%(default)g)")
    parser.add_argument("--latency", type=float, default=0.1, help="seconds for each answer (%(default)g)")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds after the last end (%(default)g)")
    return parser.parse_args()


def main() -> int:
    """Print the table; return 1 if an outcome of this provider was wrong or a request of it refused."""
    given = arguments()
    results = measure_all(given)
    packages = [f"{name} {version(name)}" for name in ("apache-airflow", "apache-airflow-providers-dbt-cloud")]
    print(
        f"\npoll interval {given.poll_interval:g} s, first end after {given.after:g} s, latency {given.latency:g} s; "
        f"Python {platform.python_version()}, {', '.join(packages)}, {os.cpu_count()} cores\n"
    )
    print(table(results))
    ours = [each for each in results if each.subject == "sixtyfour"]
    return 1 if any(each.faults or each.refused for each in ours) else 0


if __name__ == "__main__":
    sys.exit(main())
