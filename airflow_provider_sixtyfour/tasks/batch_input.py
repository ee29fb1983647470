"""
The input of one batch: rows, or a file, known by a digest of the work that is to be done with it.

Invariant: the digest goes by content. The same rows or the same bytes, for the same workflow with the same specs and
formats, are the same work, wherever the file lies and whatever handle its upload gets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_sixtyfour.batches.names import folder_name
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.formats.input_formats import check_delimiter
from airflow_provider_sixtyfour.inputs import payload as payloads
from airflow_provider_sixtyfour.inputs.file import InputFile, checked_size, measure
from airflow_provider_sixtyfour.results.progress import size
from airflow_provider_sixtyfour.storage.name_lengths import LONGEST_COMPONENT, check_length
from airflow_provider_sixtyfour.storage.object_paths import object_storage_path
from airflow_provider_sixtyfour.tasks.batch_log import count, short

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.runs.deadline import WaitOptions
    from airflow_provider_sixtyfour.workflows.source import Source


class EnrichInput(NamedTuple):
    """
    What a run is to be started with.

    :param body: what to send, without the handle of the file.
    :param file: the file, where the input is one.
    :param rows: how many there are; ``None`` for a JSON file that is no array.
    :param is_batch: whether it is one of the batches of a split.
    """

    body: Mapping[str, Any]
    file: InputFile | None
    rows: int | None
    is_batch: bool = False

    def digest(self, workflow_id: str, result_formats: Sequence[str]) -> str:
        """Return a fingerprint of the work, see `payloads.digest`."""
        body = dict(self.body)
        if self.file is not None:
            body["file"] = {"sha256": self.file.sha256, "extension": PurePosixPath(self.file.name).suffix.lower()[1:]}
        return payloads.digest(workflow_id, body, result_formats)

    def check_fit(self, source: Source | None, workflow_id: str) -> None:
        """
        Check that the workflow takes this kind of input.

        :param source: its first block; ``None`` if it isn't known, which passes everything.
        :raises SixtyfourInputError: if it doesn't.
        """
        block = source.block_name if source else ""
        wanted = {payloads.WEBHOOK_SOURCE: "rows", payloads.FILE_SOURCE: "source"}.get(block)
        if wanted not in (None, "rows" if self.file is None else "source"):
            raise SixtyfourInputError(
                f"Give {wanted} instead: the workflow begins with the block {block!r}. Workflow {workflow_id}."
            )
        payloads.check_columns(self.body, source, workflow_id, "rows")

    def check_file(self) -> None:
        """
        Look whether the file is there.

        :raises SixtyfourInputError: if it isn't, or can't be sent.
        """
        if self.file is not None:
            checked_size(self.file.path, delimiter=self.file.delimiter)

    def __str__(self) -> str:
        rows = "an unknown number of rows" if self.rows is None else count(self.rows, "row")
        if self.file is None:
            return f"{rows} of this task"
        return f"{short(self.file.path)} ({rows}, {size(self.file.bytes)})"


class Work(NamedTuple):
    """
    What a task that enriches one batch has to do.

    :param formats: the result files that its run makes.
    :param digest: of the input and of what is done with it, see `EnrichInput.digest`.
    :param folder: where the files land.
    :param wait: how the task waits for the run.
    """

    given: EnrichInput
    formats: tuple[str, ...]
    digest: str
    folder: ObjectStoragePath
    wait: WaitOptions


def enrich_input(
    *, source: Any, rows: Any, specs_override: Any, max_rows: int, delimiter: str | None = None
) -> EnrichInput:
    """
    Check the input of a batch; a file that only its URL is known of is read through.

    :raises SixtyfourInputError: if it can't be sent.
    """
    if (source is None) == (rows is None):
        raise SixtyfourInputError("Give source or rows, and not both: a run has one input.")
    body = payloads.run_body(None, None, specs_override)
    if "resource_handle_id" in body.get("specs_override", {}):
        raise SixtyfourInputError(
            "specs_override names a resource_handle_id; give source or rows alone: a run has one input."
        )
    delimiter = check_delimiter(delimiter)
    if source is not None:
        file = _file(source, max_rows, delimiter)
        count = file.rows
    else:
        if delimiter is not None:
            raise SixtyfourInputError("delimiter is for a file of CSV: rows have names of their own.")
        payload = payloads.check_rows(rows, "rows")
        body["webhook_payload"], file = payload, None
        count = len(payload) if isinstance(payload, list) else 1
    if count is not None and count > max_rows:
        raise SixtyfourInputError(f"There are {count:,} rows; max_rows allows {max_rows:,}.")
    return EnrichInput(body=body, file=file, rows=count, is_batch=isinstance(source, Mapping))


def batch_folder(destination: Any, source: Any, map_index: int | None) -> ObjectStoragePath:
    """
    Return the folder of one batch, the same at each try and in each Dag run.

    :param source: a reference to a batch gives the folder the name of its file, see `names.folder_name`.
    :param map_index: of a mapped task, whose number is the name for any other input; else it is ``destination`` itself.
    :raises SixtyfourInputError: if ``destination`` can't be reached, or is so long that no result could land there.
    """
    folder = object_storage_path(destination, "destination")
    if isinstance(source, Mapping):
        folder = folder / folder_name(object_storage_path(source.get("path"), "source").name)
    elif map_index is not None and map_index >= 0:
        folder = folder / f"{map_index:05d}"
    check_length(folder, "destination", below=LONGEST_COMPONENT)
    return folder


def _file(source: Any, max_rows: int, delimiter: str | None) -> InputFile:
    if isinstance(source, Mapping) and delimiter is not None:
        raise SixtyfourInputError(
            "delimiter is for a file: a batch of a split has commas already. Give it to SixtyfourSplitInputOperator."
        )
    match source:
        case {"path": str(path), "rows": int(rows), "bytes": int(size), "sha256": str(sha256)}:
            # Whoever split the input has read it; that the file is still the same is seen when it is sent.
            return InputFile(object_storage_path(path, "source"), rows, size, sha256)
        case Mapping():
            raise SixtyfourInputError(
                "source should be a URL, or one batch as SixtyfourSplitInputOperator returns it, with path, rows, "
                f"bytes and sha256; this one has {sorted(map(str, source))!s:.120}."
            )
    return measure(object_storage_path(source, "source"), max_rows, delimiter)
