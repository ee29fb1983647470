"""The first block of the workflow that a task runs: what it reads, and which of the overridden specs it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourError, SixtyfourRefusedError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.workflows.source import Source


def source_block(client: SixtyfourClient, workflow_id: str, body: Mapping[str, Any], log: Log) -> Source | None:
    """
    Return the workflow's first block; ``None`` where the credential may not read the workflow.

    Warns of specs that the run is to override and that block doesn't have, which may be misspelt.

    :param body: what the run is to be started with.
    :raises SixtyfourRefusedError: if the API refuses to give the workflow, for another reason.
    """
    from airflow_provider_sixtyfour.workflows.source import source_of

    try:
        source = source_of(client.send(calls.get_workflow(workflow_id)))
    except SixtyfourRefusedError as error:
        if error.status == 403:
            return None
        raise
    if source is not None and (unknown := _unknown_specs(client, source, body.get("specs_override", {}))):
        log.warning(
            "Unknown in specs_override: %s. The first block, %r, has no such specs. Workflow %s.",
            client.cleaner.message(", ".join(unknown)),
            client.cleaner.name(source.block_name),
            workflow_id,
        )
    return source


def _unknown_specs(client: SixtyfourClient, source: Source, override: Mapping[str, Any]) -> list[str]:
    """Return the overridden specs that the block doesn't have; none where the API doesn't list what it has."""
    from airflow_provider_sixtyfour.workflows.block_specs import unknown_specs

    names = [name for name in override if name not in ("resource_handle_id", *source.specs)]
    if not names:
        return []  # and the API isn't asked
    try:
        kinds = client.send(calls.list_blocks(), attempts=2)
    except SixtyfourError:  # a hint is no reason to fail a task
        return []
    return unknown_specs(names, source.block_name, source.specs, kinds)
