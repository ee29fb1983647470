"""What a user does in Airflow's UI, through its REST API: mark, clear, look."""

from __future__ import annotations

from typing import Any

from demo.airflow_rest import AirflowRest, Json
from tests.cluster.waiting import eventually

EVENTS_LIMIT = 60.0  # seconds


class UserRest(AirflowRest):
    """A client that also acts on single task instances."""

    def answers(self) -> bool:
        """Whether the API server is up."""
        return self._http.get("/api/v2/version").is_success

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance ``failed`` or ``success``."""
        self._send("PATCH", self._path(dag_id, run_id, task_id, map_index), {"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> None:
        """Clear a task instance, whatever its state."""
        tasks = [task_id] if map_index < 0 else [[task_id, map_index]]
        body = {"dry_run": False, "only_failed": False, "dag_run_id": run_id, "task_ids": tasks}
        self._send("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Json:
        """Return a task instance with its state, its tries, its process and its trigger."""
        return self._get(self._path(dag_id, run_id, task_id, map_index))

    def triggerers(self) -> set[int]:
        """Return the job ids of the triggerers that have not reported their end."""
        jobs = self._get("/api/v2/jobs", job_type="TriggererJob", job_state="running", limit=100)
        return {int(job["id"]) for job in jobs["jobs"]}

    def dag_runs(self, dag_id: str) -> list[Json]:
        """Return the Dag's runs, each with its ``logical_date``, ``partition_key`` and ``state``."""
        return list(self._get(f"/api/v2/dags/{dag_id}/dagRuns", limit=100, order_by="id")["dag_runs"])

    def save_connection(self, conn_id: str, fields: Json) -> None:
        """Store a connection in Airflow's database: a new one, or other fields for one that is there."""
        body = {"connection_id": conn_id, **fields}
        is_new = self._http.get(f"/api/v2/connections/{conn_id}").status_code == 404
        self._send(*(("POST", "/api/v2/connections") if is_new else ("PATCH", f"/api/v2/connections/{conn_id}")), body)

    def asset_events(self, dag_id: str) -> list[Json]:
        """Return the events of assets that the Dag's tasks made, each with ``name``, ``partition_key``, ``extra``."""
        return list(self._get("/api/v2/assets/events", source_dag_id=dag_id, limit=100)["asset_events"])

    def events_of(self, uri: str) -> list[Json]:
        """Return the events of an asset, oldest first, each with its ``extra``."""
        found = self._get("/api/v2/assets", uri_pattern=uri, limit=100)["assets"]
        [asset_id] = [asset["id"] for asset in found if asset["uri"] == uri]
        events: list[Json] = []

        def read() -> bool:
            found = self._get("/api/v2/assets/events", asset_id=asset_id, order_by="timestamp", limit=100)
            events.extend(found["asset_events"])
            return True

        # Airflow 3.3 answers 500 while a Dag run that it has made for one of them has not started.
        eventually("the events of an asset can be read", read, EVENTS_LIMIT)
        return events

    def has_open_backfill(self, dag_id: str) -> bool:
        """Whether a backfill of the Dag isn't marked as completed; there can be no other one until it is."""
        return any(each["completed_at"] is None for each in self._get("/api/v2/backfills", dag_id=dag_id)["backfills"])

    @staticmethod
    def _path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return path if map_index < 0 else f"{path}/{map_index}"


def triggerer_of(task_instance: Json) -> Any:
    """Return the job id of the triggerer that a task instance waits in."""
    return (task_instance.get("trigger") or {}).get("triggerer_id")
