"""
What became of the batches of an input: the manifest of the whole.

Invariant: every batch is in it once, either with its result or among the missing ones; and it is complete exactly if
none is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_sixtyfour.api.metrics import total
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.json_text import json_bytes
from airflow_provider_sixtyfour.formats.quality import Quality, read_quality
from airflow_provider_sixtyfour.formats.quality import total as total_quality

VERSION = 1
NAMED = 5  # missing batches that a message names

TaskResult = Mapping[str, Any]  # what a task has returned


@dataclass(frozen=True)
class BatchSummary:
    """
    All batches with what became of them.

    :param results: what the enrich tasks returned, in the order of the batches.
    :param sent: the rows that went in, where the batches are known.
    :param missing: the batches without a result.
    :param wanted: all batches, where they are known.
    """

    results: tuple[TaskResult, ...]
    sent: int | None
    missing: tuple[TaskResult, ...]
    wanted: tuple[TaskResult, ...] | None = None

    @property
    def is_dry(self) -> bool:
        """Whether nothing was run."""
        return any(result["job_id"] is None for result in self.results)

    @property
    def totals(self) -> dict[str, Any]:
        """What can be added up."""
        rows = [result["rows"] for result in self.results]
        return {
            "batches": len(self.results) + len(self.missing),
            "rows_sent": self.sent,
            "rows": None if None in rows else sum(rows),
            "bytes": sum(result["bytes"] for result in self.results),
            "metrics": total(result.get("metrics") or {} for result in self.results),
            "quality": self.quality,
        }

    @property
    def quality(self) -> Quality:
        """The quality of the whole, in the rows of those batches of which it is known."""
        return total_quality((read_quality(result.get("quality")) for result in self.results), is_one_table=True)

    def text(
        self,
        created_at: str,
        merged: TaskResult | None,
        not_merged: str | None = None,
        approval: Mapping[str, Any] | None = None,
    ) -> bytes:
        """
        Return the manifest: JSON, in UTF-8.

        :param created_at: ISO 8601, UTC.
        :param merged: the file that all of it was merged into.
        :param not_merged: why there is none, where one was asked for.
        :param approval: who has agreed to the cost, where somebody was to be asked.
        """
        return json_bytes(
            {
                "version": VERSION,
                "created_at": created_at,
                "complete": not self.missing,
                **self.totals,
                "merged": merged,
                **({"not_merged": not_merged} if not_merged else {}),
                **({} if approval is None else {"approval": approval}),
                "results": self.results,
                "missing": self.missing,
            },
            indent=2,
        )

    @property
    def each(self) -> Iterator[tuple[TaskResult | None, TaskResult | None]]:
        """Give each batch and its result, in the order of the batches; what isn't known of one is ``None``."""
        if self.wanted is None:
            yield from ((None, result) for result in self.results)
            return
        by_source = {result["source"]: result for result in self.results}
        yield from ((batch, by_source.get(batch["path"])) for batch in self.wanted)

    def missing_names(self) -> str:
        """Name the batches that are missing."""
        names = [str(batch["path"]).rpartition("/")[2] for batch in self.missing[:NAMED]]
        more = len(self.missing) - len(names)
        return ", ".join(names) + (f" and {more} more" if more else "")


def collect(batches: Any, results: Any) -> BatchSummary:
    """
    Bring batches and results together.

    :param batches: references as a split returns them, or a nesting of lists of them; ``None`` if what there should be
        isn't known, so that nothing can be missing.
    :param results: what ``SixtyfourEnrichOperator`` returned, likewise.
    :raises SixtyfourInputError: if one is something else, a result is of none of the batches, or two are of one.
    """
    found = list(references(results, "results", ("job_id", "source", "rows", "bytes", "files", "manifest")))
    if batches is None:
        _refuse_shared_folders(found)
        return BatchSummary(tuple(found), None, ())
    wanted = list(references(batches, "batches", ("path", "rows")))
    by_source: dict[str, TaskResult] = {}
    for result in found:
        if by_source.setdefault(result["source"], result) is not result:
            raise SixtyfourInputError(f"results has two results of the batch {result['source']}.")
    _refuse_shared_folders(found)
    paths = [batch["path"] for batch in wanted]
    if twice := [path for path, times in Counter(paths).items() if times > 1]:
        raise SixtyfourInputError(f"batches has {twice[0]} twice.")
    if strange := by_source.keys() - set(paths):
        raise SixtyfourInputError(f"results has a result of {min(map(str, strange))}, which is none of the batches.")
    return BatchSummary(
        results=tuple(by_source[path] for path in paths if path in by_source),
        sent=sum(batch["rows"] for batch in wanted),
        missing=tuple(batch for batch in wanted if batch["path"] not in by_source),
        wanted=tuple(wanted),
    )


def _refuse_shared_folders(found: Sequence[TaskResult]) -> None:
    """
    Check that no two batches have landed in one folder.

    :raises SixtyfourInputError: if they have: what one of them brought is gone.
    """
    runs: dict[str, str] = {}
    for result in found:
        manifest = result["manifest"]
        if manifest is None or runs.setdefault(manifest, result["job_id"]) == result["job_id"]:
            continue
        raise SixtyfourInputError(
            f"Several batches have landed in one folder, so the last has replaced the others: {manifest}. Give each "
            "input a destination of its own."
        )


def references(value: Any, name: str, keys: Sequence[str]) -> Iterator[TaskResult]:
    """Give the references in any nesting; ``None`` is what a mapped task leaves that was skipped."""
    if isinstance(value, Mapping):
        if missing := [key for key in keys if key not in value]:
            raise SixtyfourInputError(
                f"{name} has something without {missing[0]!r}: {sorted(map(str, value))!s:.120}. Give it what the "
                "operators return."
            )
        yield value
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for one in value:
            yield from references(one, name, keys)
    elif value is not None:
        raise SixtyfourInputError(f"{name} should be what the operators return, not {value!r:.60}.")
