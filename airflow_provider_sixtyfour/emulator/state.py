"""
Everything that one emulator remembers, put together in one place.

Invariant: an emulator's memory lives and ends with its :class:`State`; no module holds any of its own.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from airflow_provider_sixtyfour.emulator.config import Options
from airflow_provider_sixtyfour.emulator.middleware.access import BULK_PER_MINUTE, AcceptedKey, RateLimit
from airflow_provider_sixtyfour.emulator.middleware.connections import Connections
from airflow_provider_sixtyfour.emulator.middleware.faults import Faults
from airflow_provider_sixtyfour.emulator.middleware.request_log import RequestLog
from airflow_provider_sixtyfour.emulator.middleware.tokens import Tokens
from airflow_provider_sixtyfour.emulator.store.outage import Outage
from airflow_provider_sixtyfour.emulator.store.results import Results
from airflow_provider_sixtyfour.emulator.store.run_plans import Plans
from airflow_provider_sixtyfour.emulator.store.run_store import RunStore
from airflow_provider_sixtyfour.emulator.store.runs import Run
from airflow_provider_sixtyfour.emulator.store.signed_urls import SignedUrls
from airflow_provider_sixtyfour.emulator.store.storage import Storage
from airflow_provider_sixtyfour.emulator.store.uploads import Uploads
from airflow_provider_sixtyfour.emulator.store.webhook_secret import Signing
from airflow_provider_sixtyfour.emulator.store.webhooks import Webhooks
from airflow_provider_sixtyfour.emulator.store.workflows import Workflows


def storage_origin(base_url: str, storage_port: int | None) -> str:
    """Return the origin of the storage on the machine of this URL; without a port of its own it has the API's."""
    here = urlsplit(base_url)
    if storage_port is None:
        return f"{here.scheme}://{here.netloc}"
    host = f"[{here.hostname}]" if ":" in (here.hostname or "") else here.hostname
    return f"{here.scheme}://{host}:{storage_port}"


@dataclass(frozen=True, slots=True)
class Side:
    """What is recorded of the API, or of the storage."""

    traffic: RequestLog
    connections: Connections


@dataclass(frozen=True, slots=True)
class State:
    """The parts of one emulator."""

    options: Options
    storage_port: int | None  # the real one; None: the API's own
    workflows: Workflows
    uploads: Uploads
    plans: Plans
    ledger: RunStore
    results: Results
    links: SignedUrls
    storage: Storage
    api_key: AcceptedKey
    tokens: Tokens
    limit: RateLimit
    bulk_limit: RateLimit
    bulk_workflow_id: str  # what the list of runs shows of jobs without a workflow
    signing: Signing
    deliveries: Webhooks
    faults: Faults
    outage: Outage
    api_side: Side
    storage_side: Side

    def storage_origin(self, base_url: str) -> str:
        """Return the origin of links, by the name that the client knows this machine by."""
        return storage_origin(base_url, self.storage_port)

    @classmethod
    def fresh(cls, options: Options, folder: Path, storage_port: int | None, origin: str = "") -> State:
        """
        Return the state of an emulator that has just started and keeps its files in this folder.

        :param origin: where it listens, for links that no request asked for.
        """
        links, plans = SignedUrls(), Plans()
        uploads = Uploads(folder / "uploads")
        connections = Connections()
        results, storage = Results(folder / "results", options.inline_rows), Storage(options, links)
        signing = Signing(options.webhook_secret, time.time())

        async def download_url(run: Run, index: int) -> str | None:
            files = list(enumerate(await results.files(run)))
            made = [one for one in files if one[1].block_index < index] or files
            if not made or not origin:
                return None
            number, file = max(made, key=lambda one: (one[1].block_index, one[1].format == "csv"))
            return storage_origin(origin, storage_port) + storage.link(run.job_id, number, file, time.time())

        return cls(
            options=options,
            storage_port=storage_port,
            workflows=Workflows(fill_defaults=options.fill_defaults),
            uploads=uploads,
            plans=plans,
            ledger=RunStore(options, uploads, plans),
            results=results,
            links=links,
            storage=storage,
            api_key=AcceptedKey(options.api_key),
            tokens=Tokens(options.oauth_clients, options.token_seconds),
            limit=RateLimit(options.requests_per_minute),
            bulk_limit=RateLimit(BULK_PER_MINUTE if options.requests_per_minute else 0),
            bulk_workflow_id=str(uuid.uuid4()),
            signing=signing,
            deliveries=Webhooks(options, signing, download_url),
            faults=Faults(),
            outage=Outage(),
            api_side=Side(RequestLog(options.show_credentials), connections),
            storage_side=Side(
                RequestLog(options.show_credentials), connections if storage_port is None else Connections()
            ),
        )
