"""What a user does in Airflow's UI, through its REST API: mark, clear, look."""

from __future__ import annotations

from typing import Any

from demo.airflow_rest import AirflowRest, Json


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
        """Return the job ids of the triggerers that have not said that they have ended."""
        jobs = self._get("/api/v2/jobs", job_type="TriggererJob", job_state="running", limit=100)
        return {int(job["id"]) for job in jobs["jobs"]}

    @staticmethod
    def _path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}"
        return path if map_index < 0 else f"{path}/{map_index}"


def triggerer_of(task_instance: Json) -> Any:
    """Return the job id of the triggerer that a task instance waits in."""
    return (task_instance.get("trigger") or {}).get("triggerer_id")
