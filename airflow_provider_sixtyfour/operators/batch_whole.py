"""
The batches of an input as a whole, in an object store: one manifest, and one file if that is asked for.

Invariant: the manifest is written last, and only a file that has all rows of all batches appears under the merged
file's name.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_sixtyfour.api.errors import (
    SixtyfourIncompleteError,
    SixtyfourInputError,
    SixtyfourTransferError,
)
from airflow_provider_sixtyfour.batches.collecting import Told, collect
from airflow_provider_sixtyfour.batches.merging import merge
from airflow_provider_sixtyfour.batches.rejects import NoRejects
from airflow_provider_sixtyfour.batches.sources import EXTENSIONS, open_source
from airflow_provider_sixtyfour.stores.publishing import publish, publishing
from airflow_provider_sixtyfour.transfers.destination import MANIFEST, extension, object_storage_path
from airflow_provider_sixtyfour.transfers.input_file import Hashed, opened
from airflow_provider_sixtyfour.transfers.lengths import check_length
from airflow_provider_sixtyfour.transfers.lineage import Data, tell_hook_lineage, uri_of
from airflow_provider_sixtyfour.transfers.manifest import now

if TYPE_CHECKING:
    from typing import BinaryIO

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.batches.sources import Source
    from airflow_provider_sixtyfour.batches.written import Reference

log = logging.getLogger(__name__)


def collect_whole(*, batches: Any, results: Any, destination: Any, merge_into: Any) -> dict[str, Any]:
    """
    Write the manifest of the whole; see `SixtyfourCollectBatchesOperator` for the parameters and the value.

    :raises SixtyfourInputError: if a parameter can't be right.
    :raises SixtyfourIncompleteError: if batches are missing, after the manifest has been written.
    :raises SixtyfourTransferError: if a file isn't what its batch has landed.
    """
    folder = object_storage_path(destination, "destination")
    target = None if merge_into is None else object_storage_path(merge_into, "merge_into")
    check_length(folder, "destination", below=len(MANIFEST))
    if target is not None:
        check_length(target, "merge_into")
    whole = collect(batches, results)
    if whole.is_dry:
        log.info("Dry run: %s. Nothing was sent, and nothing is written.", whole.totals)
        return {**whole.totals, "merged": None, "manifest": None}
    # Looked at first: what can't be merged is known before anything is written.
    parts = [] if target is None else _mergeable(whole.results, target)
    manifest = folder / MANIFEST
    if manifest.fs.exists(manifest.path):
        manifest.fs.rm_file(manifest.path)  # it would go on naming a merged file that is about to change
    merged = _merged(parts, target) if target is not None and not whole.missing else None
    publish(manifest.fs, manifest.path, whole.text(now(), merged).encode())
    if whole.missing:
        raise SixtyfourIncompleteError(
            f"{len(whole.missing)} of {whole.totals['batches']} batches have no result: {whole.lack()}. Clear their "
            f"tasks, with downstream: what is done is not paid for again. {manifest} says what is there."
        )
    log.info("All batches are there: %s. See %s.", whole.totals, manifest)
    return {**whole.totals, "merged": merged, "manifest": str(manifest)}


def _mergeable(results: Sequence[Told], target: ObjectStoragePath) -> list[Mapping[str, Any]]:
    """
    Return the one file of each batch.

    :raises SixtyfourInputError: if a batch has several, or one that can't be appended to another.
    """
    files = []
    for result in results:
        if len(result["files"]) != 1:
            raise SixtyfourInputError(
                f"{result['manifest']} has {len(result['files'])} files; merge_into takes one of each batch, as "
                "files='final' lands it."
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


def _merged(files: Sequence[Mapping[str, Any]], target: ObjectStoragePath) -> Reference:
    """Publish the merged file, and return a reference to it."""
    with publishing(target.fs, target.path) as publication:
        # A file without a byte in it has no header either.
        merged = merge([partial(_opened, file) for file in files if file["bytes"]], publication)
        publication.commit()
    log.info("Merged %d files into %s.", len(files), target)
    read = [Data(uri_of(object_storage_path(file["path"], "results")), file["rows"], file["bytes"]) for file in files]
    tell_hook_lineage(target, read, [Data(uri_of(target), merged.rows, merged.bytes)])
    return merged.reference(str(target))


@contextmanager
def _opened(file: Mapping[str, Any]) -> Iterator[Source]:
    """
    Open a file of a batch, to be read to its end.

    :raises SixtyfourTransferError: in the end, if it isn't the one that the batch has landed.
    """
    path = object_storage_path(file["path"], "results")
    name = str(path)
    with opened(path) as stream:
        hashed = Hashed(stream)
        yield open_source(cast("BinaryIO", hashed), name, rejects=NoRejects(name))
        if hashed.sha256 != file["sha256"]:
            raise SixtyfourTransferError(
                f"{name} is not what its batch has landed: it has {hashed.bytes} bytes and another SHA-256. Nothing "
                "was merged. Remove it and clear the batch's task, which lands it again."
            )
