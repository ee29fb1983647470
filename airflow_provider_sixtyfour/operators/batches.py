"""
Operators, and functions for TaskFlow: split an input into batches, and find the rows of one that are not yet enriched.

Both return light references, to be mapped over: ``.expand(source=split.output)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.batches.limits import BATCH_BYTES, BATCH_ROWS
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.operators._repair import SixtyfourRepairInputOperator, repair_input
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.json_params import json_file_parameters, read_json
from airflow_provider_sixtyfour.tasks.literals import can_check
from airflow_provider_sixtyfour.tasks.parameter_checks import check_split

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.batches.split import Batch

__all__ = ["SixtyfourRepairInputOperator", "SixtyfourSplitInputOperator", "repair_input", "split_input"]


def split_input(
    *,
    source: str | ObjectStoragePath | None = None,
    rows: Any = None,
    destination: str | ObjectStoragePath,
    delimiter: str | None = None,
    rename_columns: Mapping[str, str] | None = None,
    unique_by: str | Sequence[str] = (),
    required: str | Sequence[str] = (),
    row_check: Callable[[Mapping[str, Any]], str | None] | None = None,
    rejects: str | ObjectStoragePath | None = None,
    batch_rows: int = BATCH_ROWS,
    batch_bytes: int = BATCH_BYTES,
    max_rows: int | None = None,
    max_runs: int | None = None,
    pilot_rows: int | None = None,
) -> list[Batch]:
    """
    Split an input into batches, as `SixtyfourSplitInputOperator` does; parameters and value are the same.

    :raises SixtyfourInputError: if a parameter or the input can't be right.
    """
    from airflow_provider_sixtyfour.tasks.split_input import split

    return split(
        source=source,
        rows=rows,
        destination=destination,
        delimiter=delimiter,
        rename_columns=rename_columns,
        unique_by=unique_by,
        required=required,
        row_check=row_check,
        rejects=rejects,
        batch_rows=batch_rows,
        batch_bytes=batch_bytes,
        max_rows=max_rows,
        max_runs=max_runs,
        pilot_rows=pilot_rows,
    )[0]


class SixtyfourSplitInputOperator(BaseOperator):
    """
    Split an input into batches, each a file that one run can take.

    The input is read once, in constant memory. A batch ends where a row ends, and has the input's header; the rows are
    the input's own bytes. The same input gives the same files, so that a retry writes them again.

    :param source: a file with a row a line: ``.csv`` (UTF-8, with a header, separated by commas), ``.ndjson`` or
        ``.jsonl``, as a URL: ``s3://conn_id@bucket/leads.csv``, ``gs://…``, ``abfs://…``, ``file:///…``. (templated)
    :param rows: instead, rows that an upstream task made: a list of objects, JSON text, or the path of a ``.json`` file
        next to the Dag; they become ``.ndjson`` files. (templated)
    :param destination: the folder to write to, as a URL. It should be this input's own, such as
        ``…/{{ run_id }}/``: a file of the same name there is replaced. (templated)
    :param subfolder: the name of a folder in there to write to instead; the group ``sixtyfour_enrichment`` sets it.
    :param delimiter: what separates the cells of a CSV file, if it isn't commas: one character, such as ``";"``, or
        ``"tab"``. The batches get commas. The name may end in ``.tsv`` or ``.txt`` then, too. Without, a file that
        probably has other separators is refused; ``","`` says that it has commas all the same. (templated)
    :param rename_columns: other names for some columns: ``{"Company Name": "company"}``. All parameters below go by
        the new ones. (templated)
    :param unique_by: columns of which no two rows may have the same text: the first row is kept, the others are
        dropped. A row in which they are all empty is kept. Takes about 15 MB for a million rows. (templated)
    :param required: columns that must not be empty. (templated)
    :param row_check: a function that takes a row, as a mapping, and returns ``None``, or the reason why it can't be
        sent.
    :param rejects: a file to write, as a URL, for rows that lack cells or are no JSON, lack something required, fail
        the check, or are duplicates: one JSON object a row, with ``line``, ``reason`` and ``text``. Without, the first
        such row fails the task, but for duplicates. (templated)
    :param batch_rows: rows of a batch, 100,000 at most, as the API takes. Default 5,000: 200 batches of a million
        rows, far from the 1,024 tasks that ``[core] max_map_length`` lets one task map to; and a run that fails costs
        a small part of the whole. (templated)
    :param batch_bytes: bytes of a batch, 100,000,000 at most. Default 50,000,000. (templated)
    :param max_rows: fail if there are more rows than this to send, before anything is sent. (templated)
    :param max_runs: fail if they make more batches than this, likewise; each is a run. (templated)
    :param pilot_rows: how many rows the first batch has, where it is to be smaller than the others, to be enriched
        before them: see ``SixtyfourPilotOperator``. (templated)

    :returns: a list with, for each batch, its ``index``, ``path``, ``rows``, ``bytes`` and ``sha256``; empty if the
        input has no rows. XCom ``summary`` has the counts: ``batches``, ``rows``, ``duplicates``, the file of
        ``rejects``, and the names of the ``columns`` in the header of CSV.
    :raises AirflowFailException: if a parameter or the input can't be right; the message names the line.
    """

    template_fields: Sequence[str] = (
        "source",
        "rows",
        "destination",
        "delimiter",
        "rename_columns",
        "unique_by",
        "required",
        "rejects",
        "batch_rows",
        "batch_bytes",
        "max_rows",
        "max_runs",
        "pilot_rows",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"rows": "json", "rename_columns": "json"}
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        destination: str | ObjectStoragePath,
        source: str | ObjectStoragePath | None = None,
        rows: Any = None,
        delimiter: str | None = None,
        rename_columns: Mapping[str, str] | None = None,
        unique_by: str | Sequence[str] = (),
        required: str | Sequence[str] = (),
        row_check: Callable[[Mapping[str, Any]], str | None] | None = None,
        rejects: str | ObjectStoragePath | None = None,
        batch_rows: int | str = BATCH_ROWS,
        batch_bytes: int | str = BATCH_BYTES,
        max_rows: int | str | None = None,
        max_runs: int | str | None = None,
        pilot_rows: int | str | None = None,
        subfolder: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.destination = destination
        self.subfolder = subfolder
        self.source = source
        self.rows = rows
        self.delimiter = delimiter
        self.rename_columns = rename_columns
        self.unique_by = unique_by
        self.required = required
        self.row_check = row_check
        self.rejects = rejects
        self.batch_rows = batch_rows
        self.batch_bytes = batch_bytes
        self.max_rows = max_rows
        self.max_runs = max_runs
        self.pilot_rows = pilot_rows
        self._has_pilot = pilot_rows is not None
        self._json_files = json_file_parameters(self, rows=rows)
        if can_check(self, SixtyfourSplitInputOperator):
            with non_retryable_errors():
                check_split(self)

    def execute(self, context: Context) -> list[Batch]:
        """Read, cut and write."""
        from airflow_provider_sixtyfour.tasks.split_input import split

        destination = self.destination
        if self.subfolder is not None and destination is not None:
            destination = f"{str(destination).rstrip('/')}/{self.subfolder}"
        with non_retryable_errors(self.log):
            if self._has_pilot and self.pilot_rows is None:
                raise SixtyfourInputError("pilot_rows is None: then the pilot would be a whole batch. Give a number.")
            batches, summary = split(
                source=self.source,
                rows=read_json(self, "rows", context, self._json_files),
                destination=destination,
                delimiter=self.delimiter,
                rename_columns=self.rename_columns,
                unique_by=self.unique_by,
                required=self.required,
                row_check=self.row_check,
                rejects=self.rejects,
                batch_rows=self.batch_rows,
                batch_bytes=self.batch_bytes,
                max_rows=self.max_rows,
                max_runs=self.max_runs,
                pilot_rows=self.pilot_rows,
            )
        context["ti"].xcom_push(key="summary", value=summary)
        return batches
