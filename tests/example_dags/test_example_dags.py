import csv
import json
import re
import time
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import airflow
import pytest
from packaging.version import Version

from tests.example_dags.conftest import EXAMPLES
from tests.unit.triggers.conftest import HAS_WATCHERS

SAMPLES = {  # that an emulator has from its start
    "rows of the call": "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64",
    "rows of a file": "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d65",
}
HAS_PARTITIONS = Version(airflow.__version__) >= Version("3.2")


@pytest.fixture
def destination(tmp_path):
    return tmp_path / "landed"


def landed(destination):
    """What was landed, but for the manifests, as paths below the folder of the Dag run."""
    [dag_run_folder] = destination.iterdir()
    return sorted(files_below(dag_run_folder))


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "_manifest.json"]


def csv_rows(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_enrichment_lands_the_rows_of_the_dag(run_example, destination):
    run = run_example("example_sixtyfour_enrichment", destination=f"file://{destination}")

    assert run.state == "success"
    [submitted] = run.runs
    assert submitted["workflow_id"] == SAMPLES["rows of the call"]
    [file] = landed(destination)
    rows = csv_rows(file)
    assert [row["company_name"] for row in rows] == ["Example Bakery", "Sample Logistics"]
    assert all(row["title"] for row in rows)


def test_taskflow_loads_what_the_extract_gave(run_example, destination):
    run = run_example("example_sixtyfour_taskflow", destination=f"file://{destination}")

    assert run.state == "success"
    [submitted] = run.runs
    assert submitted["body"]["webhook_payload"] == run.result("extract")
    [file] = landed(destination)
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [row["name"] for row in rows] == ["Lead One", "Lead Two"]
    assert run.result("load") == 2


def test_decorated_functions_make_the_rows_of_their_runs(run_example, destination):
    run = run_example("example_sixtyfour_decorator", destination=f"file://{destination}")

    assert run.state == "success"
    names = [[row["company_name"] for row in submitted["body"]["webhook_payload"]] for submitted in run.runs]
    assert sorted(names) == [["Example Bakery", "Sample Logistics"], ["Specimen Wines"]]
    assert [file.parent.name for file in landed(destination) if file.suffix == ".csv"] == ["00000", "00001"]
    assert run.labels("leads") == ["DE", "FR"]
    assert run.result("load") == 3


def test_mapped_batches_land_each_in_its_own_folder(run_example, destination):
    run = run_example("example_sixtyfour_mapped", destination=f"file://{destination}")

    assert run.state == "success"
    names = [[row["name"] for row in submitted["body"]["webhook_payload"]] for submitted in run.runs]
    assert sorted(names) == [["Lead 1", "Lead 2"], ["Lead 3", "Lead 4"], ["Lead 5"]]
    files = landed(destination)
    assert [file.parent.name for file in files] == ["0", "1", "2"]
    assert [[row["name"] for row in csv_rows(file)] for file in files] == sorted(names)
    assert run.result("summarise") == {"files": 3, "rows": 5}
    assert run.labels("run") == ["Lead 1 … (2 rows)", "Lead 3 … (2 rows)", "Lead 5 … (1 rows)"]
    assert sorted(run.labels("land")) == sorted(f"run {submitted['job_id']}" for submitted in run.runs)


def test_batches_of_a_file_are_paid_for_once(run_example, destination):
    run = run_example("example_sixtyfour_batches", destination=f"file://{destination}")
    again = run_example("example_sixtyfour_batches", destination=f"file://{destination}")

    assert (run.state, again.state) == ("success", "success")
    assert (len(run.runs), len(again.runs)) == (2, 0)
    assert {path.name for path in destination.iterdir()} == {
        "_manifest.json",
        "enriched.csv",
        *(f"2026-01-01-0000{number}" for number in range(2)),
        "sent",
    }
    rows = csv_rows(destination / "enriched.csv")
    assert [row["name"] for row in rows] == ["Lead One", "Lead Two", "Lead Three"]
    assert all(row["title"] for row in rows)
    assert run.result("load") == again.result("load") == 3
    manifest = json.loads((destination / "_manifest.json").read_text())
    assert sorted(each["job_id"] for each in manifest["results"]) == sorted(each["job_id"] for each in run.runs)


def test_costs_are_kept_within_their_limit_and_the_pilot_is_paid_for_once(run_example, destination):
    run = run_example("example_sixtyfour_costs", destination=f"file://{destination}", max_credits=10)
    assert run.state == "success"
    assert len(run.runs) == 3
    price = run.result("leads.pilot")["metrics"]["credits_used"]

    little = run_example("example_sixtyfour_costs", destination=f"file://{destination}/other", max_credits=2.5 * price)

    assert little.state == "failed"
    assert len(little.runs) == 2
    assert [batch["index"] for batch in little.result("leads.budget")] == [0, 1]


def test_an_input_of_more_rows_than_allowed_is_not_sent(run_example, destination):
    run = run_example("example_sixtyfour_batches", destination=f"file://{destination}", max_rows=2)

    assert (run.state, run.runs) == ("failed", [])


def test_an_input_without_rows_is_no_error(run_example, destination, tmp_path):
    (tmp_path / "leads.csv").write_text("name\n")

    run = run_example(
        "example_sixtyfour_batches", source=f"file://{tmp_path}/leads.csv", destination=f"file://{destination}"
    )

    assert (run.state, run.runs, run.result("load")) == ("success", [], 0)
    assert (destination / "enriched.csv").read_text() == "name\n"


def test_files_lands_what_every_block_made_of_an_uploaded_file(run_example, destination):
    run = run_example("example_sixtyfour_files", destination=f"file://{destination}")

    assert run.state == "success"
    [submitted] = run.runs
    assert submitted["body"]["specs_override"]["resource_handle_id"] == run.result("upload")
    files = landed(destination)
    assert len(files) == 2  # of the two blocks after the source
    assert [row["name"] for row in csv_rows(files[0])] == ["Lead One", "Lead Two", "Lead Three"]


def test_deploy_saves_the_file_next_to_the_dag_once(run_example, emulator, destination):
    first = run_example("example_sixtyfour_deploy", destination=f"file://{destination}")
    again = run_example("example_sixtyfour_deploy", destination=f"file://{destination}")

    assert (first.state, again.state) == ("success", "success")
    saves = [call for call in emulator.requests() if call["path"] == "/workflows/update_workflow"]
    assert len(saves) == 1
    [each] = first.runs
    stored = emulator.api("GET", f"/workflows/{each['workflow_id']}")
    assert [block["block_name"] for block in stored["workflow_definition"]["blocks"]] == [
        "webhook",
        "lead_enrichment",
        "find_email",
    ]
    assert [len(run.runs) for run in (first, again)] == [1, 1]
    files = files_below(destination)
    assert len(files) == 2  # one in the folder of each Dag run
    for file in files:
        rows = csv_rows(file)
        assert [row["name"] for row in rows] == ["Lead One", "Lead Two", "Lead Three"]
        assert all(row["title"] and row["email"] for row in rows)


def test_a_bulk_job_needs_no_workflow_and_returns_what_it_cost(run_example, destination):
    run = run_example("example_sixtyfour_bulk", destination=f"file://{destination}")

    assert run.state == "success"
    assert len(run.runs) == 1
    [dag_run_folder] = destination.iterdir()
    [file] = (dag_run_folder / "enriched").glob("*.csv")
    rows = csv_rows(file)
    assert [row["name"] for row in rows] == ["Lead One", "Lead Two"]
    assert all(row["title"] and row["employees"] for row in rows)
    enriched = run.result("enrich")
    assert enriched["estimated_cost_cents"] == enriched["charge_cents"] == run.result("load") > 0


def test_a_bulk_job_beyond_its_limit_is_cancelled(run_example, destination):
    run = run_example("example_sixtyfour_bulk", destination=f"file://{destination}", max_cost_cents=1)

    assert run.state == "failed"
    assert [each["status"] for each in run.runs] == ["cancelled"]
    # The record of the job is kept, where this Airflow has no store for it: a clear must know that it was cancelled.
    assert {path.name for path in files_below(destination)} - {"_submission.json"} == {"leads.csv"}


def test_a_backfill_of_days_is_paid_for_once(run_example, destination):
    dates = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]
    run_day = partial(run_example, "example_sixtyfour_backfill", destination=f"file://{destination}")

    first = [run_day(date=date) for date in dates]
    again = [run_day(date=date) for date in dates]

    assert {run.state for run in first + again} == {"success"}
    assert [len(run.runs) for run in first + again] == [1, 1, 0, 0]
    assert sorted(folder.name for folder in destination.iterdir()) == ["2026-01-01", "2026-01-02"]
    names = {
        day: {row["name"] for file in day.glob("*.csv") for row in csv_rows(file)} for day in destination.iterdir()
    }
    assert names == {
        destination / "2026-01-01": {"Lead One", "Lead Two", "Lead Three"},
        destination / "2026-01-02": {"Lead Four", "Lead Five"},
    }


def test_examples_name_workflows_that_an_emulator_has_from_its_start(emulator):
    samples = {each["name"]: each["id"] for each in emulator.api("GET", "/workflows") if each["id"] in SAMPLES.values()}
    assert samples == {f"Sample: {name}": workflow_id for name, workflow_id in SAMPLES.items()}

    for path in EXAMPLES.glob("*.py"):
        named = set(re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", path.read_text()))
        # What deploys a workflow creates it under an id of its own; a bulk job needs none.
        assert named <= set(SAMPLES.values()) or path.stem == "example_sixtyfour_deploy", path


def test_partitions_are_dags_from_airflow_3_2_on(example_bag):
    assert example_bag.import_errors == {}
    found = {dag_id for dag_id in example_bag.dags if "partitions" in dag_id}
    assert found == ({"example_sixtyfour_partitions", "example_sixtyfour_partitions_load"} if HAS_PARTITIONS else set())


@pytest.mark.skipif(not HAS_PARTITIONS, reason="asset partitions came with Airflow 3.2")
def test_a_partition_is_enriched_announced_and_loaded(run_example, destination):
    run_day = partial(run_example, partition_key="2026-01-02", destination=f"file://{destination}")

    run, again = run_day("example_sixtyfour_partitions"), run_day("example_sixtyfour_partitions")
    load = run_day("example_sixtyfour_partitions_load")

    assert (run.state, again.state, load.state) == ("success",) * 3
    assert (len(run.runs), len(again.runs)) == (1, 0)
    [folder] = destination.iterdir()
    assert folder.name == "2026-01-02"
    assert load.result("load") == run.result("enrich")["rows"] == 2
    assert asset_events("example_sixtyfour_partitions") == [("2026-01-02", 2, run.runs[0]["job_id"])] * 2


def test_a_watcher_s_dag_is_one_from_airflow_3_on(example_bag):
    assert example_bag.import_errors == {}
    assert ("example_sixtyfour_watcher" in example_bag.dags) == HAS_WATCHERS


@pytest.mark.skipif(not HAS_WATCHERS, reason="asset watchers came with Airflow 3.0")
def test_what_the_events_of_a_watcher_and_of_a_webhook_name_is_landed_once_each(
    run_example, example_bag, emulator, destination
):
    path = f"/workflows/run?workflow_id={SAMPLES['rows of the call']}"
    jobs = [
        emulator.api("POST", path, {"webhook_payload": [{"company_name": f"Company {number}"}]})["job_id"]
        for number in range(2)
    ]
    extras = [
        {
            "from_trigger": True,
            "payload": {"job_id": jobs[0], "workflow_id": "w", "status": "completed", "metrics": {}},
        },
        {
            "from_webhook": True,
            "event_id": "e",
            "payload": {"job_id": jobs[1], "workflow_id": "w", "status": "completed"},
        },
        {
            "from_webhook": True,
            "event_id": "f",
            "payload": {"job_id": jobs[0], "workflow_id": "w", "status": "completed"},
        },
        {"made by": "hand"},
    ]
    events = {"the asset": [SimpleNamespace(extra=extra) for extra in extras]}
    read = example_bag.dags["example_sixtyfour_watcher"].get_task("job_ids").python_callable
    assert read(params={"job_ids": []}, triggering_asset_events=events) == sorted(jobs)

    until_completed(emulator, jobs)
    run = run_example("example_sixtyfour_watcher", destination=f"file://{destination}", job_ids=jobs)
    asked = len(emulator.requests())
    again = run_example("example_sixtyfour_watcher", destination=f"file://{destination}", job_ids=jobs)

    assert (run.state, again.state) == ("success", "success")
    assert run.states("land") == ["success"] * 2
    assert sorted(folder.name for folder in destination.iterdir()) == sorted(jobs)
    assert all(files_below(destination / job_id) for job_id in jobs)
    assert len(emulator.requests()) == asked


def until_completed(emulator, jobs):
    deadline = time.monotonic() + 30
    while {run["status"] for run in emulator.runs() if run["job_id"] in jobs} != {"completed"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def asset_events(dag_id):
    """The partition that each event of a Dag's outlets is of, and the rows and the run in it."""
    from airflow.models.asset import AssetEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        events = session.scalars(select(AssetEvent).where(AssetEvent.source_dag_id == dag_id))
        return [(event.partition_key, event.extra["rows"], event.extra["job_id"]) for event in events]


def test_each_param_is_described_in_the_trigger_form(example_bag):
    described = {
        f"{dag_id}.{name}": dag.params.get_param(name).schema.get("description", dag.params.get_param(name).description)
        for dag_id, dag in example_bag.dags.items()
        for name in dag.params
    }
    assert [name for name, text in described.items() if not text] == []
