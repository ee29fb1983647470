"""A maintenance Dag's task finds runs that nobody waits for, on every Airflow, and cancels none that somebody does."""

from collections import Counter
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow import __version__ as airflow_version
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.operators.housekeeping import SixtyfourOrphanedRunsOperator
from airflow_provider_sixtyfour.tasks.orphan_states import StartersByTaskSdk
from tests.unit.airflow_tables import _database, tables  # noqa: F401 - fixtures

IS_AIRFLOW_2 = airflow_version.startswith("2.")


class SdkTaskInstance:
    """What the task SDK gives a task of Airflow 3; filled as the tables of Airflow 2 are."""

    def __init__(self):
        self.states, self.xcoms, self.runs, self.asked = {}, {}, {}, Counter()

    def dag_run(self, dag_id, run_id, state="running"):
        self.runs[dag_id, run_id] = state

    def task(self, dag_id, run_id, state, index=-1, task_id="t", **xcoms):
        name = task_id if index < 0 else f"{task_id}_{index}"
        self.states.setdefault(dag_id, {}).setdefault(run_id, {})[name] = state
        for key, value in xcoms.items():
            self.xcoms.setdefault((dag_id, run_id, task_id, key), {})[index] = value

    def set_state(self, dag_id, run_id, state):
        its = self.states[dag_id][run_id]
        its.update(dict.fromkeys(its, state))

    def get_task_states(self, dag_id, task_ids=None, run_ids=None):
        self.asked["states"] += 1
        found = {}
        for run_id, states in self.states.get(dag_id, {}).items():
            if run_ids is None or run_id in run_ids:
                wanted = {
                    name: state
                    for name, state in states.items()
                    if task_ids is None or name in task_ids or name.rpartition("_")[0] in task_ids
                }
                found[run_id] = wanted
        return found

    def get_dagrun_state(self, dag_id, run_id):
        return self.runs[dag_id, run_id]

    def xcom_pull(self, *, dag_id, run_id, task_ids, key, map_indexes=None):
        self.asked["xcoms"] += 1
        is_one = isinstance(task_ids, str)
        its = self.xcoms.get((dag_id, run_id, task_ids if is_one else task_ids[0], key), {})
        if is_one:
            return its.get(map_indexes)
        return [its[index] for index in sorted(its)] or [None]  # as Airflow gives it


@pytest.fixture
def airflow(request):
    """What tasks have left in Airflow: in its database, or behind its API server."""
    return request.getfixturevalue("tables") if IS_AIRFLOW_2 else SdkTaskInstance()


@pytest.fixture
def running(emulator, workflow):
    """Start runs that take a minute."""

    def start():
        emulator.plan(seconds=60)
        return emulator.start_run(workflow)

    yield start
    for run in emulator.runs():
        emulator.set_status(run["job_id"], "cancelled")


@pytest.fixture
def execute(airflow):
    def run(**arguments):
        given = {"dag_ids": ["enrich"], "older_than": 0, **arguments}
        ti = SimpleNamespace() if IS_AIRFLOW_2 else airflow
        return SixtyfourOrphanedRunsOperator(task_id="find", **given).execute({"ti": ti})

    return run


def which(records):
    return sorted((record["run_id"], record["task_id"], record["map_index"], record["job_id"]) for record in records)


def test_only_runs_that_nobody_waits_for_are_found(airflow, running, execute):
    jobs = [running() for _ in range(7)]
    running()  # started elsewhere
    airflow.dag_run("enrich", "r1")
    airflow.task("enrich", "r1", "failed", 0, job_id=jobs[0])
    airflow.task("enrich", "r1", "deferred", 1, job_id=jobs[1])
    airflow.task("enrich", "r1", None, 2)
    airflow.task("enrich", "r1", "success", 3, job_id=jobs[2])
    airflow.task("enrich", "r1", "success", task_id="left", job_id=jobs[3], return_value=jobs[3])
    airflow.task("enrich", "r1", "failed", task_id="single_5", job_id=jobs[4])
    airflow.dag_run("enrich", "r2", "failed")
    airflow.task("enrich", "r2", None, task_id="never", job_id=jobs[5])
    airflow.dag_run("enrich", "r3", "failed")
    airflow.task("enrich", "r3", "failed", job_id=jobs[6])
    airflow.dag_run("enrich", "r4")
    airflow.task("enrich", "r4", "up_for_retry", job_id=jobs[6])

    found = execute()

    assert which(found) == [
        ("r1", "single_5", -1, jobs[4]),
        ("r1", "t", 0, jobs[0]),
        ("r1", "t", 3, jobs[2]),
        ("r2", "never", -1, jobs[5]),
    ]
    assert {record["cancelled"] for record in found} == {False}


def test_they_are_cancelled_where_that_is_wanted(airflow, running, execute, emulator):
    job_id, waited_for = running(), running()
    airflow.dag_run("enrich", "r1")
    airflow.task("enrich", "r1", "failed", 0, job_id=job_id)
    airflow.task("enrich", "r1", "running", 1, job_id=waited_for)

    assert [record["cancelled"] for record in execute(cancel=True)] == [True]
    statuses = {run["job_id"]: run["status"] for run in emulator.runs()}
    assert statuses == {job_id: "cancelled", waited_for: "running"}


def test_a_task_that_waits_again_just_before_keeps_its_run(airflow, running, execute, emulator, monkeypatch):
    airflow.dag_run("enrich", "r1")
    airflow.task("enrich", "r1", "failed", job_id=running())
    find = SixtyfourOrphanedRunsOperator._find

    def cleared_meanwhile(*arguments):
        found = find(*arguments)
        airflow.set_state("enrich", "r1", "queued")
        return found

    monkeypatch.setattr(SixtyfourOrphanedRunsOperator, "_find", cleared_meanwhile)

    assert [record["cancelled"] for record in execute(cancel=True)] == [False]
    assert emulator.cancels() == []


def test_one_that_can_not_be_cancelled_does_not_keep_the_others(airflow, running, execute, emulator, monkeypatch):
    monkeypatch.setattr("airflow_provider_sixtyfour.runs.cancel.CONFIRMATIONS", 1)
    airflow.dag_run("enrich", "r1")
    for number in range(2):
        airflow.task("enrich", "r1", "failed", number, job_id=running())
    emulator.fault("answer", path="/workflows/cancel", status=409, body={"detail": "Not now"})

    assert sorted(record["cancelled"] for record in execute(cancel=True)) == [False, True]
    assert sorted(emulator.statuses()) == ["cancelled", "running"]


def test_where_no_run_is_active_or_old_enough_airflow_is_asked_nothing(airflow, running, execute, monkeypatch):
    monkeypatch.setattr(SixtyfourOrphanedRunsOperator, "_find", None)
    running()
    assert execute(older_than=timedelta(hours=2)) == []
    assert execute(older_than=7200.0) == []


def test_other_dags_and_tasks_are_left_alone(airflow, running, execute):
    airflow.dag_run("another", "r1")
    airflow.task("another", "r1", "failed", job_id=running())
    airflow.dag_run("enrich", "r1")
    airflow.task("enrich", "r1", "failed", job_id=running())

    assert execute(task_ids=["another_task"]) == []
    assert [record["dag_id"] for record in execute(task_ids=["t"])] == ["enrich"]
    assert len(execute(dag_ids=["enrich", "another"])) == 2


@pytest.mark.parametrize(
    "wrong", [{"dag_ids": []}, {"dag_ids": None}, {"dag_ids": [""]}, {"task_ids": []}, {"older_than": "soon"}]
)
def test_a_parameter_that_can_not_be_right_fails_for_good(execute, emulator, wrong):
    with pytest.raises(AirflowFailException):
        execute(**wrong)
    assert emulator.requests() == []


class TestTheTaskSdk:
    """How much is asked of Airflow's API server."""

    def find(self, ti, *job_ids, most_requests=1000, logs=None):
        import logging

        log = logging.getLogger("airflow_provider_sixtyfour.test")
        return StartersByTaskSdk(ti, log, most_requests=most_requests).find(job_ids, ["enrich"], None)

    def test_one_request_reads_the_xcoms_of_a_mapped_task(self):
        ti = SdkTaskInstance()
        for index in range(500):
            ti.task("enrich", "r", "deferred", index, job_id=f"job-{index}")

        assert list(self.find(ti, "job-77")) == ["job-77"]
        assert ti.asked == {"states": 1, "xcoms": 1}

    def test_it_stops_when_all_runs_are_found(self):
        ti = SdkTaskInstance()
        for day in range(1, 29):
            ti.task("enrich", f"manual__2026-11-{day:02}T00:00:00+00:00", "failed", job_id=f"job-{day}")

        assert list(self.find(ti, "job-28")) == ["job-28"]
        assert ti.asked["xcoms"] == 1

    def test_it_looks_no_further_than_its_limit(self, logs):
        ti = SdkTaskInstance()
        for day in range(1, 29):
            ti.task("enrich", f"manual__2026-11-{day:02}T00:00:00+00:00", "failed", job_id=f"job-{day}")

        assert self.find(ti, "job-1", most_requests=10) == {}
        assert "Looked at 10 of 28 tasks that have ended" in logs

    def test_where_not_all_waiting_tasks_can_be_looked_at_it_fails(self):
        ti = SdkTaskInstance()
        for number in range(20):
            ti.task("enrich", f"r{number}", "deferred", job_id=f"job-{number}")

        with pytest.raises(ValueError, match="more than 10 requests"):
            self.find(ti, "elsewhere", most_requests=10)

    def test_instances_that_have_started_nothing_yet_count_too(self):
        ti = SdkTaskInstance()
        for index in range(50):
            ti.task("enrich", "r", "queued", index)

        with pytest.raises(ValueError, match="more than 10 requests"):
            self.find(ti, "elsewhere", most_requests=10)
        assert ti.asked["xcoms"] == 10
