"""An asset watcher in triggerers that are lost: each run that ends makes an event, and Dag runs for the events."""

from __future__ import annotations

from collections import Counter

from tests.cluster.case import log_tail
from tests.cluster.cluster import FLEET, STALE_AFTER, Cluster
from tests.cluster.dag_ids import TASK_ID, WATCHED, WATCHED_ASSET, WATCHED_CONNECTION, WATCHED_WORKFLOW
from tests.cluster.waiting import eventually

EVENT_LIMIT = 60.0  # seconds from the end of a run to its event; a poll takes place every 5 s
MOVED_LIMIT = STALE_AFTER + 120.0  # seconds until another triggerer has taken the watcher over, and has polled
DAG_RUN_LIMIT = 120.0  # seconds


class Watched:
    """The runs of the watched workflow, and what Airflow has made of them."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._emulator = cluster.emulators[WATCHED_CONNECTION]

    def start(self, count: int) -> list[str]:
        """Start runs as somebody else does; return their ids."""
        path, body = f"/workflows/run?workflow_id={WATCHED_WORKFLOW}", {"webhook_payload": [{"company_name": "A"}]}
        return [str(self._emulator.api("POST", path, body)["job_id"]) for _ in range(count)]

    def wait_until_completed(self, jobs: list[str]) -> None:
        """Wait until these runs have completed at Sixtyfour."""

        def statuses() -> set[str]:
            return {run["status"] for run in self._emulator.runs() if run["job_id"] in jobs}

        eventually("the runs have completed", lambda: statuses() == {"completed"}, EVENT_LIMIT)

    def polls(self) -> int:
        """Return how often the list of runs was read."""
        return len([each for each in self._emulator.requests() if (each["method"], each["path"]) == LIST])

    def wait_for_polls(self, count: int = 2, limit: float = MOVED_LIMIT) -> None:
        """Wait until the watcher has polled again, and by that has stored what it had announced before."""
        before = self.polls()
        eventually(f"{count} more polls", lambda: self.polls() >= before + count, limit)

    def events(self) -> Counter[str]:
        """Return how often each run was announced."""
        payloads = [event["extra"]["payload"] for event in self._cluster.rest.events_of(WATCHED_ASSET)]
        assert {(each["workflow_id"], each["status"]) for each in payloads} <= {(WATCHED_WORKFLOW, "completed")}
        return Counter(str(each["job_id"]) for each in payloads)

    def wait_for_events(self, jobs: list[str], limit: float = EVENT_LIMIT) -> None:
        """Wait until each of these runs was announced."""
        eventually(
            "all runs are announced", lambda: set(jobs) <= set(self.events()), limit, explain=lambda: str(self.events())
        )

    def dag_runs(self) -> dict[str, list[str]]:
        """Return the runs of Sixtyfour that each Dag run has received, by its id; of those that have succeeded."""
        rest = self._cluster.rest
        ended = [run["dag_run_id"] for run in rest.dag_runs(WATCHED) if run["state"] == "success"]
        return {run_id: rest.xcom(WATCHED, run_id, TASK_ID) for run_id in ended}

    def wait_for_dag_runs(self, jobs: list[str]) -> None:
        """Wait until Dag runs have received each of these runs."""

        def received() -> set[str]:
            return {job_id for of_run in self.dag_runs().values() for job_id in of_run}

        eventually("Dag runs have received all", lambda: set(jobs) <= received(), DAG_RUN_LIMIT, explain=self.explain)

    def explain(self) -> str:
        """Return the events, the Dag runs, and what their tasks have logged last."""
        lines = [f"Events {self.events()}, Dag runs {self.dag_runs()}"]
        lines += [f"  {run['dag_run_id']}: {run['state']}" for run in self._cluster.rest.dag_runs(WATCHED)]
        for path in sorted((self._cluster.task_logs / f"dag_id={WATCHED}").rglob("*.log")):
            lines += [f"  {path.name}:", *(f"    {line}" for line in log_tail(path))]
        return "\n".join(lines)


LIST = ("GET", "/workflows/runs")


def test_each_run_is_one_event_also_when_all_triggerers_are_killed_meanwhile(cluster: Cluster) -> None:
    watched = Watched(cluster)
    watched.wait_for_polls()
    earlier = watched.events()
    jobs = watched.start(3)
    watched.wait_for_events(jobs)
    watched.wait_for_dag_runs(jobs)
    assert len([run for run in watched.dag_runs().values() if set(run) & set(jobs)]) <= 3
    watched.wait_for_polls()
    for name in list(cluster.triggerers.names):
        cluster.triggerers.kill(name)
    meanwhile = watched.start(2)
    watched.wait_until_completed(meanwhile)
    for _ in range(FLEET):
        cluster.start_triggerer()
    watched.wait_for_events(meanwhile, MOVED_LIMIT)
    watched.wait_for_dag_runs(meanwhile)
    watched.wait_for_polls(4)
    assert watched.events() - earlier == Counter(jobs + meanwhile)


def test_a_watcher_that_is_killed_as_it_announces_repeats_and_loses_nothing(cluster: Cluster) -> None:
    watched = Watched(cluster)
    watched.wait_for_polls()
    for _ in range(2):
        jobs = watched.start(2)
        watched.wait_for_events(jobs[:1])
        for name in list(cluster.triggerers.names):
            cluster.triggerers.kill(name)
        jobs += watched.start(1)
        watched.wait_until_completed(jobs)
        for _ in range(FLEET):
            cluster.start_triggerer()
        watched.wait_for_events(jobs, MOVED_LIMIT)
        watched.wait_for_polls()
        assert max(watched.events()[job_id] for job_id in jobs) <= 2
    watched.wait_for_dag_runs(list(watched.events()))
