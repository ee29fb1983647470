"""The main job on a real scheduler, triggerer and API server, with Airflow's stock settings."""

import csv
import json
import re
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.e2e.conftest import definition

ROWS = [{"company_name": "Example Bakery"}, {"company_name": "Sample Logistics"}]
# Seconds before somebody answers. Airflow's LocalExecutor (3.3.2) fails a task that is queued again while the
# supervisor of its first slice still lingers, up to 5 s ("state mismatch").
READING = 8.0
LIVE_STATUS = "/workflows/runs/[^/]+/live_status"
GATEWAY_PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"


def job_ids(emulator, workflow):
    """The runs of a workflow, oldest first."""
    return [run["job_id"] for run in emulator.runs() if run["workflow_id"] == workflow]


def status_checks(emulator, job_id):
    """The requests for how a run is doing, oldest first."""
    path = f"/workflows/runs/{job_id}/live_status"
    return [request for request in emulator.requests() if request["path"] == path]


def csv_rows(file):
    with Path(file["path"].removeprefix("file://")).open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_deploys_runs_deferred_and_lands(start_run, emulator, editor_json, tmp_path):
    workflow = str(uuid.uuid4())

    run = start_run("pipeline", workflow_id=workflow, workflow=editor_json, rows=ROWS, to=f"file://{tmp_path}")

    assert run.ended() == "success"
    stored = emulator.api("GET", f"/workflows/{workflow}")["workflow_definition"]["blocks"]
    assert [block["block_id"] for block in stored] == [
        block["block_id"] for block in editor_json["workflow_definition"]["blocks"]
    ]
    assert job_ids(emulator, workflow) == [run.xcom("run")]
    assert "Trigger fired event" in run.log()
    [file] = run.xcom("land")
    assert file["rows"] == 2
    rows = csv_rows(file)
    assert [row["company_name"] for row in rows] == ["Example Bakery", "Sample Logistics"]
    assert all(row["industry"] for row in rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["_manifest.json", Path(file["path"]).name]


def test_sync_and_deferred_give_the_same_value_and_log(airflow, start_run, emulator, workflow):
    # Runs that stand still until the test ends them: how far one gets between two status checks is no part of this.
    emulator.plan(seconds=1_000_000, queue_seconds=0, workflow_id=workflow, times=2)
    lines = {}

    runs = {mode: start_run(f"run_{mode}", workflow_id=workflow, rows=ROWS) for mode in ("sync", "deferred")}
    airflow.wait_for("both submitted", lambda: len(job_ids(emulator, workflow)) == 2, limit=60)
    for job_id in job_ids(emulator, workflow):
        airflow.wait_for("polled twice", lambda job_id=job_id: len(status_checks(emulator, job_id)) >= 2, limit=60)
    for run in runs.values():
        assert run.xcom("run", key="job_id") in run.xcom("run", key="sixtyfour_run_link")
    for job_id in job_ids(emulator, workflow):
        emulator.set_status(job_id, "completed")
    for mode, run in runs.items():
        assert run.ended() == "success"
        assert run.xcom("run") == run.xcom("run", key="job_id")
        lines[mode] = [line.replace(run.xcom("run"), "JOB") for line in run.provider_lines()]

    assert sorted(run.xcom("run") for run in runs.values()) == sorted(job_ids(emulator, workflow))
    # The deferred task's log has two lines more: that it waits in the triggerer, and how that wait ended.
    for text in ("Waiting in the triggerer now", "Completed. Run JOB"):
        [line] = [line for line in lines["deferred"] if line.startswith(text)]
        lines["deferred"].remove(line)
    assert lines["sync"][:-1] == lines["deferred"][:-1]
    for mode in ("sync", "deferred"):
        assert re.fullmatch(
            r"Completed in [\d.]+ s: .* rows? in, .* rows? out, .* credits?\. Run JOB.*", lines[mode][-1]
        )


@pytest.mark.parametrize("mode", ["sync", "deferred"])
def test_a_failed_run_names_the_failed_block_and_the_reason(start_run, emulator, workflow, mode):
    emulator.plan(fail_block=2, error_message="no credits at the source", workflow_id=workflow)

    run = start_run(f"run_{mode}", workflow_id=workflow, rows=ROWS)

    assert run.ended() == "failed"
    [job_id] = job_ids(emulator, workflow)
    [error] = [line for line in run.log().splitlines() if line.startswith("SixtyfourRunFailedError: ")]
    assert job_id in error
    assert "company_enrichment" in error
    assert "no credits at the source" in error


def test_mapped_runs_wait_side_by_side_and_land_apart(start_run, emulator, workflow, tmp_path):
    emulator.plan(seconds=10, workflow_id=workflow, times=5)

    run = start_run("mapped", workflow_id=workflow, to=f"file://{tmp_path}")
    run.wait_until("deferred")
    run.wait_until("deferred", "decorated")

    assert run.ended() == "success"
    given = {each["job_id"]: each["body"]["webhook_payload"] for each in emulator.runs()}
    submitted = {rows[0]["company_name"]: job_id for job_id, rows in given.items() if isinstance(rows, list)}
    for index in range(3):
        name = f"Example Company {index}"
        assert run.xcom("run", map_index=index) == submitted[name]
        [file] = run.xcom("land", map_index=index)
        assert Path(file["path"]).parent.name == str(index)
        assert [row["company_name"] for row in csv_rows(file)] == [name]
    for index, name in enumerate(["Example 0", "Sample 1"]):
        landed = run.xcom("decorated", map_index=index)
        assert given[landed["job_id"]] == {"company_name": name}
        assert Path(landed["manifest"]).parts[-3:] == ("decorated", f"{index:05d}", "_manifest.json")
    assert len(job_ids(emulator, workflow)) == 5


def test_a_batch_that_fails_stops_no_other_and_is_cleared_alone(start_run, emulator, tmp_path):
    source, to = tmp_path / "leads.csv", tmp_path / "to"
    source.write_text("company_name\n" + "".join(f"Example Company {number}\n" for number in range(7)))
    body = definition("read_csv", "company_enrichment")
    workflow = str(emulator.api("POST", "/workflows/create_workflow", body)["id"])
    emulator.plan(fail_block=2, error_message="no credits at the source", workflow_id=workflow)

    run = start_run("batches", workflow_id=workflow, source=f"file://{source}", to=f"file://{to}")

    assert run.ended() == "failed"
    assert sorted(run.states("leads.enrich")) == ["failed", "success", "success", "success"]
    assert run.states("leads.collect") == ["failed"]
    assert "1 of 4 batches have no result: leads-0000" in run.log(task_id="leads.collect")
    assert json.loads((to / "_manifest.json").read_text())["complete"] is False
    assert not (to / "enriched.csv").exists()

    run.clear_failed()

    assert run.ended() == "success"
    assert len(job_ids(emulator, workflow)) == 5
    whole = run.xcom("leads.collect")
    assert (whole["batches"], whole["rows_sent"], whole["rows"]) == (4, 7, 7)
    rows = csv_rows(whole["merged"])
    assert [row["company_name"] for row in rows] == [f"Example Company {number}" for number in range(7)]


@pytest.fixture
def enrich_rows(start_run, emulator, tmp_path):
    """Start a group that asks above 3 rows, for so many rows; of the same ones again in another run."""
    body = definition("read_csv", "company_enrichment")
    workflow = str(emulator.api("POST", "/workflows/create_workflow", body)["id"])

    def start(rows):
        source = tmp_path / f"{rows}.csv"
        source.write_text("company_name\n" + "".join(f"Example Company {number}\n" for number in range(rows)))
        run = start_run("approved", workflow_id=workflow, source=f"file://{source}", to=f"file://{tmp_path}/to-{rows}")
        return run, lambda: len(job_ids(emulator, workflow))

    return start


def test_little_is_enriched_unasked(enrich_rows):
    run, runs = enrich_rows(3)

    assert (run.ended(), runs()) == ("success", 2)
    assert run.xcom("leads.approve")["asked"] is False


def test_much_waits_for_an_approval_which_is_on_record_and_done_work_asks_nobody(enrich_rows, tmp_path):
    run, runs = enrich_rows(5)
    run.wait_for_question("leads.approve")
    assert runs() == 0

    time.sleep(READING)
    assert run.answer("Approve", "leads.approve") == 200

    assert (run.ended(), runs()) == ("success", 3)
    approval = json.loads((tmp_path / "to-5" / "_manifest.json").read_text())["approval"]
    assert (approval["approved"], approval["asked"], approval["rows"]) == (True, True, 5)
    assert approval["by"]
    assert approval["at"]
    assert run.xcom("leads.collect")["approval"] == approval == run.xcom("leads.approve")

    again, _ = enrich_rows(5)
    assert (again.ended(), runs()) == ("success", 3)
    assert again.xcom("leads.estimate")["batches_done"] == 3
    assert again.xcom("leads.approve")["asked"] is False


def test_a_rejection_starts_nothing_and_skips(enrich_rows):
    run, runs = enrich_rows(4)
    run.wait_for_question("leads.approve")

    time.sleep(READING)
    assert run.answer("Reject", "leads.approve") == 200

    assert (run.ended(), runs()) == ("success", 0)
    assert [run.states(f"leads.{task}") for task in ("enrich", "collect")] == [["skipped"], ["skipped"]]
    assert run.xcom("leads.approve")["approved"] is False


VIEWER_TOKEN = """
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
print("token", SimpleAuthManager().generate_jwt(SimpleAuthManagerUser(username="watching", role="viewer")))
"""


def test_a_viewer_may_not_answer(airflow, enrich_rows):
    made = subprocess.run(
        [sys.executable, "-c", VIEWER_TOKEN], env=airflow.environment, capture_output=True, text=True, check=True
    )
    [token] = [line.split()[1] for line in made.stdout.splitlines() if line.startswith("token ")]
    run, runs = enrich_rows(6)
    run.wait_for_question("leads.approve")
    time.sleep(READING)

    assert run.answer("Approve", "leads.approve", token=token) == 403
    assert runs() == 0

    assert run.answer("Reject", "leads.approve") == 200
    assert (run.ended(), runs()) == ("success", 0)


@pytest.fixture
def limit_rows(airflow, start_run, emulator, tmp_path):
    """Start a group with a pilot of 2 rows and a limit of credits, for 40 rows in batches of 2."""
    body = definition("read_csv", "company_enrichment")
    workflow = str(emulator.api("POST", "/workflows/create_workflow", body)["id"])
    source = tmp_path / "leads.csv"
    source.write_text("company_name\n" + "".join(f"Example Company {number}\n" for number in range(40)))

    def start(credits, **conf):
        airflow.rest.set_variable("sixtyfour_e2e_limit", str(credits))
        given = {"workflow_id": workflow, "source": f"file://{source}", "to": f"file://{tmp_path}/to", **conf}
        return start_run("limited", **given), lambda: len(job_ids(emulator, workflow))

    return start


def test_a_budget_that_is_reached_in_batch_7_of_20_and_raised_continues_with_13(airflow, limit_rows, emulator):
    run, runs = limit_rows(15)

    assert (run.ended(), runs()) == ("failed", 7)
    assert run.states("leads.collect") == ["failed"]
    assert run.states("leads.enrich") == ["success"] * 7
    assert run.xcom("leads.budget", key="budget")["batches_left_out"] == 13
    log = run.log(task_id="leads.collect")
    assert "13 of 20 batches have no result: leads-00007.csv" in log
    assert "max_credits has left out 13 of them: 14 of 15 credits_used are spent, 26 rows are not yet enriched" in log

    airflow.rest.set_variable("sixtyfour_e2e_limit", "40")
    run.clear_with_downstream("leads.estimate")

    assert (run.ended(), runs()) == ("success", 20)
    whole = run.xcom("leads.collect")
    assert (whole["batches"], whole["rows"], whole["metrics"]["credits_used"]) == (20, 40, 40)


def test_a_pilot_with_too_few_values_stops_the_rest(limit_rows):
    run, runs = limit_rows(40, min_fill_rate={"company_name": 1.0, "no_such_column": 0.1})

    assert (run.ended(), runs()) == ("failed", 1)
    assert run.states("leads.pilot") == ["failed"]
    assert run.states("leads.enrich") == ["upstream_failed"]
    assert "min_fill_rate names 'no_such_column'" in run.log(task_id="leads.pilot")


def test_a_bulk_job_is_estimated_deferred_landed_and_charged_or_cancelled_over_its_limit(
    airflow, start_run, emulator, tmp_path
):
    source = tmp_path / "leads.csv"
    source.write_text("name,company_name\nLead One,Example Bakery\nLead Two,Sample Logistics\n")
    before = len(emulator.runs())

    within = start_run("bulk", source=f"file://{source}", to=f"file://{tmp_path}/within", limit=10)
    beyond = start_run("bulk", source=f"file://{source}", to=f"file://{tmp_path}/beyond", limit=9)

    assert (within.ended(), beyond.ended()) == ("success", "failed")
    assert "Estimated cost: 10 cents" in within.log()
    assert "Trigger fired event" in within.log()
    enriched = within.xcom("run")
    assert (enriched["rows"], enriched["charge_cents"]) == (2, 10)
    assert [row["name"] for row in csv_rows(enriched["files"][0])] == ["Lead One", "Lead Two"]
    with sqlite3.connect(airflow.database) as connection:
        [(extra,)] = connection.execute("SELECT extra FROM asset_event WHERE source_run_id = ?", (within.run_id,))
    assert json.loads(extra)["metrics"] == {"estimated_cost_cents": 10, "charge_cents": 10}
    assert "The estimated cost of 10 cents exceeds max_cost_cents (9). The estimate is a floor" in beyond.log()
    assert not (tmp_path / "beyond").exists()
    assert sorted(run["status"] for run in emulator.runs()[before:]) == ["cancelled", "completed"]


def test_a_destination_that_cannot_be_rendered_is_found_before_the_run_is_paid(start_run, emulator, workflow):
    """A Dag run that is triggered without a logical date has no ``ds``."""
    run = start_run("dated", workflow_id=workflow, rows=ROWS, to="file:///tmp/never")

    assert run.ended() == "failed"
    assert job_ids(emulator, workflow) == []
    assert "'ds' is not defined in this Dag run, and the destination of task 'land' needs it" in run.log()


def test_an_outage_while_deferred_is_waited_out(start_run, emulator, workflow):
    emulator.plan(seconds=6, workflow_id=workflow)

    run = start_run("run_deferred", workflow_id=workflow, rows=ROWS)
    run.wait_until("deferred")
    emulator.fault("answer", path=LIVE_STATUS, status=502, body=GATEWAY_PAGE, times=2)
    emulator.fault("answer", path=LIVE_STATUS, status=429, headers={"Retry-After": "4"}, times=1)

    assert run.ended() == "success"
    assert job_ids(emulator, workflow) == [run.xcom("run")]
    asked = status_checks(emulator, run.xcom("run"))
    statuses = [request["status"] for request in asked]
    assert [status for status in statuses if status != 200] == [502, 502, 429]
    limited = statuses.index(429)
    assert asked[limited + 1]["at"] - asked[limited]["at"] >= 4.0
    assert "502" in run.log()


def test_secrets_are_nowhere_to_be_read(airflow, start_run, emulator, editor_json, tmp_path):
    workflow = str(uuid.uuid4())
    emulator.plan(seconds=6, workflow_id=workflow)

    run = start_run("pipeline", workflow_id=workflow, workflow=editor_json, rows=ROWS, to=f"file://{tmp_path}")
    run.wait_until("deferred")
    places = {"triggers": table_text(airflow.database, "trigger")}
    assert run.ended() == "success"
    places |= {f"table {name}": table_text(airflow.database, name) for name in table_names(airflow.database)}
    places |= {str(path): path.read_text() for path in airflow.task_logs.rglob("*.log*")}

    signatures = re.findall(r"X-Signature=(\w+)", " ".join(each["query"] for each in emulator.storage_requests()))
    assert len(signatures) > 0
    for secret in (emulator.api_key, *signatures):
        assert [place for place, text in places.items() if secret in text] == []
    # These were the right places to look at: all of them know the run.
    for place in ("triggers", "table xcom", "table rendered_task_instance_fields"):
        assert run.xcom("run") in places[place]


def table_names(database):
    with sqlite3.connect(database) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]


def table_text(database, table):
    with sqlite3.connect(database) as connection:
        return "\n".join(str(row) for row in connection.execute(f'SELECT * FROM "{table}"'))  # noqa: S608


@pytest.mark.parametrize("mode", ["sync", "deferred"])
def test_metrics_arrive_from_the_tasks_and_from_the_triggerer(airflow, start_run, emulator, workflow, statsd, mode):
    conn = "conn_id=sixtyfour_default"
    before = {name: len(statsd.values(name, conn)) for name in ("poller.waiting", "api.requests")}

    assert start_run(f"run_{mode}", workflow_id=workflow, rows=ROWS).ended() == "success"

    counted = ("runs_started", "runs_completed", "rows", "credits", "run_duration")
    sent = {name: statsd.values(name, f"workflow_id={workflow}") for name in counted}
    [duration] = sent.pop("run_duration")
    assert sent == {"runs_started": ["1"], "runs_completed": ["1"], "rows": ["2"], "credits": ["2"]}
    assert 1_000 < float(duration) < 60_000  # milliseconds
    since = {name: statsd.values(name, conn)[number:] for name, number in before.items()}
    requests = [each for each in emulator.requests() if each["path"] != "/workflows/create_workflow"]
    assert since == {
        "poller.waiting": ["1", "0"] if mode == "deferred" else [],
        "api.requests": ["1"] * len(requests),
    }
