"""The hook of a command: reads connections as Airflow's own commands do, and says once what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.cli.quiet import logging_disabled
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection


class ConnectionHook(SixtyfourHook):
    """`SixtyfourHook`, for a process that is no task."""

    def _looked_up(self) -> Connection:
        """Return the connection, without Airflow's traceback of a backend that fails: the error names it."""
        with logging_disabled():
            return super()._looked_up()
