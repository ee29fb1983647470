"""
The command that starts a run.

Invariant: nothing is started before its price was said and agreed to, and before its idempotency key was printed: with
that, whoever lost the answer repeats the command and pays for one run.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.connecting import connect
from airflow_provider_sixtyfour.cli.costs import estimate_rows
from airflow_provider_sixtyfour.cli.input_files import measure, opened, read_rows
from airflow_provider_sixtyfour.cli.waiting import wait_and_print
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourUnavailableError
from airflow_provider_sixtyfour.inputs import payload
from airflow_provider_sixtyfour.inputs.file import MAX_BYTES, MAX_ROWS

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.cli.console import Console

_LONGEST_KEY = 255  # characters


class _Upload(NamedTuple):
    stream: BinaryIO
    name: str


def run(given: Namespace, console: Console) -> int:
    """Start a run, and wait for it if that is wanted."""
    _check(given)
    account = connect(given.conn_id, console)
    client = account.client
    with ExitStack() as ending:
        upload: _Upload | None = None
        body: dict[str, Any] = {}
        if given.rows is not None:
            body["webhook_payload"] = read_rows(given.rows)
            rows = payload.count_rows(body) or 0
        else:
            stream, name, size = ending.enter_context(opened(given.upload))
            rows = measure(stream, name, size, most=MAX_ROWS, max_bytes=MAX_BYTES)
            stream.seek(0)
            upload = _Upload(stream, name)
        _check_source(client, given.workflow_id, body)
        estimate = estimate_rows(client, given.workflow_id, rows, console)
        if not given.yes and not _is_agreed(rows, given.workflow_id, console):
            console.note("Nothing was started.")
            return exit_codes.INTERRUPTED
        key = given.idempotency_key or _new_key()
        console.note(f"Idempotency key: {key}")
        repeat = f"to repeat this without paying twice, add --idempotency-key {key}"
        try:
            if upload is not None:
                body = payload.with_handle(body, client.send(calls.upload_file(*upload)))
            started = client.send(
                calls.run_workflow(given.workflow_id, body, result_formats=_formats(given), idempotency_key=key)
            )
        except KeyboardInterrupt:
            console.note(f"Interrupted. A run may have been started: {repeat}")
            return exit_codes.INTERRUPTED
        except SixtyfourUnavailableError as error:
            if error.may_have_worked:
                console.note(f"A run may have been started: {repeat}")
            raise
    again = " by an earlier command with the same key" if started.already_started else ""
    console.note(f"The run was started{again}. Run {started.job_id}.")
    found = {
        "job_id": started.job_id,
        "workflow_id": given.workflow_id,
        "already_started": started.already_started,
        "idempotency_key": key,
        "rows": rows,
        "estimate": estimate["cost"],
    }
    if given.wait:
        return wait_and_print(
            account,
            started.job_id,
            console,
            timeout=given.timeout,
            poll_interval=given.poll_interval,
            more=found,
        )
    console.record(found, ("job_id", "workflow_id", "rows"))
    return exit_codes.SUCCESS


def _check(given: Namespace) -> None:
    calls.identifier(given.workflow_id, "--workflow-id")
    if (given.rows is None) == (given.upload is None):
        raise exit_codes.UsageError("Give --rows or --upload, one of the two: a run has one input.")
    if given.timeout is not None and not given.wait:
        raise exit_codes.UsageError("--timeout goes with --wait: without it, nothing is waited for.")
    key = given.idempotency_key
    if key is not None and not (
        key.isascii() and key.isprintable() and key.strip() == key and 0 < len(key) <= _LONGEST_KEY
    ):
        raise exit_codes.UsageError(
            f"--idempotency-key should be 1 to {_LONGEST_KEY} printable ASCII characters, without spaces around them."
        )


def _check_source(client: SixtyfourClient, workflow_id: str, body: dict[str, Any]) -> None:
    """
    Check that the workflow takes this kind of input.

    :raises SixtyfourInputError: if it doesn't.
    """
    from airflow_provider_sixtyfour.workflows.source import source_of

    source = source_of(client.send(calls.get_workflow(workflow_id)))
    block = source.block_name if source else ""
    wanted = {payload.WEBHOOK_SOURCE: "--rows", payload.FILE_SOURCE: "--upload"}.get(block)
    if wanted not in (None, "--rows" if body else "--upload"):
        raise SixtyfourInputError(
            f"The workflow begins with the block {block!r}: give {wanted}. Workflow {workflow_id}."
        )
    payload.check_columns(body, source, workflow_id, "--rows")


def _is_agreed(rows: int, workflow_id: str, console: Console) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise exit_codes.UsageError("Nothing was started: a run costs credits. Add --yes where nobody can be asked.")
    return console.ask(f"Start workflow {workflow_id} with {rows:,} row{'' if rows == 1 else 's'}?")


def _formats(given: Namespace) -> tuple[str, ...]:
    return payload.check_formats(["csv", *given.format])


def _new_key() -> str:
    from airflow_provider_sixtyfour.hooks.job_operations import new_key

    return new_key()
