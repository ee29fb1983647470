"""The command that lists, and cancels, runs that nobody waits for any more."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.connecting import connect
from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError
from airflow_provider_sixtyfour.runs import orphans as finding

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sixtyfour.cli.console import Console

_COLUMNS = ("job_id", "status", "dag_id", "task_id", "map_index", "run_id", "state", "started_at")


def orphans(given: Namespace, console: Console) -> int:
    """List the runs that nobody waits for, and cancel them if that is wanted."""
    from airflow_provider_sixtyfour.runs.cancel import ABOUT_THE_RUN, cancel
    from airflow_provider_sixtyfour.tasks import orphan_records

    client = connect(given.conn_id, console).client
    active = client.send(calls.list_runs(status="active", limit=calls.MAX_LISTED_RUNS))
    if len(active) == calls.MAX_LISTED_RUNS:
        console.warning("Sixtyfour lists no more than %d active runs; there may be others.", len(active))
    runs = finding.candidates(active, now=time.time(), older_than=given.older_than * 60)
    moments = [moment for run in runs.values() if (moment := finding.submitted_at(run)) is not None]
    since = datetime.fromtimestamp(min(moments, default=time.time()), UTC)
    # Asked for also if there are no runs: who has no database should hear of it at the first try.
    starters = orphan_records.starters(runs, since)
    found = list(finding.orphans(runs, starters, given.dag_id))
    records: list[dict[str, Any]] = [orphan.as_value() for orphan in found]
    columns: tuple[str, ...] = _COLUMNS
    code = exit_codes.SUCCESS
    if given.cancel:
        columns = (*_COLUMNS, "cancelled")
        for orphan, record in zip(found, records, strict=True):
            if not orphan_records.is_orphan_still(orphan, since):
                record["cancelled"] = False
                console.note(f"Not cancelled: a task waits for it by now. Run {orphan.job_id}.")
                continue
            try:
                outcome = cancel(client, orphan.job_id)
            except SixtyfourRefusedError as error:
                if error.status not in ABOUT_THE_RUN:
                    raise
                record["cancelled"], code = False, exit_codes.INVALID
                console.note(str(error))
                continue
            record["cancelled"] = outcome.is_cancelled
            record["status"] = record["status"] if outcome.ended is None else outcome.ended.status
            console.note(outcome.describe(client.base_url))
    console.records(records, columns)
    how_many = f"{len(found)} of {len(active)} active runs {'is' if len(found) == 1 else 'are'} waited for by nobody"
    console.note(f"{how_many}.{'' if given.cancel or not found else ' --cancel cancels them.'}")
    return code
