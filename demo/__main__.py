"""
``make demo``: deploy a workflow, run it deferred in a real triggerer, land its files in ``./demo-output/``.

Airflow and the Sixtyfour API both run here, on free ports of 127.0.0.1, and end with the demo. What Airflow runs is
``example_dags/example_sixtyfour_deploy.py``, unchanged.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from demo.airflow_rest import FINISHED, AirflowRest
from demo.local_airflow import LocalAirflow, start_airflow
from demo.processes import ProcessDiedError, Processes, free_ports

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo-output"
DAG_ID = "example_sixtyfour_deploy"
RUN_SECONDS = 8  # how long the workflow takes: the task asks at once and every 10 s, so its second answer is the end
DAG_LIMIT = 180.0  # seconds for the whole Dag run
LINES_SHOWN = 4

_began = time.monotonic()


def say(line: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - _began:5.1f} s] {line}", flush=True)


class SixtyfourApi:
    """The local stand-in for the Sixtyfour API."""

    def __init__(self, processes: Processes) -> None:
        [port] = free_ports(1)
        key = secrets.token_hex(16)
        self.connection = json.dumps({"conn_type": "sixtyfour", "host": f"http://127.0.0.1:{port}", "password": key})
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"x-api-key": key})
        module = "airflow_provider_sixtyfour.emulator"
        command = [sys.executable, "-m", module, "--port", str(port), "--run-seconds", str(RUN_SECONDS)]
        processes.start("sixtyfour-api", command, {**os.environ, "SIXTYFOUR_EMULATOR_API_KEY": key})
        say(f"starting a local Sixtyfour API on 127.0.0.1:{port}")

    def progress(self) -> str:
        """Say how far the newest run is, in steps of a fifth, or nothing if there is none."""
        runs = self._http.get("/workflows/runs", params={"limit": 1}).raise_for_status().json()
        if not runs:
            return ""
        status = self._http.get(f"/workflows/runs/{runs[0]['job_id']}/live_status").raise_for_status().json()
        percent = status["overall_progress_percentage"] // 20 * 20
        return f"{status['overall_status']}, {percent:.0f} % {status.get('current_block') or ''}".rstrip()


def follow(airflow: LocalAirflow, api: SixtyfourApi, run_id: str) -> str:
    """Report each change of a task and of the workflow's run until the Dag run rests; return its state."""
    shown: dict[str, str] = {}

    def report(what: str, state: str) -> None:
        if state and shown.get(what) != state:
            shown[what] = state
            say(f"  {what:<14} {state}")

    def finished() -> bool:
        state = airflow.rest.run_state(DAG_ID, run_id)
        for task in airflow.rest.task_instances(DAG_ID, run_id):
            report(f"task {task['task_id']}", task["state"] or "")
        report("workflow run", api.progress())
        return state in FINISHED

    airflow.wait_for("the Dag run finished", finished, DAG_LIMIT)
    return airflow.rest.run_state(DAG_ID, run_id)


def show_failure(rest: AirflowRest, run_id: str) -> None:
    """Print the log of each task that failed."""
    for task in rest.task_instances(DAG_ID, run_id):
        if task["state"] == "failed":
            print(f"\nThe log of task {task['task_id']}:")
            print(rest.log_text(DAG_ID, run_id, task["task_id"], task["try_number"]))


def show_files(files: list[dict[str, Any]]) -> None:
    """Print where the files are, and the first rows of each."""
    for file in files:
        path = Path(file["path"].removeprefix("file://"))
        print(f"\n{path.relative_to(ROOT)}: {file['rows']} rows, {file['bytes']} bytes, SHA-256 {file['sha256']}")
        with path.open(newline="") as lines:
            for row in list(csv.reader(lines))[:LINES_SHOWN]:
                print("  " + " | ".join(row))


def run_demo() -> int:
    """Run it all and return the exit code."""
    home = ROOT / ".airflow" / "demo"
    with Processes(log_dir=home / "processes") as processes:
        api = SixtyfourApi(processes)
        env = {"AIRFLOW_CONN_SIXTYFOUR_DEFAULT": api.connection}
        airflow = start_airflow(processes, home / "airflow", ROOT / "example_dags", env, say)
        say(f"Airflow is up; its UI is at {airflow.url} while this runs")
        airflow.wait_for(f"Dag {DAG_ID} read", lambda: airflow.rest.has_dag(DAG_ID), limit=60)
        airflow.rest.unpause(DAG_ID)
        run_id = airflow.rest.trigger(DAG_ID, {"destination": f"file://{OUTPUT}"})
        say(f"Dag {DAG_ID} triggered: deploy, run, land")
        succeeded = follow(airflow, api, run_id) == "success"
        if succeeded:
            show_files(airflow.rest.xcom(DAG_ID, run_id, "land"))
        else:
            show_failure(airflow.rest, run_id)
        print()
        say("stopping everything")
    say("done" if succeeded else "failed: the log above says why")
    return 0 if succeeded else 1


def main() -> int:
    """Run the demo, and say in a line why it stopped early if it did."""
    try:
        return run_demo()
    except KeyboardInterrupt:
        say("interrupted; everything it had started is stopped")
        return 130
    except (ProcessDiedError, TimeoutError, ImportError) as error:
        say(f"failed: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
