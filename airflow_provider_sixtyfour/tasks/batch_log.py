"""What split, repair and collect log: sentences that begin with the numbers and end with the paths, and one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.formats.quality import filled_share
from airflow_provider_sixtyfour.results.progress import size

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.batches.collect import BatchSummary
    from airflow_provider_sixtyfour.formats.quality import ColumnQuality, Quality

MOST_LINES = 50  # of a table
MOST_COLUMNS = 20  # whose quality is logged
LONGEST_COLUMN = 40  # characters of a name
MOST_VALUES = 5  # of a status column
DONE = "done"
UNKNOWN = "?"


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


def quality_lines(quality: Quality, least: Mapping[str, float]) -> Iterator[str]:
    """Give a line for each column that has a least share: how many rows have something in it, and what follows."""
    for name, share in least.items():
        if name not in quality or (found := filled_share(quality[name])) is None:
            continue
        rows = count(quality[name]["filled"] + quality[name]["empty"], "row")
        compared = (
            f"not less than {_percent(share)}: its gaps are left"
            if found >= share
            else f"less than {_percent(share)}: rows without it are pending"
        )
        yield f"{_column_name(name)} is filled in {_percent(found)} of {rows}, {compared}."


def table(whole: BatchSummary) -> Iterator[str]:
    """Give a line a batch, aligned; of more than `MOST_LINES` those that differ alone, and how many are left out."""
    lines = [_line(batch, result) for batch, result in whole.each]
    shown_ = lines if len(lines) <= MOST_LINES else [line for line in lines if line[-1] != DONE][:MOST_LINES]
    if not shown_:
        return
    yield from _aligned([("batch", "rows in", "rows out", "credits", "state"), *shown_])
    if left := len(lines) - len(shown_):
        others = sum(line[-1] != DONE for line in lines) - sum(line[-1] != DONE for line in shown_)
        yield f"{left:,} more, {others:,} of them not {DONE}."


def quality_table(quality: Quality) -> Iterator[str]:
    """Give a line a column, aligned, the emptiest first; of more than `MOST_COLUMNS` how many are left out."""
    counted = [(column, share) for column in quality.items() if (share := filled_share(column[1])) is not None]
    counted.sort(key=lambda each: each[1])
    if not counted:
        return
    lines = [
        (
            _column_name(name),
            f"{column['filled']:,}",
            f"{column['filled'] + column['empty']:,}",
            _percent(share),
            values,
        )
        for (name, column), share in counted[:MOST_COLUMNS]
        for values in [_values(column)]
    ]
    yield from _aligned(
        [("column", "filled", "of", "share", "values" if any(each[-1] for each in lines) else ""), *lines]
    )
    if left := counted[MOST_COLUMNS:]:
        yield f"{count(len(left), 'column')} more, filled in {_percent(left[0][1])} of the rows at least."


def collected(whole: BatchSummary, merged: Mapping[str, Any] | None, seconds: float) -> str:
    """
    Return the sentence that ends a collection.

    :param merged: the file that all of it was merged into.
    """
    totals = whole.totals
    numbers = [
        f"{UNKNOWN if number is None else f'{number:,}'} rows {way}"
        for number, way in ((totals["rows_sent"], "in"), (totals["rows"], "out"))
    ]
    if (used := credits_of(totals["metrics"])) is not None:
        numbers.append(f"{number(used)} credits")
    numbers += [count(sum(len(result["files"]) for result in whole.results), "file"), size(totals["bytes"])]
    into = f" Merged into {shown(merged['path'])}." if merged else ""
    return (
        f"Collected {count(totals['batches'], 'batch', 'batches')} in {duration(seconds)}: {', '.join(numbers)}.{into}"
    )


def credits_of(metrics: Mapping[str, float]) -> float | None:
    """Return what a run has cost, by the name that the API gives it; ``None`` if it gives none."""
    names = sorted(
        (name for name in metrics if "credit" in name.lower()), key=lambda name: (name != "credits_used", name)
    )
    return metrics[names[0]] if names else None


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Give a line a row: the first cell to the left, the last as it is, those between to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for name, *numbers, last in rows:
        aligned = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=False)]
        yield "  ".join([name.ljust(widths[0]), *aligned, last]).rstrip()


def _column_name(name: str) -> str:
    """Return the name of a column on one line, cut to what a table has room for."""
    printable = "".join(char if char.isprintable() else "\ufffd" for char in name)
    return printable if len(printable) <= LONGEST_COLUMN else f"{printable[: LONGEST_COLUMN - 1]}…"


def _values(column: ColumnQuality) -> str:
    """Return the values of a status column with their shares of the rows that have one."""
    values = column.get("values") or {}
    most = sorted(values.items(), key=lambda each: -each[1])[:MOST_VALUES]
    more = ["…"] if len(values) > MOST_VALUES else []
    return ", ".join([*(f"{_column_name(one)} {_percent(rows / column['filled'])}" for one, rows in most), *more])


def _percent(share: float) -> str:
    """Return a share; less than the whole is never 100.0 %, and something never 0.0 %."""
    if 0 < share < 1:
        share = min(max(share, 0.001), 0.999)
    return f"{share:.1%}".replace("%", " %")


def _line(batch: Mapping[str, Any] | None, result: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return a line of the table, by its cells."""
    known = batch or result or {}
    path = known.get("path") or known.get("source") or str(known.get("manifest") or UNKNOWN).rpartition("/")[0]
    sent, back = (batch or {}).get("rows"), (result or {}).get("rows")
    state = DONE
    if result is None:
        state = "missing"
    elif sent is not None and back is not None and sent != back:
        state = f"{count(abs(sent - back), 'row')} {'fewer' if back < sent else 'more'}"
    values = (sent, back, credits_of(result.get("metrics") or {}) if result else None)
    return (short(path), *(UNKNOWN if value is None else number(value) for value in values), state)


def number(value: float) -> str:
    """Return a number with separators, and two decimals at most."""
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def cost_text(cost: float) -> str:
    """Return credits or cents with separators, and two decimals at most."""
    return number(round(float(cost), 2))


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
