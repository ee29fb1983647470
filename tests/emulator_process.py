"""
The emulator as a process of its own, for this project's tests.

Credentials are shown in its request log: tests search logs for them.
"""

from __future__ import annotations

import secrets

from airflow_provider_sixtyfour.emulator import process


class EmulatorProcess(process.EmulatorProcess):
    """A running emulator: ``with EmulatorProcess("--run-seconds", "1") as emulator: ...``."""

    def __init__(
        self,
        *arguments: str,
        separate_storage: bool = True,
        show_credentials: bool = True,
        api_key: str | None = None,
        port: int = 0,
        start_seconds: float = 60.0,
        stop_seconds: float = 10.0,
    ) -> None:
        super().__init__(
            *arguments,
            separate_storage=separate_storage,
            show_credentials=show_credentials,
            api_key=api_key,
            port=port,
            start_seconds=start_seconds,
            stop_seconds=stop_seconds,
        )

    def rotate_key(self) -> None:
        """Accept another API key from now on, which `api_key` and `connection_json` then give."""
        rotated = secrets.token_urlsafe(24)
        self.control("PUT", "api-key", {"api_key": rotated})
        self.api_key = rotated
