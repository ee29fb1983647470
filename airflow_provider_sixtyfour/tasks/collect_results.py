"""
The batches of an input as a whole, in an object store: one manifest, and one file if that is asked for.

Invariant: the manifest is written last, in any case, and only a file that has all rows of all batches appears under the
merged file's name.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.batches.collect import BatchSummary, TaskResult, collect
from airflow_provider_sixtyfour.batches.merge import merge
from airflow_provider_sixtyfour.batches.result_rows import open_result
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourIncompleteError,
    SixtyfourInputError,
    SixtyfourTransferError,
)
from airflow_provider_sixtyfour.formats.input_formats import EXTENSIONS
from airflow_provider_sixtyfour.formats.table import format_of
from airflow_provider_sixtyfour.inputs.file import opened
from airflow_provider_sixtyfour.results.manifest import now
from airflow_provider_sixtyfour.results.progress import size
from airflow_provider_sixtyfour.storage.errors import publish, publishing, store_errors
from airflow_provider_sixtyfour.storage.file_stats import HashingReader
from airflow_provider_sixtyfour.storage.name_lengths import check_length
from airflow_provider_sixtyfour.storage.object_paths import MANIFEST, extension, object_storage_path
from airflow_provider_sixtyfour.tasks.batch_log import collected, cost_text, count, quality_table, table
from airflow_provider_sixtyfour.tasks.lineage import Dataset, record_hook_lineage, uri_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.batches.result_rows import Result
    from airflow_provider_sixtyfour.storage.file_stats import Reference

log = logging.getLogger(__name__)

_COLLECTS_AGAIN = "A retry of the task collects again and pays for nothing."


def collect_whole(
    *,
    batches: Any,
    results: Any,
    destination: Any,
    merge_into: Any,
    approval: Any = None,
    budget: Any = None,
    columns: Callable[[], Sequence[str]] = tuple,
) -> dict[str, Any]:
    """
    Write the manifest of the whole; see `SixtyfourCollectBatchesOperator` for the parameters and the value.

    :param columns: gives the names of the input's columns, for a merged file without any row.
    :raises SixtyfourInputError: if a parameter can't be right; or, after the manifest has been written, if the files of
        the batches can't be merged.
    :raises SixtyfourIncompleteError: if batches are missing, after the manifest has been written.
    :raises SixtyfourTransferError: if a file isn't what its batch has landed, likewise.
    """
    began = time.monotonic()
    folder = object_storage_path(destination, "destination")
    target = None if merge_into is None else object_storage_path(merge_into, "merge_into")
    check_length(folder, "destination", below=len(MANIFEST))
    if target is not None:
        check_length(target, "merge_into")
    whole = collect(batches, results)
    agreed = {} if approval is None else {"approval": approval}
    if whole.is_dry:
        log.info("Dry run, nothing was sent: %s", collected(whole, None, time.monotonic() - began))
        return {**whole.totals, **agreed, "merged": None, "manifest": None}
    manifest = folder / MANIFEST
    with store_errors("remove", manifest.fs, manifest.path, then=_COLLECTS_AGAIN):
        if manifest.fs.exists(manifest.path):
            manifest.fs.rm_file(manifest.path)  # it names a merged file that is about to change
    merged: Reference | None = None
    problem: Exception | None = None
    if target is not None and not whole.missing:
        try:
            merged = _merged(_mergeable(whole.results, target), target, columns)
        except Exception as error:  # whatever it is: what was paid for is on record first
            problem = error
    not_merged = None if problem is None else _reason(problem)
    text = whole.text(now(), merged, not_merged, approval)
    publish(manifest.fs, manifest.path, text, then=_COLLECTS_AGAIN)
    for line in chain(table(whole), quality_table(whole.quality)):
        log.info("%s", line)
    if whole.missing:
        raise SixtyfourIncompleteError(
            f"{len(whole.missing)} of {whole.totals['batches']} batches have no result: {whole.missing_names()}. "
            f"{_what_next(whole, budget)} {manifest} says what is there."
        )
    if isinstance(problem, SixtyfourInputError | SixtyfourTransferError):
        raise type(problem)(
            f"{problem} Nothing was merged. All {count(len(whole.results), 'batch', 'batches')} have results, see "
            f"{manifest}."
        ) from None
    if problem is not None:
        raise problem
    log.info("%s Manifest: %s.", collected(whole, merged, time.monotonic() - began), manifest)
    return {**whole.totals, **agreed, "merged": merged, "manifest": str(manifest)}


def _what_next(whole: BatchSummary, budget: Any) -> str:
    """Return what to do about batches that are missing."""
    limit = budget if isinstance(budget, Mapping) and budget.get("batches_left_out") else None
    if limit is not None:
        spent = cost_text(whole.totals["metrics"].get(limit["metric"], 0))
        rows = count(sum(batch["rows"] for batch in whole.missing), "row")
        return (
            f"{limit['limited_by']} has left out {limit['batches_left_out']:,} of them: {spent} of "
            f"{cost_text(limit['limit'])} {limit['metric']} are spent, {rows} are not yet enriched. Raise it and clear "
            "the estimate, with downstream: what is done is not paid for again."
        )
    return "Clear their tasks, with downstream: what is done is not paid for again."


def _reason(problem: Exception) -> str:
    """Return why nothing was merged; of an error of a store its kind alone, for it may name a signed URL."""
    return str(problem) if isinstance(problem, SixtyfourError) else type(problem).__name__


def _mergeable(results: Sequence[TaskResult], target: ObjectStoragePath) -> list[Mapping[str, Any]]:
    """
    Return the one file of each batch.

    :raises SixtyfourInputError: if a batch has several, or one that can't be appended to another.
    """
    files = []
    for result in results:
        if len(result["files"]) != 1:
            raise SixtyfourInputError(
                f"A batch has {len(result['files'])} files; merge_into takes one of each, as files='final' lands it. "
                f"See {result['manifest']}."
            )
        files += result["files"]
    ending = extension(target)
    for file in files:
        path = object_storage_path(file["path"], "results")
        if extension(path) != ending or ending not in EXTENSIONS:
            raise SixtyfourInputError(
                f"merge_into {target} should end as the files of the batches do, in {' or '.join(EXTENSIONS)}; there "
                f"is {path}. Other formats can't be appended to one another: read the files by the manifest."
            )
        if path == target:
            raise SixtyfourInputError(f"merge_into {target} is a file of a batch.")
    return files


def _merged(
    files: Sequence[Mapping[str, Any]], target: ObjectStoragePath, columns: Callable[[], Sequence[str]]
) -> Reference:
    """Publish the merged file, and return a reference to it."""
    form = format_of(extension(target))
    needs_header = form is not None and form.has_header and not any(file["bytes"] for file in files)
    names = columns() if needs_header else ()
    with publishing(target.fs, target.path, then=_COLLECTS_AGAIN) as publication:
        merged = merge([partial(_opened, file) for file in files], publication, names)
        publication.commit()
    log.info("Merged %s: %s, %s. %s", count(len(files), "file"), count(merged.rows, "row"), size(merged.bytes), target)
    read = [
        Dataset(uri_of(object_storage_path(file["path"], "results")), file["rows"], file["bytes"]) for file in files
    ]
    record_hook_lineage(target, read, [Dataset(uri_of(target), merged.rows, merged.bytes)])
    return merged.reference(str(target))


@contextmanager
def _opened(file: Mapping[str, Any]) -> Iterator[Result]:
    """
    Open a file of a batch, to be read to its end.

    :raises SixtyfourTransferError: if there is none, or in the end, if it isn't the one that the batch has landed.
    """
    path = object_storage_path(file["path"], "results")
    name = str(path)
    with ExitStack() as ending:
        try:
            stream = ending.enter_context(opened(path))
        except SixtyfourInputError as error:
            raise SixtyfourTransferError(f"{error} Clear the batch's task, which lands it again.") from None
        hashed = HashingReader(stream)
        yield open_result(hashed, name)
        if hashed.sha256 != file["sha256"]:
            raise SixtyfourTransferError(
                f"A file is not what its batch has landed: it has {hashed.bytes:,} bytes and another SHA-256. Remove "
                f"it and clear the batch's task, which lands it again: {name}."
            )
