"""
Outgoing webhooks: the rows of a completed run, posted to the URL of each ``outgoing_webhook`` block.

Invariant: a delivery is made once its run is seen to have completed, never for one that ended otherwise; it is repeated
with its event id, after growing pauses, until a 2xx or the end of the schedule; it goes to a loopback address unless
the host was allowed; it follows no redirect; every attempt is recorded, and the run is none the worse.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_sixtyfour.emulator.config import Options
from airflow_provider_sixtyfour.emulator.engine import pipeline
from airflow_provider_sixtyfour.emulator.engine.graph import Block
from airflow_provider_sixtyfour.emulator.engine.steps import DELIVERY_COLUMN
from airflow_provider_sixtyfour.emulator.store.run_views import timestamp
from airflow_provider_sixtyfour.emulator.store.runs import Run
from airflow_provider_sixtyfour.emulator.store.webhook_secret import Signing

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
    attempt: int = 1
    status: int | None = None
    error: str | None = None


DownloadUrl = Callable[[Run, int], Awaitable[str | None]]
"""Gives the link to the rows of a block of a run, by its place in the order of execution."""


class Webhooks:
    """One task that sleeps until the next run is due."""

    def __init__(self, options: Options, signing: Signing, download_url: DownloadUrl) -> None:
        self._options = options
        self._signing = signing
        self._download_url = download_url
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
            for number, pause in enumerate((0.0, *self._options.webhook_pauses), start=1):
                await asyncio.sleep(pause)
                if await self._attempt(run, index, block, event_id, number):
                    break

    async def _attempt(self, run: Run, index: int, block: Block, event_id: str, number: int) -> bool:
        """Send it once, and return whether that is the end of it."""
        attempt = Delivery(time.time(), run.job_id, block.block_id, block.specs["url"], event_id, number)
        self.attempts.append(attempt)
        try:
            url = await self._download_url(run, index)
            attempt.status = await asyncio.to_thread(self._post, run, index, block, attempt, url)
        except Exception as error:
            attempt.error = f"{type(error).__name__}: {error}"
            return isinstance(error, PermissionError)
        return 200 <= attempt.status < 300

    def _post(self, run: Run, index: int, block: Block, attempt: Delivery, download_url: str | None) -> int:
        url = attempt.url
        self._check_host(urlsplit(url).hostname or "")
        event = _event(run, index, block, attempt, self._options.inline_rows)
        body = json.dumps({**event, "results_download_url": download_url}, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json"}
        signature = self._signing.signature(int(attempt.at), body)
        if signature:
            headers |= {
                "Sixtyfour-Signature": signature,
                "Sixtyfour-Event-Id": attempt.event_id,
                "Sixtyfour-Event-Type": run.task_type or EVENT_TYPE,
                "Sixtyfour-Delivery-Attempt": str(attempt.attempt),
            }
        return _send(url, body, headers, block.settings["timeout_seconds"])

    def _check_host(self, host: str) -> None:
        if self._options.webhook_hosts & {"*", host}:
            return
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
        if not all(ipaddress.ip_address(address).is_loopback for address in found):
            raise PermissionError(f"{host} is not this machine; start the emulator with --allow-webhook-hosts {host}")


def _event(run: Run, index: int, block: Block, attempt: Delivery, inline_rows: int) -> Mapping[str, Any]:
    """Return the envelope: of a workflow's run, or of a job without a workflow, whose rows are given inline if few."""
    rows = [
        {name: value for name, value in row.items() if name != DELIVERY_COLUMN}
        for made in pipeline.passes(run.graph, run.rows)
        for row in made[index]
    ]
    own = (
        {"task_id": run.job_id, "status": "completed", "task_type": run.task_type}
        if run.task_type
        else {"workflow_id": run.workflow_id, "job_id": run.job_id, "block_id": block.block_id}
    )
    return {
        "event_id": attempt.event_id,
        "event_type": run.task_type or EVENT_TYPE,
        "created_at": timestamp(attempt.at),
        "run_id": run.job_id,
        **own,
        "row_count": len(rows),
        "results": rows if len(rows) <= inline_rows else None,
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
