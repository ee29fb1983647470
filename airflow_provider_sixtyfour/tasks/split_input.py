"""
Batches between object stores: opens inputs, has `batches` read and cut them, and publishes what comes of it.

An input is read as it comes, without a copy of it on local disk; a batch appears in one step.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from itertools import chain
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.batches.limits import limits, most
from airflow_provider_sixtyfour.batches.min_quality import quality_of, shortfalls
from airflow_provider_sixtyfour.batches.names import batch_stem
from airflow_provider_sixtyfour.batches.repair import Repair, same_columns
from airflow_provider_sixtyfour.batches.result_rows import open_result
from airflow_provider_sixtyfour.batches.row_filter import RowFilter
from airflow_provider_sixtyfour.batches.split import write_batches
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.columns import check_names
from airflow_provider_sixtyfour.formats.reader import open_rows, open_source
from airflow_provider_sixtyfour.formats.rejects import NoRejects, RejectFile, Rejects
from airflow_provider_sixtyfour.inputs.file import opened
from airflow_provider_sixtyfour.inputs.limits import read_shares
from airflow_provider_sixtyfour.storage.errors import publishing
from airflow_provider_sixtyfour.storage.multipart import PartSenders
from airflow_provider_sixtyfour.storage.name_lengths import check_length
from airflow_provider_sixtyfour.storage.object_paths import object_storage_path
from airflow_provider_sixtyfour.tasks.batch_log import count, quality_lines, repair_done, split_done
from airflow_provider_sixtyfour.tasks.lineage import Dataset, record_hook_lineage, uri_of

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.batches.split import Batch
    from airflow_provider_sixtyfour.formats.reader import Source
    from airflow_provider_sixtyfour.formats.records import RecordChunk
    from airflow_provider_sixtyfour.storage.protocols import Publication

log = logging.getLogger(__name__)

_NOTHING_PAID = "Nothing was started or paid for."


def split(
    *,
    source: str | ObjectStoragePath | None,
    rows: Any,
    destination: str | ObjectStoragePath,
    delimiter: str | None,
    rename_columns: Mapping[str, str] | None,
    unique_by: str | Sequence[str],
    required: str | Sequence[str],
    row_check: Callable[[Mapping[str, Any]], str | None] | None,
    rejects: str | ObjectStoragePath | None,
    batch_rows: int | str,
    batch_bytes: int | str,
    max_rows: int | str | None,
    max_runs: int | str | None,
    pilot_rows: int | str | None = None,
) -> tuple[list[Batch], dict[str, Any]]:
    """
    Split a file, or rows; see `SixtyfourSplitInputOperator` for the parameters.

    :returns: the batches, and a summary.
    :raises SixtyfourInputError: if a parameter or the input can't be right.
    """
    if (source is None) == (rows is None):
        raise SixtyfourInputError("Give source or rows, and not both: a split has one input.")
    began = time.monotonic()
    sizes = limits(batch_rows, batch_bytes, pilot_rows)
    guards = {"max_rows": most(max_rows, "max_rows"), "max_runs": most(max_runs, "max_runs")}
    keys, needed = check_names(unique_by, "unique_by"), check_names(required, "required")
    folder = object_storage_path(destination, "destination")
    path = None if source is None else object_storage_path(source, "source")
    name = "rows" if path is None else str(path)
    with ExitStack() as ending, _rejecting(rejects, name) as taken:
        if path is None:
            if delimiter is not None:
                raise SixtyfourInputError("delimiter is for a file of CSV: rows have names of their own.")
            records = open_rows(rows, rejects=taken, rename_columns=rename_columns)
        else:
            stream = ending.enter_context(opened(path))
            records = open_source(stream, name, rejects=taken, rename_columns=rename_columns, delimiter=delimiter)
        row_filter = RowFilter(records, unique_by=keys, required=needed, row_check=row_check, rejects=taken)
        batches = _write(row_filter.chunks(), records, folder, stem=batch_stem(name), limits=sizes, **guards)
    summary = {
        **_totals(batches),
        "duplicates": row_filter.duplicates,
        "rejects": None,
        "columns": list(records.columns),
    }
    if isinstance(taken, RejectFile):
        summary["rejects"] = taken.reference(str(rejects))
    log.info(
        "%s",
        split_done(
            name,
            folder,
            batches,
            duplicates=row_filter.duplicates,
            rejected=taken.rejected if isinstance(taken, RejectFile) else 0,
            rejects=rejects,
            seconds=time.monotonic() - began,
        ),
    )
    _record_lineage([] if path is None else [path], folder)
    return batches, summary


def repair(
    *,
    source: Any,
    results: Any,
    destination: str | ObjectStoragePath,
    key: str | Sequence[str],
    result_columns: str | Sequence[str],
    min_quality: Mapping[str, Any] | None,
    delimiter: str | None,
    rename_columns: Mapping[str, str] | None,
    batch_rows: int | str,
    batch_bytes: int | str,
    max_rows: int | str | None,
    max_runs: int | str | None,
) -> tuple[list[Batch], dict[str, Any]]:
    """
    Write the rows that are not yet enriched; see `SixtyfourRepairInputOperator` for the parameters.

    :returns: the batches, and a summary.
    :raises SixtyfourInputError: if a parameter or a file can't be right.
    """
    began = time.monotonic()
    sizes = limits(batch_rows, batch_bytes)
    guards = {"max_rows": most(max_rows, "max_rows"), "max_runs": most(max_runs, "max_runs")}
    keys = check_names(key, "key")
    if not keys:
        raise SixtyfourInputError("key should name the columns that identify a row.")
    repairing = Repair(
        key=keys,
        result_columns=check_names(result_columns, "result_columns"),
        required=_below(read_shares(min_quality, "min_quality"), results),
    )
    folder = object_storage_path(destination, "destination")
    inputs, came_back = _paths(source, "source"), _paths(results, "results")
    for path in came_back:
        with opened(path) as stream:
            repairing.note_results(open_result(stream, str(path)))
    sources = _each(inputs, rename_columns, delimiter)
    first = next(sources, None)
    batches: list[Batch] = []
    if first is not None:
        others = (repairing.pending(same_columns(first, other)) for other in sources)
        batches = _write(
            chain(repairing.pending(first), chain.from_iterable(others)),
            first,
            folder,
            stem=batch_stem(first.name, "-repair"),
            limits=sizes,
            **guards,
        )
    if batches and repairing.unknown_keys:
        log.warning(
            "No row of the input is among the %s of the results, so all of them would be paid for again: is the key "
            "written in the same way in both?",
            count(repairing.unknown_keys, "key"),
        )
    summary = {**_totals(batches), "without_key": repairing.without_key}
    name = first.name if first else None
    seconds = time.monotonic() - began
    log.info("%s", repair_done(name, folder, batches, without_key=repairing.without_key, seconds=seconds))
    _record_lineage([*inputs, *came_back], folder)
    return batches, summary


def _below(least: Mapping[str, float], results: Any) -> tuple[str, ...]:
    """
    Return the columns of the results that are filled in fewer rows than they should be, and log how many that is.

    :raises SixtyfourInputError: if that isn't known of all results.
    """
    if not least:
        return ()
    quality = quality_of(results)
    short = shortfalls(quality, least)
    for line in quality_lines(quality, least):
        log.info("%s", line)
    return tuple(short)


def _record_lineage(read: Iterable[ObjectStoragePath], folder: ObjectStoragePath) -> None:
    """Record what was read, and the folder that was written to; it may hold more files than Airflow notes."""
    record_hook_lineage(folder, [Dataset(uri_of(path)) for path in read], [Dataset(uri_of(folder))])


class _Folder:
    """A folder in an object store."""

    def __init__(self, path: ObjectStoragePath, senders: PartSenders) -> None:
        self._path = path
        self._senders = senders

    def path(self, name: str) -> str:
        return str(self._path / name)

    def publishing(self, name: str) -> AbstractContextManager[Publication]:
        path = self._path / name
        return publishing(path.fs, path.path, senders=self._senders, then=_NOTHING_PAID)


def _write(
    chunks: Iterable[RecordChunk], source: Source, folder: ObjectStoragePath, *, stem: str, **more: Any
) -> list[Batch]:
    """Write batches to a folder; parameters are those of `write_batches`."""
    check_length(folder, "destination", below=len(f"{stem}-00000.{source.extension}".encode()))
    with closing(PartSenders()) as senders:
        return write_batches(chunks, source, _Folder(folder, senders), stem=stem, **more)


@contextmanager
def _rejecting(value: str | ObjectStoragePath | None, name: str) -> Iterator[Rejects]:
    """
    Give what takes the rejects of an input: a file, which appears when all has gone well, or an error.

    :param value: the file's path.
    :param name: the input, for messages.
    """
    if value is None:
        yield NoRejects(name)
        return
    path = object_storage_path(value, "rejects")
    check_length(path, "rejects")
    with publishing(path.fs, path.path, then=_NOTHING_PAID) as publication:
        yield RejectFile(publication)
        publication.commit()


def _each(
    paths: Iterable[ObjectStoragePath], rename_columns: Mapping[str, str] | None, delimiter: str | None
) -> Iterator[Source]:
    """Give files as sources, each open until the next is asked for."""
    for path in paths:
        with opened(path) as stream:
            name = str(path)
            yield open_source(stream, name, rejects=NoRejects(name), rename_columns=rename_columns, delimiter=delimiter)


def _paths(value: Any, name: str) -> list[ObjectStoragePath]:
    """
    Return the paths of a URL, a reference, what ``SixtyfourEnrichOperator`` returns, or any nesting of these.

    :raises SixtyfourInputError: for anything else.
    """
    if isinstance(value, Mapping):
        if "files" in value:
            return _paths(value["files"], name)
        if "merged" in value:  # of a collection
            return _paths(_merged(value, name), name)
        value = value.get("path")
    elif value is None:  # what a mapped task leaves that was skipped
        return []
    elif isinstance(value, Iterable) and not isinstance(value, str | PathLike):
        return [path for one in value for path in _paths(one, name)]
    return [object_storage_path(value, name)]


def _merged(summary: Mapping[str, Any], name: str) -> Any:
    """
    Return the merged file of a collection.

    :raises SixtyfourInputError: if there is none.
    """
    if not summary["merged"]:
        raise SixtyfourInputError(
            f"{name} is a collection without a merged file: set merge_into there, or give the results of the batches."
        )
    return summary["merged"]


def _totals(batches: Sequence[Batch]) -> dict[str, Any]:
    return {"batches": len(batches), "rows": sum(batch["rows"] for batch in batches)}
