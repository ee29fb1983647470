"""
Everything that one emulator remembers, put together in one place.

Invariant: an emulator's memory lives and ends with its :class:`State`; no module holds any of its own.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_sixtyfour.emulator.connections import Connections
from airflow_provider_sixtyfour.emulator.deliveries import Deliveries
from airflow_provider_sixtyfour.emulator.faults import Faults
from airflow_provider_sixtyfour.emulator.gate import BULK_PER_MINUTE, RateLimit
from airflow_provider_sixtyfour.emulator.ledger import Ledger
from airflow_provider_sixtyfour.emulator.links import Links
from airflow_provider_sixtyfour.emulator.options import Options
from airflow_provider_sixtyfour.emulator.outage import Outage
from airflow_provider_sixtyfour.emulator.plans import Plans
from airflow_provider_sixtyfour.emulator.results import Results
from airflow_provider_sixtyfour.emulator.storage import Storage
from airflow_provider_sixtyfour.emulator.tokens import Tokens
from airflow_provider_sixtyfour.emulator.traffic import Traffic
from airflow_provider_sixtyfour.emulator.uploads import Uploads
from airflow_provider_sixtyfour.emulator.workflows import Workflows


@dataclass(frozen=True, slots=True)
class Side:
    """What is recorded of the API, or of the storage."""

    traffic: Traffic
    connections: Connections


@dataclass(frozen=True, slots=True)
class State:
    """The parts of one emulator."""

    options: Options
    storage_port: int | None  # the real one; None: the API's own
    workflows: Workflows
    uploads: Uploads
    plans: Plans
    ledger: Ledger
    results: Results
    links: Links
    storage: Storage
    tokens: Tokens
    limit: RateLimit
    bulk_limit: RateLimit
    bulk_workflow_id: str  # what the list of runs shows of jobs without a workflow
    deliveries: Deliveries
    faults: Faults
    outage: Outage
    api_side: Side
    storage_side: Side

    @classmethod
    def fresh(cls, options: Options, folder: Path, storage_port: int | None) -> State:
        """Return the state of an emulator that has just started and keeps its files in this folder."""
        links, plans = Links(), Plans()
        uploads = Uploads(folder / "uploads")
        connections = Connections()
        return cls(
            options=options,
            storage_port=storage_port,
            workflows=Workflows(fill_defaults=options.fill_defaults),
            uploads=uploads,
            plans=plans,
            ledger=Ledger(options, uploads, plans),
            results=Results(folder / "results", options.inline_rows),
            links=links,
            storage=Storage(options, links),
            tokens=Tokens(options.oauth_clients, options.token_seconds),
            limit=RateLimit(options.requests_per_minute),
            bulk_limit=RateLimit(BULK_PER_MINUTE if options.requests_per_minute else 0),
            bulk_workflow_id=str(uuid.uuid4()),
            deliveries=Deliveries(options),
            faults=Faults(),
            outage=Outage(),
            api_side=Side(Traffic(options.show_credentials), connections),
            storage_side=Side(
                Traffic(options.show_credentials), connections if storage_port is None else Connections()
            ),
        )
