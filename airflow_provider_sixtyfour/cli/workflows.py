"""The commands about stored workflows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.connecting import connect
from airflow_provider_sixtyfour.cli.input_files import read_json
from airflow_provider_sixtyfour.workflows import saving

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.cli.console import Console
    from airflow_provider_sixtyfour.workflows.saving import Comparison


def check(given: Namespace, console: Console) -> int:
    """Print what a deployment would change; exit 1 if that is anything."""
    _, found = _compare(given, console)
    _print(found, console, is_saved=False)
    if not found.changes:
        console.note(f"The stored workflow is up to date. Workflow {found.workflow_id}.")
        return exit_codes.SUCCESS
    what = "differs" if found.is_stored else "is not stored yet"
    console.note(f"The stored workflow {what}: deploy would change the above. Workflow {found.workflow_id}.")
    return exit_codes.DIFFERS


def deploy(given: Namespace, console: Console) -> int:
    """Save the workflow if it differs."""
    client, found = _compare(given, console)
    is_saved = bool(found.changes) and not given.dry_run
    if found.changes and found.paid_blocks:
        console.warning("A save may cost credits: %s has auto_execute and runs then.", ", ".join(found.paid_blocks))
    if is_saved:
        saving.save(client, found)
    _print(found, console, is_saved=is_saved)
    if is_saved:
        console.note(f"Saved the workflow. Workflow {found.workflow_id}.")
    elif found.changes:
        console.note(f"Dry run: nothing was saved. Workflow {found.workflow_id}.")
    else:
        console.note(f"The stored workflow is up to date; nothing was saved. Workflow {found.workflow_id}.")
    return exit_codes.SUCCESS


def pull(given: Namespace, console: Console) -> int:
    """Print the stored workflow."""
    client = connect(given.conn_id, console).client
    console.document(saving.as_file(client.send(calls.get_workflow(given.workflow_id))))
    return exit_codes.SUCCESS


def workflows(given: Namespace, console: Console) -> int:
    """List the workflows."""
    client = connect(given.conn_id, console).client
    clean = client.cleaner
    records = [
        {
            "workflow_id": each.id,
            "name": None if each.name is None else clean.name(each.name),
            "status": each.status,
            "description": None if each.description is None else clean.message(each.description),
            **each.timestamps,
        }
        for each in client.send(calls.list_workflows())
    ]
    console.records(records, ("workflow_id", "name", "status", "last_run_date"))
    return exit_codes.SUCCESS


def blocks(given: Namespace, console: Console) -> int:
    """List the kinds of blocks."""
    client = connect(given.conn_id, console).client
    kinds = client.send(calls.list_blocks())
    records = [
        {"block_name": kind.block_name, "specs": sorted(_specs(kind.specs_schema)), "specs_schema": kind.specs_schema}
        for kind in sorted(kinds)
    ]
    console.records(records, ("block_name", "specs"))
    return exit_codes.SUCCESS


def _specs(schema: Any) -> list[str]:
    properties = schema.get("properties")
    return list(map(str, properties)) if isinstance(properties, dict) else []


def _compare(given: Namespace, console: Console) -> tuple[SixtyfourClient, Comparison]:
    calls.identifier(given.workflow_id, "--workflow-id")
    workflow = read_json(given.file)
    client = connect(given.conn_id, console).client
    found = saving.compare(
        client,
        given.workflow_id,
        workflow,
        validate_specs=given.validate_specs,
        on_warning=lambda warning: console.warning("differs from the API's published schema: %s", warning),
    )
    return client, found


def _print(found: Comparison, console: Console, *, is_saved: bool) -> None:
    console.document(
        {
            "workflow_id": found.workflow_id,
            "is_stored": found.is_stored,
            "changes": list(found.changes),
            "warnings": list(found.warnings),
            "paid_blocks": list(found.paid_blocks),
            "saved": is_saved,
        },
        found.changes,
    )
