"""The few calls of Airflow's REST API (v2) that the demo and the end-to-end tests make."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import httpx

Json = dict[str, Any]
FINISHED = frozenset({"success", "failed"})  # terminal states of a Dag run
_PAGE = 100  # of a list, which Airflow gives at most


class _AnyonesToken(httpx.Auth):
    """Asks for a token before the first request."""

    requires_response_body = True

    def __init__(self) -> None:
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send ``request`` with the token."""
        if not self._token:
            answer = yield httpx.Request("GET", request.url.join("/auth/token"))
            self._token = answer.raise_for_status().json()["access_token"]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class _Token(httpx.Auth):
    """Sends a token."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send ``request`` with the token."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


class AirflowRest:
    """A client of an Airflow that takes everyone for an admin."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30.0, auth=_AnyonesToken())

    def is_healthy(self) -> bool:
        """Whether database, scheduler, triggerer and Dag processor are healthy, and tasks find the execution API."""
        parts = self._get("/api/v2/monitor/health")
        statuses = [parts[name]["status"] for name in ("metadatabase", "scheduler", "triggerer", "dag_processor")]
        # The execution API is set up on its first request, which takes seconds and should not be a task's.
        return statuses == ["healthy"] * 4 and self._http.get("/execution/health", auth=None).is_success

    def has_dag(self, dag_id: str) -> bool:
        """Whether the Dag processor has read the Dag; raises with the reason if some file can't be imported."""
        errors = self._get("/api/v2/importErrors")["import_errors"]
        if errors:
            raise ImportError("\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in errors))
        return self._http.get(f"/api/v2/dags/{dag_id}").is_success

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler run the Dag."""
        self._send("PATCH", f"/api/v2/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Json | None = None) -> str:
        """Start a run of the Dag and return its id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def clear_failed(self, dag_id: str, run_id: str) -> None:
        """Clear the tasks of a run that have failed."""
        body = {"dry_run": False, "only_failed": True, "dag_run_id": run_id}
        self._send("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def clear_with_downstream(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task of a run, and all that come after it."""
        body = {
            "dry_run": False,
            "only_failed": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "include_downstream": True,
        }
        self._send("POST", f"/api/v2/dags/{dag_id}/clearTaskInstances", body)

    def set_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance as ``failed``, ``success`` or ``skipped``, as a user does."""
        index = "" if map_index < 0 else f"/{map_index}"
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}{index}"
        self._send("PATCH", path, {"new_state": state})

    def set_variable(self, key: str, value: str) -> None:
        """Set a variable."""
        self._http.delete(f"/api/v2/variables/{key}")
        self._send("POST", "/api/v2/variables", {"key": key, "value": value})

    def dag_run(self, dag_id: str, run_id: str) -> Json:
        """Return a Dag run with its ``state``, ``start_date`` and ``end_date``."""
        return self._get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the Dag run's state."""
        return str(self.dag_run(dag_id, run_id)["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[Json]:
        """Return the run's task instances, each with its ``task_id``, ``map_index``, ``state`` and ``try_number``."""
        path, found = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", list[Json]()
        while page := self._get(path, limit=_PAGE, offset=len(found))["task_instances"]:
            found += page
            if len(page) < _PAGE:
                break
        return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return a task's XCom as JSON."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self._get(path, map_index=map_index, deserialize=True)["value"]

    def answer(self, dag_id: str, run_id: str, task_id: str, option: str, *, token: str | None = None) -> int:
        """
        Choose an option of a task that waits for somebody; return the HTTP status.

        :param token: of the user who does so; ``None`` for an admin.
        """
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        body = {"chosen_options": [option], "params_input": {}}
        auth = self._http.auth if token is None else _Token(token)
        return self._http.patch(path, json=body, auth=auth or httpx.USE_CLIENT_DEFAULT).status_code

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> list[Json]:
        """Return a task's log as the UI has it: each entry has an ``event``, and may have an ``error_detail``."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}"
        return list(self._get(path, map_index=map_index, full_content=True)["content"])

    def log_text(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return a task's log as text, with the type and message of each error."""
        lines = []
        for entry in self.log(dag_id, run_id, task_id, try_number, map_index):
            lines.append(str(entry["event"]))
            lines += [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ()]
        return "\n".join(lines)

    def _get(self, path: str, **params: Any) -> Json:
        return self._json(self._http.get(path, params=params))

    def _send(self, method: str, path: str, body: Json) -> Json:
        return self._json(self._http.request(method, path, json=body))

    @staticmethod
    def _json(answer: httpx.Response) -> Json:
        if answer.is_error:
            raise RuntimeError(f"Airflow answered {answer.status_code} to {answer.url}: {answer.text}")
        return dict(answer.json())
