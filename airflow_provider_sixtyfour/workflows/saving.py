"""
Compare a wanted workflow with the stored one, and save it: for the operator, and for the command line.

Two steps, so that whoever saves can log, or ask, what a save would change and cost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourNotFoundError
from airflow_provider_sixtyfour.workflows import definition as definitions
from airflow_provider_sixtyfour.workflows.deployment import blocks_run_by_a_save, keep_server_ids

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.models import Workflow
    from airflow_provider_sixtyfour.workflows.definition import Definition


class Comparison(NamedTuple):
    """
    A wanted workflow, compared with the stored one.

    :param wanted: with the ids that the server has written into the stored one.
    :param changes: what a save would change, a line each; none if the stored workflow is up to date.
    :param warnings: what differs from the schemas that the API publishes, a line each.
    :param paid_blocks: the names of the blocks that a save runs, and may bill.
    :param is_stored: whether there is a stored workflow.
    """

    workflow_id: str
    wanted: Definition
    changes: tuple[str, ...]
    warnings: tuple[str, ...]
    paid_blocks: tuple[str, ...]
    is_stored: bool


def compare(
    client: SixtyfourClient,
    workflow_id: str,
    workflow: Any,
    *,
    validate_specs: bool = False,
    on_warning: Callable[[str], object] = lambda _: None,
) -> Comparison:
    """
    Compare a wanted workflow with the stored one; save nothing.

    :param workflow: in the shape that the workflow editor copies out: a dict, or its JSON text.
    :param validate_specs: whether what differs from the published schemas is an error.
    :param on_warning: takes each warning when it is found, before the stored workflow is read.
    :raises SixtyfourInputError: if the wanted workflow is not valid.
    :raises SixtyfourRefusedError: if the API refuses to show what it has.
    :raises SixtyfourUnavailableError: if it can't be reached.
    """
    calls.identifier(workflow_id, "workflow_id")
    wanted = definitions.parse(workflow, workflow_id)
    kinds = client.send(calls.list_blocks())
    warnings = definitions.check(wanted, kinds, client.cleaner, validate_specs=validate_specs)
    for warning in warnings:
        on_warning(warning)
    existing, is_stored = definitions.Definition(None, None, {}, ()), True
    try:
        existing = definitions.stored(client.send(calls.get_workflow(workflow_id)))
    except SixtyfourNotFoundError:
        is_stored = False
        if wanted.name is None:
            raise SixtyfourInputError("A workflow that isn't stored yet needs a workflow_name.") from None
    wanted = keep_server_ids(wanted, existing)
    return Comparison(
        workflow_id=workflow_id,
        wanted=wanted,
        changes=tuple(definitions.changes(wanted, existing, kinds, client.cleaner)),
        warnings=tuple(warnings),
        paid_blocks=tuple(blocks_run_by_a_save(wanted)),
        is_stored=is_stored,
    )


def save(client: SixtyfourClient, comparison: Comparison) -> None:
    """
    Save the wanted workflow.

    :raises SixtyfourRefusedError: if the API refuses it.
    :raises SixtyfourUnavailableError: if it can't be reached.
    """
    client.send(calls.update_workflow(comparison.workflow_id, comparison.wanted.as_body()))


def as_file(workflow: Workflow) -> dict[str, Any]:
    """
    Return a stored workflow in the shape that `compare` takes.

    :raises SixtyfourInputError: if its graph can't be read.
    """
    found = definitions.stored(workflow)
    if not found.blocks:
        has_some = bool((workflow.definition or {}).get("blocks"))
        raise SixtyfourInputError(
            f"The stored workflow {'can not be read as blocks and edges' if has_some else 'has no blocks'}. "
            f"Workflow {workflow.id}."
        )
    return found.as_body()
