"""A run whose deferred task was marked failed is found, and cancelled, by a Dag and by the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def by_command(airflow, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_sixtyfour", "orphans", "--older-than", "0", "-o", "json", *arguments],
        env={**os.environ, **airflow.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def which(records):
    return sorted((record["task_id"], record["map_index"], record["job_id"]) for record in records)


def test_only_runs_that_nobody_waits_for_are_found_and_cancelled(airflow, start_run, emulator, workflow):
    emulator.plan(seconds=1_000_000, queue_seconds=0, workflow_id=workflow, times=5)
    left = start_run("left", workflow_id=workflow)
    for task_id in ("run", "single_0", "single_1"):
        left.wait_until("deferred", task_id)
    left.wait_until("success", "on_purpose")
    job_ids = {("run", index): left.xcom("run", "job_id", index) for index in (0, 1)}
    job_ids |= {(task_id, -1): left.xcom(task_id, "job_id") for task_id in ("single_0", "single_1", "on_purpose")}
    assert by_command(airflow) == []

    for task_id, index, state in (("run", 1, "failed"), ("single_0", -1, "success")):
        airflow.rest.set_state("left", left.run_id, task_id, state, index)
    wanted = [(*key, job_ids[key]) for key in (("run", 1), ("single_0", -1))]
    listed = by_command(airflow)
    housekeeping = start_run("housekeeping")

    assert housekeeping.ended() == "success"
    assert which(listed) == wanted
    assert which(housekeeping.xcom("find")) == wanted
    assert {(record["run_id"], record["cancelled"]) for record in housekeeping.xcom("find")} == {(left.run_id, False)}
    assert [record["cancelled"] for record in housekeeping.xcom("cancel")] == [True, True]
    statuses = {run["job_id"]: run["status"] for run in emulator.runs() if run["workflow_id"] == workflow}
    cancelled = {job_id for _, _, job_id in wanted}
    assert {job_id for job_id, status in statuses.items() if status == "cancelled"} == cancelled
    assert {status for job_id, status in statuses.items() if job_id not in cancelled} == {"running"}
    assert by_command(airflow, "--cancel") == []
    for job_id in statuses.keys() - cancelled:
        emulator.set_status(job_id, "completed")
