"""The commands about costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.connecting import connect
from airflow_provider_sixtyfour.cli.input_files import count_rows

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.cli.console import Console


def estimate(given: Namespace, console: Console) -> int:
    """Print what rows will probably cost."""
    if (given.rows is None) == (given.file is None):
        raise exit_codes.UsageError("Give --rows or --file, one of the two.")
    calls.identifier(given.workflow_id, "--workflow-id")
    client = connect(given.conn_id, console).client
    rows = given.rows if given.file is None else count_rows(given.file)
    console.record(estimate_rows(client, given.workflow_id, rows, console))
    return exit_codes.SUCCESS


def balance(given: Namespace, console: Console) -> int:
    """Print the credits that are left."""
    client = connect(given.conn_id, console).client
    console.record({"credits": client.send(calls.check_balance())})
    return exit_codes.SUCCESS


def estimate_rows(client: SixtyfourClient, workflow_id: str, rows: int, console: Console) -> dict[str, Any]:
    """Print on stderr what rows will probably cost, and return it."""
    from airflow_provider_sixtyfour.results.options import LandingOptions
    from airflow_provider_sixtyfour.runs.cost_estimate import COST_METRIC, ROWS_METRIC
    from airflow_provider_sixtyfour.tasks.cost_estimate import estimate_workflow

    found = estimate_workflow(
        client,
        workflow_id=workflow_id,
        rows=rows,
        batches=None,
        destination=None,
        specs_override=None,
        landing=LandingOptions(),
        cost_metric=COST_METRIC,
        rows_metric=ROWS_METRIC,
        log=console,
    )
    return {name: found[name] for name in ("rows", "metric", "runs", "per_row", "cost", "balance")}
