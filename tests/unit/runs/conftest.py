"""The fixtures of the tests of `api`: these modules are tested against the same servers."""

from tests.unit.api.conftest import (
    _direct_connections,
    certificates,
    deploy,
    emulator,
    emulator_process,
    key_settings,
    netrc,
    new_runs,
    no_bundle,
    oauth_settings,
    open_sender,
    private_pem,
    rsa_key,
    sender,
    submission,
    workflow_id,
)

__all__ = [
    "_direct_connections",
    "certificates",
    "deploy",
    "emulator",
    "emulator_process",
    "key_settings",
    "netrc",
    "new_runs",
    "no_bundle",
    "oauth_settings",
    "open_sender",
    "private_pem",
    "rsa_key",
    "sender",
    "submission",
    "workflow_id",
]
