"""
Makes an event of an asset, once for each event id, however many API servers are asked to at a time.

Besides `airflow_side`, the only module that imports what Airflow does not document as public: its connections, its
asset manager, its session and three models. There is no documented call for this inside of Airflow's processes.

Invariant: the asset's row is locked before its events are looked through, and until the new one is committed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from airflow.assets.manager import asset_manager
from airflow.configuration import ensure_secrets_loaded
from airflow.models.asset import AssetDagRunQueue, AssetEvent, AssetModel
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import select, update

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

# Events of the asset, the newest first, in which an event id is looked for. The vendor repeats a delivery within hours.
LOOKED_THROUGH = 1000
_NEEDED = {"asset", "extra", "session"}


class Outcome(Enum):
    """What became of an event."""

    RECORDED = "recorded"
    DUPLICATE = "duplicate"
    NO_ASSET = "ignored"


def missing() -> str | None:
    """Return what this Airflow lacks, as a sentence; ``None`` if nothing."""
    absent = _NEEDED - inspect.signature(asset_manager.register_asset_change).parameters.keys()
    if not absent:
        return None
    return f"This Airflow's register_asset_change has other parameters: {', '.join(sorted(absent))} are missing."


def connection(conn_id: str) -> Connection | None:
    """
    Return a connection, as it is now: of a secrets backend, the environment or the database.

    :raises Exception: if it was not found, and one of these could not be asked: Airflow's own call says in both cases
        that there is none, and who is answered so doesn't deliver again.
    """
    failure: Exception | None = None
    for backend in ensure_secrets_loaded():
        try:
            found: Connection | None = backend.get_connection(conn_id=conn_id)
        except Exception as error:
            failure = failure or error
            continue
        if found is not None:
            return found
    if failure is not None:
        raise failure
    return None


def record(uri: str, extra: Mapping[str, Any]) -> Outcome:
    """
    Make an event of the asset, unless it has one with the same ``event_id``.

    :param uri: of the asset; without one that a Dag uses, nothing is done.
    :param extra: of the event.
    """
    with create_session(scoped=False) as session:
        asset = _locked(session, uri)
        if asset is None:
            return Outcome.NO_ASSET
        earlier = (
            select(AssetEvent.extra)
            .where(AssetEvent.asset_id == asset.id)
            .order_by(AssetEvent.id.desc())
            .limit(LOOKED_THROUGH)
        )
        if any(
            isinstance(each, Mapping) and each.get("event_id") == extra["event_id"] for each in session.scalars(earlier)
        ):
            return Outcome.DUPLICATE
        # The scheduler is done with what was queued before, or leaves it alone until this is committed.
        session.execute(select(AssetDagRunQueue.target_dag_id).where(_queued(asset)).with_for_update())
        made = asset_manager.register_asset_change(asset=asset, extra=dict(extra), session=session)
        # The next Dag run takes the events up to the moment in its entry of the queue. Airflow leaves an entry that is
        # there as it is, and an event that comes later would wait for one that comes after it.
        session.execute(update(AssetDagRunQueue).where(_queued(asset)).values(created_at=datetime.now(UTC)))
        return Outcome.NO_ASSET if made is None else Outcome.RECORDED


def _queued(asset: AssetModel) -> ColumnElement[bool]:
    return AssetDagRunQueue.asset_id == asset.id


def _locked(session: Session, uri: str) -> AssetModel | None:
    """Return the asset that a Dag uses, its row locked until the session ends."""
    wanted = select(AssetModel.id).where(AssetModel.uri == uri, AssetModel.active.has())
    if session.get_bind().dialect.name == "sqlite":
        # SQLite locks no rows. A write that changes nothing takes the lock on all of it, before anything is read.
        same = update(AssetModel).where(AssetModel.uri == uri).values(id=AssetModel.id)
        session.execute(same, execution_options={"synchronize_session": False})
    else:
        wanted = wanted.with_for_update(key_share=True)
    asset_id = session.scalar(wanted)
    return None if asset_id is None else session.get(AssetModel, asset_id)
