"""The values of XComs that were read from Airflow's database: as they are stored, or through a custom XCom backend."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

log = logging.getLogger(__name__)


def value_reader() -> Callable[[str, Any], Any]:
    """Return what reads a value, by the XCom's key and what is stored; ``None`` for one that can't be read."""
    try:
        from airflow.sdk.bases.xcom import BaseXCom
        from airflow.sdk.execution_time.xcom import XCom
    except ImportError:  # Airflow 2, which stores text or a pickle
        from airflow.models import xcom

        return _through(xcom.XCom)
    if XCom is BaseXCom:
        return lambda key, stored: stored
    read = _through(XCom)
    # What is no reference of the backend went past it, as progress does.
    return lambda key, stored: stored if isinstance(stored, Mapping) else read(key, stored)


def _through(backend: Any) -> Callable[[str, Any], Any]:
    def read(key: str, stored: Any) -> Any:
        try:
            return backend.deserialize_value(SimpleNamespace(key=key, value=stored))
        except Exception as error:  # of somebody else's code
            log.warning("The XCom %s can't be read through the XCom backend: %r", key, error)
            return None

    return read
