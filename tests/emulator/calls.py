"""The calls of the API as tests make them: one HTTP client, and the few sequences that every test needs."""

from __future__ import annotations

import csv
import io
import itertools
import json
import ssl
import time
import uuid
from typing import Any

import httpx

from tests.emulator_process import EmulatorProcess

ROWS: list[dict[str, Any]] = [{"name": "Ada Lovelace", "company": "Acme"}, {"name": "Zoë Ünal", "company": "Bolt"}]


# Made once: a context with its certificates takes longer than most tests, and no test here speaks TLS.
TLS = ssl.create_default_context()


def definition(*steps: str | tuple[str, dict[str, Any]], source: str = "webhook") -> dict[str, Any]:
    """Return a chain of blocks, each a name or a name and specs, with sequence numbers from 1 on."""
    named = [(step, {}) if isinstance(step, str) else step for step in (source, *steps)]
    blocks = [
        {
            "block_id": str(uuid.uuid4()),
            "sequence_number": number,
            "block_type": "any",
            "block_name": name,
            "specs": specs,
        }
        for number, (name, specs) in enumerate(named, start=1)
    ]
    ids = [block["block_id"] for block in blocks]
    edges = [{"from_block_id": a, "to_block_id": b} for a, b in itertools.pairwise(ids)]
    return {"blocks": blocks, "edges": edges}


class Calls:
    def __init__(self, emulator: EmulatorProcess) -> None:
        self.emulator = emulator
        self.http = httpx.Client(
            base_url=emulator.url, headers={"x-api-key": emulator.api_key}, trust_env=False, verify=TLS, timeout=20
        )

    def close(self) -> None:
        self.http.close()

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.http.get(path, params=params)

    def post(self, path: str, body: Any = None, **params: Any) -> httpx.Response:
        return self.http.post(path, params=params, json=body)

    def create(self, graph: dict[str, Any], **more: Any) -> httpx.Response:
        body = {"workflow_name": "n", "workflow_description": "d", "workflow_definition": graph, **more}
        return self.post("/workflows/create_workflow", body)

    def deploy(self, *steps: str | tuple[str, dict[str, Any]], source: str = "webhook") -> str:
        answer = self.create(definition(*steps, source=source))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def submit(self, workflow_id: str, rows: Any = None, key: str | None = None, **params: Any) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"webhook_payload": ROWS if rows is None else rows}
        params = {"workflow_id": workflow_id, **params}
        return self.http.post("/workflows/run", params=params, json=body, headers=headers)

    def start(self, workflow_id: str, rows: Any = None, **params: Any) -> str:
        answer = self.submit(workflow_id, rows, **params)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["job_id"])

    def upload(self, name: str, content: bytes) -> httpx.Response:
        return self.http.post("/storage/csv/upload", files={"file": (name, content)})

    def start_on_file(self, workflow_id: str, name: str, content: bytes, **params: Any) -> str:
        handle = self.upload(name, content).raise_for_status().json()["handle_id"]
        params = {"workflow_id": workflow_id, **params}
        body = {"specs_override": {"resource_handle_id": handle}}
        answer = self.http.post("/workflows/run", params=params, json=body)
        return str(answer.raise_for_status().json()["job_id"])

    def live(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get(f"/workflows/runs/{job_id}/live_status").raise_for_status().json()
        return found

    def wait(self, job_id: str, *statuses: str, seconds: float = 10) -> dict[str, Any]:
        wanted = statuses or ("completed", "failed", "cancelled", "canceled", "timeout")
        deadline = time.monotonic() + seconds
        while (live := self.live(job_id))["overall_status"] not in wanted:
            assert time.monotonic() < deadline, f"still {live['overall_status']}"
            time.sleep(0.02)
        return live

    def files(self, job_id: str, format: str = "csv") -> list[dict[str, Any]]:
        path = f"/workflows/runs/{job_id}/results/download-links"
        found: list[dict[str, Any]] = self.get(path, format=format).raise_for_status().json()
        return found

    def download(self, url: str, **headers: str) -> httpx.Response:
        return self.anonymous("GET", url, headers=headers)

    def anonymous(self, method: str, url: str, **more: Any) -> httpx.Response:
        """Call without a credential, on a connection of its own."""
        with httpx.Client(base_url=self.emulator.url, trust_env=False, verify=TLS, timeout=20) as client:
            return client.request(method, url, **more)

    def final_rows(self, job_id: str, format: str = "csv") -> list[dict[str, Any]]:
        """Return the rows of the file with the highest block number, read from the storage."""
        self.wait(job_id, "completed")
        file = max(self.files(job_id, format), key=lambda file: file["block_number"])
        text = self.download(file["download_url"]).raise_for_status().content.decode()
        if format == "csv":
            return list(csv.DictReader(io.StringIO(text, newline="")))
        if format == "json":
            return list(json.loads(text))
        return [json.loads(line) for line in text.split("\n") if line]
