"""What split, repair and collect log: sentences that begin with the numbers and end with the paths, and one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_sixtyfour.transfers.progress import size


def split_done(
    name: str,
    folder: object,
    batches: Sequence[Any],
    *,
    duplicates: int,
    rejected: int,
    rejects: object,
    seconds: float,
) -> str:
    """
    Return the sentence that ends a split.

    :param name: of the input, a path or URL.
    :param rejects: the file that holds the rejected rows and the duplicates; ``None`` if there is none.
    """
    rows, total = sum(batch["rows"] for batch in batches), sum(batch["bytes"] for batch in batches)
    left_out = [f"{duplicates:,} duplicates", f"{rejected:,} rejected"] if duplicates or rejected else []
    if duplicates == 1:
        left_out[0] = "1 duplicate"
    also = f" ({', '.join(left_out)})" if left_out else ""
    where = f" Rejects: {shown(rejects)}." if rejects is not None else ""
    return (
        f"Split {short(name)} into {count(len(batches), 'batch', 'batches')}: {count(rows, 'row')}{also}, "
        f"{size(total)}, in {duration(seconds)}. Batches: {shown(folder)}.{where}"
    )


def repair_done(name: str | None, folder: object, batches: Sequence[Any], *, without_key: int, seconds: float) -> str:
    """
    Return the sentence that ends a repair.

    :param name: of the first input, ``None`` if there is none.
    """
    of = f" of {short(name)}" if name else ""
    rows = sum(batch["rows"] for batch in batches)
    also = f" ({count(without_key, 'row')} without a key left out)" if without_key else ""
    if not batches:
        return f"Nothing{of} is left to be enriched{also}, found in {duration(seconds)}."
    return (
        f"{count(rows, 'row')}{of} left to be enriched{also}, in {count(len(batches), 'batch', 'batches')}, found in "
        f"{duration(seconds)}. Batches: {shown(folder)}."
    )


def count(number: int, one: str, many: str | None = None) -> str:
    """Return a number with what it counts."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def duration(seconds: float) -> str:
    """Return a time as people read it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def short(name: object) -> str:
    """Return the last part of a path or URL."""
    return shown(name).rstrip("/").rpartition("/")[2]


def shown(value: object) -> str:
    """Return text that any log can hold: half a surrogate pair can't be written to one."""
    return str(value).encode("utf-8", "replace").decode()
