"""Which files of a run are wanted: apart from their list, for constructors, which check it in every Dag file."""

from __future__ import annotations

from typing import Any

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError


def wanted_blocks(files: Any) -> str | frozenset[int]:
    """
    Read ``files``: ``final``, ``all``, or block numbers, also as a rendered template gives them.

    :raises SixtyfourInputError: if it is anything else.
    """
    if files in ("final", "all"):
        return str(files)
    items = [files] if isinstance(files, int | str) else files
    try:
        numbers = frozenset(int(item) for item in items if not isinstance(item, bool))
    except (TypeError, ValueError):
        numbers = frozenset()
    if not numbers:
        raise SixtyfourInputError(f"files should be 'final', 'all' or block numbers, not {files!r:.60}.")
    return numbers
