"""The command that removes what unfinished work has left below a destination."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.cli import exit_codes

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_sixtyfour.cli.console import Console


def cleanup(given: Namespace, console: Console) -> int:
    """List what unfinished work has left, and remove it if that is wanted."""
    from airflow_provider_sixtyfour.results.progress import size
    from airflow_provider_sixtyfour.storage.object_paths import local_or_object_path
    from airflow_provider_sixtyfour.tasks.leftovers import leftovers

    folder = local_or_object_path(given.destination, "--destination")
    found = leftovers(folder, before=time.time() - given.older_than * 3600)
    records: list[dict[str, Any]] = []
    failed = 0
    for leftover in found:
        is_removed = False
        if given.yes:
            try:
                leftover.remove()
                is_removed = True
            except Exception as error:  # of a store's client: its text may hold a signed URL
                reason = error.strerror or str(error) if type(error) is OSError else type(error).__name__
                console.warning("Not removed (%s): %s", reason, leftover.path)
                failed += 1
        records.append(
            {
                "kind": leftover.kind,
                "path": leftover.path,
                "bytes": leftover.bytes,
                "modified_at": datetime.fromtimestamp(leftover.modified_at, UTC).isoformat(timespec="seconds"),
                "removed": is_removed,
            }
        )
    console.records(records, ("kind", "modified_at", "bytes", "path", "removed"))
    total = size(sum(record["bytes"] or 0 for record in records))
    what = f"{len(records)} leftover{'' if len(records) == 1 else 's'} ({total}) older than {given.older_than:g} h"
    if given.yes:
        console.note(f"Removed {len(records) - failed} of {what}. {folder}")
    else:
        console.note(f"{what}.{' Nothing was removed: --yes does.' if records else ''} {folder}")
    return exit_codes.UNAVAILABLE if failed else exit_codes.SUCCESS
