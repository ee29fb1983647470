"""
Outgoing webhooks: the rows of a completed run, posted to the URL of each ``outgoing_webhook`` block.

Invariant: a delivery is made once its run is seen to have completed, never for one that ended otherwise; it goes to a
loopback address unless the host was allowed; it follows no redirect; whatever becomes of it is recorded, and the run
is none the worse.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_sixtyfour.emulator import pipeline
from airflow_provider_sixtyfour.emulator.graph import Block
from airflow_provider_sixtyfour.emulator.options import Options
from airflow_provider_sixtyfour.emulator.progress import timestamp
from airflow_provider_sixtyfour.emulator.runs import Run

EVENT_TYPE = "outgoing_webhook.completed"
_LONGEST_SLEEP = 3600.0  # seconds


@dataclass(slots=True)
class Delivery:
    """One attempt and what came of it."""

    at: float
    job_id: str
    block_id: str
    url: str
    event_id: str
    status: int | None = None
    error: str | None = None


def sign(secret: str, at: int, body: bytes) -> str:
    """Return the ``Sixtyfour-Signature`` of a body that is sent at this time."""
    mac = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={mac.hexdigest()}"


class Deliveries:
    """One task that sleeps until the next run is due."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._waiting: dict[str, Run] = {}
        self._going: set[asyncio.Task[None]] = set()  # keeps them from being collected
        self._changed = asyncio.Event()
        self.attempts: list[Delivery] = []

    def expect(self, run: Run) -> None:
        """Deliver the rows of this run when it has completed."""
        if any(block.block_name == "outgoing_webhook" for block in run.graph.order):
            self._waiting[run.job_id] = run
            self._changed.set()

    def look_again(self) -> None:
        """Note that a run's end has changed."""
        self._changed.set()

    def describe(self) -> list[dict[str, Any]]:
        """Return all attempts, oldest first."""
        return [asdict(attempt) for attempt in self.attempts]

    async def work(self) -> None:
        """Deliver for ever."""
        while True:
            self._changed.clear()
            now = time.time()
            for run in list(self._waiting.values()):
                moment = run.at(now)
                if moment.ended:
                    del self._waiting[run.job_id]
                if moment.status.lower() == "completed":
                    task = asyncio.create_task(self._deliver(run))
                    self._going.add(task)
                    task.add_done_callback(self._going.discard)
            due = min((run.due_at for run in self._waiting.values() if run.due_at > now), default=now + _LONGEST_SLEEP)
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.01, due - time.time()))
            except TimeoutError:
                continue

    async def _deliver(self, run: Run) -> None:
        for index, block in enumerate(run.graph.order):
            if block.block_name != "outgoing_webhook":
                continue
            event_id = str(uuid.uuid4())
            attempt = Delivery(time.time(), run.job_id, block.block_id, block.specs["url"], event_id)
            self.attempts.append(attempt)
            try:
                attempt.status = await asyncio.to_thread(self._post, run, index, block, attempt)
            except Exception as error:
                attempt.error = f"{type(error).__name__}: {error}"

    def _post(self, run: Run, index: int, block: Block, attempt: Delivery) -> int:
        url = attempt.url
        self._check_host(urlsplit(url).hostname or "")
        body = json.dumps(_event(run, index, block, attempt), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "Sixtyfour-Signature": sign(self._options.webhook_secret, int(attempt.at), body),
            "Sixtyfour-Event-Id": attempt.event_id,
            "Sixtyfour-Event-Type": EVENT_TYPE,
        }
        return _send(url, body, headers, block.settings["timeout_seconds"])

    def _check_host(self, host: str) -> None:
        if self._options.webhook_hosts & {"*", host}:
            return
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
        if not all(ipaddress.ip_address(address).is_loopback for address in found):
            raise PermissionError(f"{host} is not this machine; start the emulator with --allow-webhook-hosts {host}")


def _event(run: Run, index: int, block: Block, attempt: Delivery) -> Mapping[str, Any]:
    rows = [row for made in pipeline.passes(run.graph, run.rows) for row in made[index]]
    return {
        "event_id": attempt.event_id,
        "event_type": EVENT_TYPE,
        "created_at": timestamp(attempt.at),
        "workflow_id": run.workflow_id,
        "job_id": run.job_id,
        "block_id": block.block_id,
        "row_count": len(rows),
        "results": rows,
    }


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _send(url: str, body: bytes, headers: Mapping[str, str], timeout: float) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    # The schema of outgoing_webhook lets http and https through, nothing else.
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310
    try:
        with opener.open(request, timeout=timeout) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
