"""
Distinguishes a connection that does not exist from one whose store is away: Airflow reports both as not defined.

That is so from Airflow 3.1 on, and all versions pass over a secrets backend that fails. The one place that asks the
backends, and the channel to Airflow's supervisor, which Airflow does not document as public.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourInputError, SixtyfourUnavailableError


def not_found(conn_id: str) -> SixtyfourError:
    """
    Return the error for a connection that Airflow did not find; not to be called in an event loop.

    :returns: `SixtyfourInputError` if there is none, which no retry can help; `SixtyfourUnavailableError` if one of
        those who may have it can't be asked.
    """
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    for backend in _backends():
        name = type(backend).__name__
        try:
            is_there = backend.get_connection(conn_id=conn_id) is not None
        except Exception as error:  # no text of it is shown: it may quote the connection
            if name == "EnvironmentVariablesBackend":
                return SixtyfourInputError(
                    f"Connection {conn_id!r} can't be read: {variable} is no valid connection, as a URI or as JSON."
                )
            return _away(conn_id, f"{name} failed ({type(error).__name__})")
        if is_there:
            return _away(conn_id, "it was not found a moment ago, and now it is")
    if reason := _trouble_of_the_supervisor(conn_id):
        return _away(conn_id, reason)
    return SixtyfourInputError(
        f"Connection {conn_id!r} is not defined: create it with type 'sixtyfour' in Airflow (Admin, Connections), "
        f"set the environment variable {variable}, or correct the task's sixtyfour_conn_id."
    )


def _away(conn_id: str, reason: str) -> SixtyfourError:
    return SixtyfourUnavailableError(
        f"Connection {conn_id!r} can't be read for now: {reason}. A retry reads it again.", may_have_worked=False
    )


def _backends() -> Iterable[Any]:
    try:
        from airflow.sdk.execution_time.supervisor import ensure_secrets_backend_loaded
    except ImportError:  # Airflow 2
        from airflow.configuration import ensure_secrets_loaded

        return ensure_secrets_loaded()
    return ensure_secrets_backend_loaded()


def _trouble_of_the_supervisor(conn_id: str) -> str | None:
    """Return why Airflow's API server can't say whether it has the connection; ``None`` if it said, or isn't used."""
    channel = getattr(sys.modules.get("airflow.sdk.execution_time.task_runner"), "SUPERVISOR_COMMS", None)
    if channel is None:
        return None
    from airflow.sdk.execution_time.comms import GetConnection

    try:
        answer = channel.send(GetConnection(conn_id=conn_id))
    except Exception as error:
        return f"Airflow's supervisor does not answer ({type(error).__name__})"
    kind = getattr(answer, "error", None)  # of an ErrorResponse
    if kind is None:
        return "it was not found a moment ago, and now it is"
    name = str(getattr(kind, "value", kind))
    return None if name == "CONNECTION_NOT_FOUND" else f"Airflow's API server can't be asked for it ({name:.60})"
