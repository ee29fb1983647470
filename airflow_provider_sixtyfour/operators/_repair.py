"""An operator, and a function for TaskFlow: find the rows of an input that are not yet enriched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.batches.limits import BATCH_BYTES, BATCH_ROWS
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.literals import can_check
from airflow_provider_sixtyfour.tasks.parameter_checks import check_repair

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.batches.split import Batch


def repair_input(
    *,
    source: Any,
    results: Any,
    destination: str | ObjectStoragePath,
    key: str | Sequence[str],
    result_columns: str | Sequence[str] = (),
    min_quality: Mapping[str, float] | None = None,
    delimiter: str | None = None,
    rename_columns: Mapping[str, str] | None = None,
    batch_rows: int = BATCH_ROWS,
    batch_bytes: int = BATCH_BYTES,
    max_rows: int | None = None,
    max_runs: int | None = None,
) -> list[Batch]:
    """
    Write the rows of an input that are not yet enriched; parameters and value as `SixtyfourRepairInputOperator`.

    :raises SixtyfourInputError: if a parameter or a file can't be right.
    """
    from airflow_provider_sixtyfour.tasks.split_input import repair

    return repair(
        source=source,
        results=results,
        destination=destination,
        key=key,
        result_columns=result_columns,
        min_quality=min_quality,
        delimiter=delimiter,
        rename_columns=rename_columns,
        batch_rows=batch_rows,
        batch_bytes=batch_bytes,
        max_rows=max_rows,
        max_runs=max_runs,
    )[0]


class SixtyfourRepairInputOperator(BaseOperator):
    """
    Write the rows of an input that are not yet enriched, as the batches of the next, smaller attempt.

    A row is pending if no row of the results has its key, or if one has but all its result columns are empty. With
    ``min_quality={"email": 0.8}`` it is also pending if its ``email`` is empty, as long as fewer than 80 % of the rows
    that came back have one: then the next attempt is worth its credits.

    :param source: what was sent: a file's URL, the references that ``SixtyfourSplitInputOperator`` returns, or a list
        of either. (templated)
    :param results: what came back, as ``.csv``, ``.ndjson`` or ``.jsonl``: a file's URL, what
        ``SixtyfourEnrichOperator``, ``SixtyfourToObjectStorageOperator`` or ``SixtyfourCollectBatchesOperator`` (its
        merged file) returns, or a list of any, also nested as mapped tasks return them. With an empty list every row is
        pending. (templated)
    :param destination: the folder to write to, as a URL. (templated)
    :param key: columns whose text identifies a row, such as ``email``, by the names that they have in the
        results. A row in which they are all empty is left out: nothing shows whether it came back. (templated)
    :param result_columns: columns of the results; a row with all of them empty is pending. Without any, a
        row that came back is done. (templated)
    :param min_quality: the least share of rows, from 0 to 1, that should have something in a column of the results, by
        the column's name. Where ``quality`` in ``results`` says that it is less, a row in which that column is empty
        is pending, too; where it is not less, the column's gaps are left as they are. For results that
        ``SixtyfourEnrichOperator`` or ``SixtyfourCollectBatchesOperator`` (with ``merge_into``) returned, of files up
        to 64 MiB. Without results, every row is pending. (templated)
    :param delimiter: what separates the cells of the input, as for the split; not if ``source`` is its batches.
        (templated)
    :param rename_columns: other names for some columns of the input, as for the split; not if ``source`` is its
        batches. (templated)
    :param batch_rows: rows of a batch, as for the split. (templated)
    :param batch_bytes: bytes of a batch, as for the split. (templated)
    :param max_rows: fail if more rows than this are pending, before anything is sent. (templated)
    :param max_runs: fail if they make more batches than this, likewise; each is a run. (templated)

    :returns: references as ``SixtyfourSplitInputOperator`` returns them; an empty list if nothing is left, over which a
        mapped task is skipped. XCom ``summary`` has the counts: ``batches``, ``rows``, ``without_key``.
    :raises AirflowFailException: if a parameter or a file can't be right; the message names the line.
    """

    template_fields: Sequence[str] = (
        "source",
        "results",
        "destination",
        "key",
        "result_columns",
        "min_quality",
        "delimiter",
        "rename_columns",
        "batch_rows",
        "batch_bytes",
        "max_rows",
        "max_runs",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "source": "json",
        "results": "json",
        "min_quality": "json",
        "rename_columns": "json",
    }
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        source: Any,
        results: Any,
        destination: str | ObjectStoragePath,
        key: str | Sequence[str],
        result_columns: str | Sequence[str] = (),
        min_quality: Mapping[str, float | str] | None = None,
        delimiter: str | None = None,
        rename_columns: Mapping[str, str] | None = None,
        batch_rows: int | str = BATCH_ROWS,
        batch_bytes: int | str = BATCH_BYTES,
        max_rows: int | str | None = None,
        max_runs: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source = source
        self.results = results
        self.destination = destination
        self.key = key
        self.result_columns = result_columns
        self.min_quality = min_quality
        self.delimiter = delimiter
        self.rename_columns = rename_columns
        self.batch_rows = batch_rows
        self.batch_bytes = batch_bytes
        self.max_rows = max_rows
        self.max_runs = max_runs
        if can_check(self, SixtyfourRepairInputOperator):
            with non_retryable_errors():
                check_repair(self)

    def execute(self, context: Context) -> list[Batch]:
        """Read what came back, then write what didn't."""
        from airflow_provider_sixtyfour.tasks.split_input import repair

        with non_retryable_errors(self.log):
            batches, summary = repair(
                source=self.source,
                results=self.results,
                destination=self.destination,
                key=self.key,
                result_columns=self.result_columns,
                min_quality=self.min_quality,
                delimiter=self.delimiter,
                rename_columns=self.rename_columns,
                batch_rows=self.batch_rows,
                batch_bytes=self.batch_bytes,
                max_rows=self.max_rows,
                max_runs=self.max_runs,
            )
        context["ti"].xcom_push(key="summary", value=summary)
        return batches
