"""
``make demo``: deploy a workflow, run it deferred in a real triggerer, land its files; then enrich a file in batches.

The files are in ``./demo-output/``. Airflow and the Sixtyfour API both run here, on free ports of 127.0.0.1, and end
with the demo; with ``make demo KEEP=1`` when Ctrl-C is pressed. What Airflow runs are two Dags of ``example_dags``,
unchanged.
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
from urllib.parse import quote

import httpx

from demo.airflow_rest import FINISHED, AirflowRest
from demo.local_airflow import LocalAirflow, start_airflow
from demo.processes import ProcessDiedError, Processes, free_ports

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "demo-output"
DAG_ID = "example_sixtyfour_deploy"
GROUP_DAG_ID = "example_sixtyfour_batches"
GROUP_ROWS = 12  # in batches of two
RUN_SECONDS = 8  # how long the workflow takes: the task asks at once and every 10 s, so its second answer is the end
DAG_LIMIT = 180.0  # seconds for the whole Dag run
LINES_SHOWN = 4

_began = time.monotonic()


def log(line: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"[{time.monotonic() - _began:5.1f} s] {line}", flush=True)


class SixtyfourApi:
    """The local stand-in for the Sixtyfour API."""

    def __init__(self, processes: Processes) -> None:
        [port] = free_ports(1)
        key = secrets.token_hex(16)
        self.connection = json.dumps({"conn_type": "sixtyfour", "host": f"http://127.0.0.1:{port}", "password": key})
        self.url = f"http://127.0.0.1:{port}"
        self._http = httpx.Client(base_url=self.url, headers={"x-api-key": key})
        module = "airflow_provider_sixtyfour.emulator"
        command = [sys.executable, "-m", module, "--port", str(port), "--run-seconds", str(RUN_SECONDS)]
        processes.start("sixtyfour-api", command, {**os.environ, "SIXTYFOUR_EMULATOR_API_KEY": key})
        log(f"starting a local Sixtyfour API on 127.0.0.1:{port}")

    def progress(self) -> str:
        """Return the progress of the newest run, in steps of a fifth, or nothing if there is none."""
        runs = self._http.get("/workflows/runs", params={"limit": 1}).raise_for_status().json()
        if not runs:
            return ""
        status = self._http.get(f"/workflows/runs/{runs[0]['job_id']}/live_status").raise_for_status().json()
        percent = status["overall_progress_percentage"] // 20 * 20
        return f"{status['overall_status']}, {percent:.0f} % {status.get('current_block') or ''}".rstrip()


def follow(airflow: LocalAirflow, api: SixtyfourApi, run_id: str) -> str:
    """Report each change of a task and of the workflow's run until the Dag run has ended; return its state."""
    shown: dict[str, str] = {}

    def report(what: str, state: str) -> None:
        if state and shown.get(what) != state:
            shown[what] = state
            log(f"  {what:<14} {state}")

    def finished() -> bool:
        state = airflow.rest.run_state(DAG_ID, run_id)
        for task in airflow.rest.task_instances(DAG_ID, run_id):
            report(f"task {task['task_id']}", task["state"] or "")
        report("workflow run", api.progress())
        return state in FINISHED

    airflow.wait_for("the Dag run finished", finished, DAG_LIMIT)
    return airflow.rest.run_state(DAG_ID, run_id)


def follow_batches(airflow: LocalAirflow, run_id: str) -> str:
    """Report how many batches are done until the Dag run has ended; return its state."""
    shown = ""

    def finished() -> bool:
        nonlocal shown
        tasks = airflow.rest.task_instances(GROUP_DAG_ID, run_id)
        states = [task["state"] for task in tasks if task["task_id"].endswith(".enrich") and task["map_index"] >= 0]
        done = states.count("success")
        line = f"{done} of {len(states)} batches done, {states.count('deferred')} deferred" if states else ""
        if line and line != shown:
            shown = line
            log(f"  {'batches':<14} {line}")
        return airflow.rest.run_state(GROUP_DAG_ID, run_id) in FINISHED

    airflow.wait_for("the batches enriched", finished, DAG_LIMIT)
    return airflow.rest.run_state(GROUP_DAG_ID, run_id)


def show_failure(rest: AirflowRest, dag_id: str, run_id: str) -> None:
    """Print the log of each task that failed."""
    for task in rest.task_instances(dag_id, run_id):
        if task["state"] == "failed":
            print(f"\nThe log of task {task['task_id']}:")
            print(rest.log_text(dag_id, run_id, task["task_id"], task["try_number"], task["map_index"]))


def show_files(files: list[dict[str, Any]]) -> None:
    """Print where the files are, and the first rows of each."""
    for file in files:
        path = Path(file["path"].removeprefix("file://"))
        print(f"\n{path.relative_to(ROOT)}: {file['rows']} rows, {file['bytes']} bytes, SHA-256 {file['sha256']}")
        with path.open(newline="") as lines:
            for row in list(csv.reader(lines))[:LINES_SHOWN]:
                print("  " + " | ".join(row))


def run_one(airflow: LocalAirflow, api: SixtyfourApi) -> bool:
    """Deploy a workflow, run it, land its files; return whether that succeeded."""
    airflow.wait_for(f"Dag {DAG_ID} read", lambda: airflow.rest.has_dag(DAG_ID), limit=60)
    airflow.rest.unpause(DAG_ID)
    run_id = airflow.rest.trigger(DAG_ID, {"destination": f"file://{OUTPUT}"})
    log(f"Dag {DAG_ID} triggered: deploy, run, land")
    if follow(airflow, api, run_id) != "success":
        show_failure(airflow.rest, DAG_ID, run_id)
        return False
    show_files(airflow.rest.xcom(DAG_ID, run_id, "land"))
    return True


def run_group(airflow: LocalAirflow) -> str | None:
    """Enrich a file batch by batch; return the Dag run, ``None`` if it failed."""
    source = OUTPUT / "leads.csv"
    rows = (f"Lead {number},Example {number}\n" for number in range(GROUP_ROWS))
    source.write_text("name,company_name\n" + "".join(rows))
    airflow.wait_for(f"Dag {GROUP_DAG_ID} read", lambda: airflow.rest.has_dag(GROUP_DAG_ID), limit=60)
    airflow.rest.unpause(GROUP_DAG_ID)
    params = {"source": f"file://{source}", "destination": f"file://{OUTPUT}/batches-{time.strftime('%Y%m%dT%H%M%S')}"}
    run_id = airflow.rest.trigger(GROUP_DAG_ID, params)
    print()
    log(f"Dag {GROUP_DAG_ID} triggered: {GROUP_ROWS} rows, split, enriched batch by batch, collected")
    if follow_batches(airflow, run_id) != "success":
        show_failure(airflow.rest, GROUP_DAG_ID, run_id)
        return None
    summary = next(
        airflow.rest.xcom(GROUP_DAG_ID, run_id, task["task_id"])
        for task in airflow.rest.task_instances(GROUP_DAG_ID, run_id)
        if task["task_id"].endswith(".collect")
    )
    show_files([summary["merged"]])
    return run_id


def keep(airflow: LocalAirflow, api: SixtyfourApi, run_id: str) -> None:
    """Print what can be opened, and wait for Ctrl-C."""
    of_run = f"{airflow.url}/dags/{GROUP_DAG_ID}/runs/{quote(run_id, safe='')}"
    print()
    log("all of it stays up until Ctrl-C; nobody is asked for a password. Open:")
    print(f"  the batches               {of_run}")
    print(f"  their Sixtyfour tab       {of_run}/plugin/sixtyfour-dag_run")
    print(f"  the Sixtyfour API's pages {api.url}/")
    print(f"  the connection            sixtyfour_default, in the environment of Airflow: {api.url}")
    sys.stdout.flush()
    while True:
        time.sleep(1)
        airflow.processes.require_alive()


def run_demo(is_kept: bool) -> int:
    """
    Run it all and return the exit code.

    :param is_kept: whether it stays up until Ctrl-C.
    """
    home = ROOT / ".airflow" / "demo"
    with Processes(log_dir=home / "processes") as processes:
        api = SixtyfourApi(processes)
        env = {"AIRFLOW_CONN_SIXTYFOUR_DEFAULT": api.connection}
        airflow = start_airflow(processes, home / "airflow", ROOT / "example_dags", env, log)
        log(f"Airflow is up; its UI is at {airflow.url} while this runs")
        run_id = run_group(airflow) if run_one(airflow, api) else None
        if is_kept and run_id is not None:
            keep(airflow, api, run_id)
        print()
        log("stopping everything")
    if run_id is None:
        log("failed: the log above has the reason")
        return 1
    log("done. To look around in Airflow and its Sixtyfour tab: make demo KEEP=1")
    return 0


def main() -> int:
    """Run the demo, and print in a line why it stopped early if it did."""
    try:
        return run_demo(is_kept=bool(os.environ.get("KEEP")))
    except KeyboardInterrupt:
        log("interrupted; everything it had started is stopped")
        return 130
    except (ProcessDiedError, TimeoutError, ImportError) as error:
        log(f"failed: {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
