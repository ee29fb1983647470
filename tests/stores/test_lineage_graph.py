"""OpenLineage's events of a real Airflow: upload, run and landing are one graph, also where the run failed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.airflow_rest import FINISHED
from demo.local_airflow import LocalAirflow, start_airflow
from demo.processes import Processes
from tests.e2e.conftest import definition
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 120.0  # seconds for a Dag run
Event = dict[str, Any]


@pytest.fixture(scope="module")
def api() -> Iterator[EmulatorProcess]:
    with EmulatorProcess("--run-seconds", "1", "--queue-seconds", "0") as process:
        yield process


@pytest.fixture(scope="module")
def events_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("openlineage") / "events.ndjson"


@pytest.fixture(scope="module")
def airflow(api: EmulatorProcess, events_file: Path) -> Iterator[LocalAirflow]:
    home = ROOT / ".airflow" / "lineage"
    transport = {"type": "file", "log_file_path": str(events_file), "append": True}
    env = {
        "AIRFLOW_CONN_SIXTYFOUR_DEFAULT": api.connection_json(),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
    }
    with Processes(log_dir=home / "processes") as processes:
        running = start_airflow(processes, home / "airflow", Path(__file__).parent / "dags", env)
        running.wait_for("Dag read", lambda: running.rest.has_dag("lineage"), limit=60)
        running.rest.unpause("lineage")
        yield running


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "ds=2026-11-01" / "leads 100%.csv"
    path.parent.mkdir()
    path.write_text("company_name,country\nExample One,DE\nExample Two,FR\n")
    return path


@pytest.fixture(scope="module")
def events_of(airflow: LocalAirflow, events_file: Path, source: Path) -> Callable[..., dict[str, Event]]:
    """Run the Dag; return the last event of each of its tasks."""

    def run(workflow_id: str, to: str) -> dict[str, Event]:
        given = {"workflow_id": workflow_id, "source": f"file://{source}", "to": f"file://{source.parent}/{to}"}
        run_id = airflow.rest.trigger("lineage", given)
        airflow.wait_for("ended", lambda: airflow.rest.run_state("lineage", run_id) in FINISHED, LIMIT)
        return {
            event["job"]["name"].rpartition(".")[2]: event
            for event in map(json.loads, events_file.read_text().splitlines())
            if event["eventType"] in ("COMPLETE", "FAIL") and run_id in json.dumps(event["run"])
        }

    return run


@pytest.fixture(scope="module")
def workflow(api: EmulatorProcess) -> str:
    return str(api.api("POST", "/workflows/create_workflow", definition("read_csv", "company_enrichment"))["id"])


@pytest.fixture(scope="module")
def completed(events_of: Callable[..., dict[str, Event]], workflow: str) -> dict[str, Event]:
    """The events of tasks whose runs complete."""
    return events_of(workflow, "completed")


def names(event: Event, which: str) -> list[tuple[str, str]]:
    return [(data["namespace"], data["name"]) for data in event[which]]


def test_upload_run_and_landing_share_their_datasets(
    completed: dict[str, Event], api: EmulatorProcess, workflow: str, source: Path
) -> None:
    upload, run, land, enrich = (completed[task] for task in ("upload", "run", "land", "enrich"))
    assert {event["eventType"] for event in (upload, run, land, enrich)} == {"COMPLETE"}
    file = [("file", str(source))]  # as it is on disk
    assert names(upload, "inputs") == names(enrich, "inputs")[:1] == file
    assert names(upload, "outputs") == names(run, "inputs")
    assert names(run, "outputs") == names(land, "inputs")
    [(namespace, name)] = names(land, "outputs")
    assert namespace == "file"
    assert Path(name).parent == source.parent / "completed" / "landed"
    facets = run["run"]["facets"]
    job_id = facets["externalQuery"]["externalQueryId"]
    assert names(run, "outputs") == [(api.url, f"workflows/runs/{job_id}")]
    assert facets["externalQuery"]["source"] == api.url
    of_run = {key: value for key, value in facets["sixtyfour_run"].items() if not key.startswith("_")}
    assert of_run == {
        "jobId": job_id,
        "workflowId": workflow,
        "status": "completed",
        "rows": 2,
        "credits": 2,
        "blocks": ["read_csv", "company_enrichment"],
    }


def test_a_column_that_keeps_its_name_is_followed(completed: dict[str, Event], source: Path) -> None:
    def origins(task: str) -> dict[str, list[str]]:
        [output] = completed[task]["outputs"]
        fields = output["facets"]["columnLineage"]["fields"]
        return {column: sorted(origin["name"] for origin in of["inputFields"]) for column, of in fields.items()}

    assert set(origins("upload")) == {"company_name", "country"}
    of_run = completed["run"]["outputs"][0]["name"]
    assert origins("land")["country"] == [of_run]
    assert len(origins("land")) > 2  # what the workflow has found, too
    enriched = origins("enrich")
    assert str(source) in enriched["country"]
    assert len(enriched["country"]) == 2
    assert [len(found) for column, found in enriched.items() if column not in ("company_name", "country")] == [
        1 for _ in range(len(enriched) - 2)
    ]


def test_a_failed_run_is_reported_with_what_it_has_cost(
    events_of: Callable[..., dict[str, Event]], api: EmulatorProcess, workflow: str, source: Path
) -> None:
    api.plan(seconds=1, fail_block=2, error_message="no credits at the source", workflow_id=workflow, times=2)

    events = events_of(workflow, "failed")

    for task in ("run", "enrich"):
        event = events[task]
        assert event["eventType"] == "FAIL"
        facets = event["run"]["facets"]
        assert facets["sixtyfour_run"]["status"] == "failed"
        assert facets["sixtyfour_run"]["failedBlock"] == "'company_enrichment' (2)"
        assert names(event, "outputs") == [(api.url, f"workflows/runs/{facets['externalQuery']['externalQueryId']}")]
    assert names(events["run"], "inputs") == names(events["upload"], "outputs")
    assert names(events["enrich"], "inputs") == [("file", str(source))]
