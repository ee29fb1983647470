"""
The options that an emulator starts with: one table, with their defaults and units.

Invariant: an :class:`Options` is complete and valid; nothing else reads the command line or the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A client that may ask for tokens, with the one public key it signs for."""

    client_id: str
    key_id: str
    public_key: str = field(repr=False)  # PEM


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of one emulator. Times are in seconds."""

    host: str = "127.0.0.1"
    port: int = 6464  # 0: a free one
    storage_port: int | None = None  # None: the API's own; 0: a free one
    allowed_hosts: frozenset[str] = frozenset()  # names to answer to besides the own ones: NAME or NAME:PORT
    api_key: str = field(default="emulator", repr=False)
    oauth_clients: tuple[OAuthClient, ...] = ()
    token_seconds: float = 3600.0
    run_seconds: float = 5.0
    queue_seconds: float = 0.5
    fail_rate: float = 0.0  # share of the runs that fail
    latency: float = 0.0
    credits: float | None = None  # None: without limit
    data_dir: Path | None = None  # None: a temporary one, removed at exit
    link_seconds: float = 900.0
    ranges: bool = True
    etags: bool = True
    requests_per_minute: int = 500  # per credential; 0: without limit
    retry_after: bool = True
    inline_rows: int = 100  # results of up to this many rows are also given inline
    fill_defaults: bool = False
    older_errors: bool = False  # refusals of the shapes that the API's older pages show
    workflows: tuple[Mapping[str, Any], ...] = ()  # bodies of create_workflow, stored at the start, with the samples
    webhook_secret: str | None = field(default=None, repr=False)  # None: unsigned until one is made
    webhook_pauses: tuple[float, ...] = (1.0, 5.0, 25.0, 125.0, 625.0)  # before each repetition of a delivery
    webhook_hosts: frozenset[str] = frozenset()  # besides loopback addresses; "*": any
    show_credentials: bool = False  # in the request log, instead of their fingerprints
    verbose: bool = False
    stop_with_stdin: bool = False
