"""Runs that nobody waits for any more, found by Airflow's own tables, and cancelled only then."""

import pytest
from airflow import __version__ as airflow_version

from airflow_provider_sixtyfour.cli import housekeeping
from airflow_provider_sixtyfour.tasks import orphan_records


@pytest.fixture
def running(emulator, workflow):
    """Start runs that take a minute."""

    def start():
        emulator.plan(seconds=60)
        return emulator.start_run(workflow)

    yield start
    for run in emulator.runs():
        emulator.set_status(run["job_id"], "cancelled")


def found(cli, *arguments):
    done = cli("orphans", "--older-than", 0, "-o", "json", *arguments)
    assert done.code == 0, done.err
    return done.json


@pytest.mark.parametrize("state", ["failed", "success", "skipped"])
def test_a_run_whose_task_has_ended_is_listed_and_left(cli, emulator, tables, running, state):
    job_id = running()
    tables.dag_run("enrich", "r1")
    tables.task("enrich", "r1", state, index=3, job_id=job_id)

    [orphan] = found(cli)

    assert orphan["job_id"] == job_id
    assert (orphan["dag_id"], orphan["run_id"], orphan["task_id"], orphan["map_index"]) == ("enrich", "r1", "t", 3)
    assert orphan["state"] == state
    assert emulator.cancels() == []


def test_runs_that_somebody_waits_for_or_has_left_or_started_elsewhere_are_none(
    cli,
    emulator,
    tables,
    running,
):
    for number, (state, run_state) in enumerate(
        [("deferred", "running"), ("up_for_retry", "running"), (None, "queued"), ("running", "failed")]
    ):
        tables.dag_run("enrich", f"r{number}", run_state)
        tables.task("enrich", f"r{number}", state, job_id=running())
    left = running()
    tables.dag_run("enrich", "left")
    tables.task("enrich", "left", "success", job_id=left, return_value=left)
    adopted = running()
    tables.dag_run("enrich", "first", "failed")
    tables.task("enrich", "first", "failed", job_id=adopted)
    tables.dag_run("enrich", "second")
    tables.task("enrich", "second", "deferred", job_id=adopted)
    running()  # named by no XCom
    tables.dag_run("other", "text")
    tables.task("other", "text", "failed", job_id={"not": "a text"})

    assert found(cli, "--cancel") == []
    assert emulator.cancels() == []


def test_a_task_of_a_dag_run_that_is_over_and_never_ran_does_not_wait(cli, tables, running):
    job_id = running()
    tables.dag_run("enrich", "r", "failed")
    tables.task("enrich", "r", None, job_id=job_id)
    assert [orphan["job_id"] for orphan in found(cli)] == [job_id]


def test_they_are_cancelled_where_that_is_wanted(cli, emulator, tables, running):
    job_id, waited_for = running(), running()
    tables.dag_run("enrich", "r1")
    tables.task("enrich", "r1", "failed", job_id=job_id)
    tables.dag_run("enrich", "r2")
    tables.task("enrich", "r2", "deferred", job_id=waited_for)

    [orphan] = found(cli, "--cancel")

    assert (orphan["job_id"], orphan["cancelled"], orphan["status"]) == (job_id, True, "cancelled")
    statuses = {run["job_id"]: run["status"] for run in emulator.runs()}
    assert statuses == {job_id: "cancelled", waited_for: "running"}


def test_a_task_that_waits_again_just_before_keeps_its_run(cli, emulator, tables, running, monkeypatch):
    tables.dag_run("enrich", "r1")
    tables.task("enrich", "r1", "failed", job_id=running())
    orphans = housekeeping.finding.orphans

    def cleared_meanwhile(*arguments):
        yield from orphans(*arguments)
        tables.set_state("enrich", "r1", "scheduled")

    monkeypatch.setattr(housekeeping.finding, "orphans", cleared_meanwhile)
    [orphan] = found(cli, "--cancel")

    assert orphan["cancelled"] is False
    assert emulator.cancels() == []


def test_a_run_that_has_completed_meanwhile_is_no_error(cli, emulator, tables, running, monkeypatch):
    job_id = running()
    tables.dag_run("enrich", "r1")
    tables.task("enrich", "r1", "failed", job_id=job_id)
    is_still = orphan_records.is_orphan_still

    def completed_meanwhile(*arguments):
        emulator.set_status(job_id, "completed")
        return is_still(*arguments)

    monkeypatch.setattr(orphan_records, "is_orphan_still", completed_meanwhile)
    [orphan] = found(cli, "--cancel")

    assert (orphan["cancelled"], orphan["status"]) == (False, "completed")


def test_one_that_can_not_be_cancelled_is_reported_and_the_others_are_cancelled(
    cli, emulator, tables, running, monkeypatch
):
    monkeypatch.setattr("airflow_provider_sixtyfour.runs.cancel.CONFIRMATIONS", 1)
    tables.dag_run("enrich", "r1")
    for number in range(2):
        tables.task("enrich", "r1", "failed", index=number, job_id=running())
    emulator.fault("answer", path="/workflows/cancel", status=409, body={"detail": "Not now"})

    done = cli("orphans", "--older-than", 0, "-o", "json", "--cancel")

    assert (done.code, sorted(each["cancelled"] for each in done.json)) == (3, [False, True])
    assert "Sixtyfour answered 409: Not now." in done.err
    assert sorted(emulator.statuses()) == ["cancelled", "running"]


def test_a_young_run_and_one_of_another_dag_are_not_listed(cli, tables, running):
    tables.dag_run("enrich", "r1")
    tables.task("enrich", "r1", "failed", job_id=running())

    assert cli("orphans", "-o", "json").json == []
    assert found(cli, "--dag-id", "another") == []
    assert len(found(cli, "--dag-id", "another", "--dag-id", "enrich")) == 1


def test_the_ids_are_read_through_a_custom_xcom_backend(cli, tables, running, monkeypatch):
    class Backend:
        @staticmethod
        def deserialize_value(result):
            stored = result.value.decode() if isinstance(result.value, bytes) else result.value
            return stored.strip('"').removeprefix("elsewhere:")

    job_id = running()
    tables.dag_run("enrich", "r1")
    tables.task("enrich", "r1", "failed", job_id=f"elsewhere:{job_id}")
    assert found(cli) == []

    where = "airflow.models.xcom.XCom" if airflow_version.startswith("2.") else "airflow.sdk.execution_time.xcom.XCom"
    monkeypatch.setattr(where, Backend)
    assert [orphan["job_id"] for orphan in found(cli)] == [job_id]


def test_one_query_reads_all(cli, tables, running):
    from airflow import settings
    from sqlalchemy import event

    for number in range(5):
        tables.dag_run("enrich", f"r{number}")
        tables.task("enrich", f"r{number}", "failed", job_id=running())
    queries = []

    def keep(*arguments):
        queries.append(arguments[2])

    event.listen(settings.engine, "before_cursor_execute", keep)
    try:
        assert len(found(cli)) == 5
    finally:
        event.remove(settings.engine, "before_cursor_execute", keep)
    assert len([query for query in queries if "xcom" in query]) == 1


def test_without_a_database_it_fails_with_one_line(process, emulator):
    env = {"SIXTYFOUR_API_KEY": emulator.api_key, "SIXTYFOUR_API_URL": emulator.url}
    done = process("orphans", "-o", "json", **env)

    assert (done.code, done.out) == (4, "")
    assert "Traceback" not in done.err
    assert done.err.splitlines()[-1].startswith("Airflow's metadata database can't be read (OperationalError)")
