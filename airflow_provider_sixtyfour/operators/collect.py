"""
An operator, and a function for TaskFlow: the results of all batches as one whole.

It is what comes after mapped tasks of ``SixtyfourEnrichOperator``, and what other tasks look at first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.literals import can_check
from airflow_provider_sixtyfour.tasks.parameter_checks import check_collect

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath


def collect_batches(
    *,
    results: Any,
    destination: str | ObjectStoragePath,
    batches: Any = None,
    merge_into: str | ObjectStoragePath | None = None,
    approval: Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """
    Write the manifest of the whole, as `SixtyfourCollectBatchesOperator` does; parameters and value are the same.

    :raises SixtyfourInputError: if a parameter can't be right.
    :raises SixtyfourIncompleteError: if batches are missing.
    :raises SixtyfourTransferError: if a file isn't what its batch has landed.
    """
    from airflow_provider_sixtyfour.tasks.collect_results import collect_whole

    return collect_whole(
        batches=batches,
        results=results,
        destination=destination,
        merge_into=merge_into,
        approval=approval,
        budget=budget,
    )


class SixtyfourCollectBatchesOperator(BaseOperator):
    """
    Write one manifest of all batches, and merge their files into one, if that is asked for.

    With ``trigger_rule="all_done"`` it also runs after batches have failed: then it writes what is there, names the
    batches that are missing, and fails, so that nothing downstream takes a part for the whole.

    :param results: what ``SixtyfourEnrichOperator`` returned, as a list, also nested. (templated)
    :param destination: the folder to write ``_manifest.json`` to, as a URL: the one that the batches have theirs
        below. (templated)
    :param batches: what was to be enriched, as ``SixtyfourSplitInputOperator`` returned it; ``None`` if that isn't
        known, so that nothing can be missing. (templated)
    :param merge_into: a file to write, as a URL, with the rows of all batches in their order: ``.csv``, ``.ndjson`` or
        ``.jsonl``, as the files of the batches are. Each of these is checked against its SHA-256, and copied as it is.
        CSV files with other columns than the first get a header with all columns. Without any row it has the header of
        the input, if ``batches`` is the ``output`` of its split. Nothing is merged while a batch is missing.
        (templated)
    :param approval: what ``SixtyfourApprovalOperator`` returned: who has agreed to the cost, for the manifest and the
        value below. (templated)
    :param budget: the XCom ``budget`` of ``SixtyfourBudgetOperator``, to say which limit has left out batches that are
        missing. (templated)

    The events of its ``outlets`` get the value below as ``extra``, and the destination as ``uri``.

    :returns: ``batches`` (how many), ``rows_sent``, ``rows`` and ``bytes`` that came back, ``metrics`` (what all runs
        have used, added up), ``quality`` (by column: in how many rows it is ``filled`` and in how many ``empty``, and
        the ``values`` of a status column; of the batches of which it is known), ``approval`` if there is one,
        ``merged`` (``path``, ``rows``, ``bytes`` and ``sha256`` of the merged file) and ``manifest`` (its URL; ``None``
        after a dry run).
    :raises AirflowSkipException: if the tasks that make batches and results were skipped.
    :raises AirflowFailException: if a parameter can't be right; and, when the manifest has been written, if batches are
        missing (clear their tasks), or their files can't be merged.
    :raises SixtyfourTransferError: if a file isn't what its batch has landed, when the manifest has been written.
    """

    template_fields: Sequence[str] = ("results", "destination", "batches", "merge_into", "approval", "budget")
    template_fields_renderers: ClassVar[dict[str, str]] = {"results": "json", "batches": "json"}
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        results: Any,
        destination: str | ObjectStoragePath,
        batches: Any = None,
        merge_into: str | ObjectStoragePath | None = None,
        approval: Any = None,
        budget: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.results = results
        self.destination = destination
        self.batches = batches
        self.merge_into = merge_into
        self.approval = approval
        self.budget = budget
        self._knows_batches = batches is not None  # before they are pulled
        self._split_id = _task_id_of(batches)
        if can_check(self, SixtyfourCollectBatchesOperator):
            with non_retryable_errors():
                check_collect(self)

    def execute(self, context: Context) -> dict[str, Any]:
        """Collect, merge, write."""
        from airflow.providers.common.compat.sdk import AirflowSkipException

        from airflow_provider_sixtyfour.storage.object_paths import object_storage_path
        from airflow_provider_sixtyfour.tasks.collect_results import collect_whole
        from airflow_provider_sixtyfour.tasks.lineage import set_outlet_extra, uri_of
        from airflow_provider_sixtyfour.tasks.upstream import were_skipped

        with non_retryable_errors(self.log):
            if self._knows_batches and self.batches is None:
                if were_skipped(context, self.upstream_task_ids):
                    raise AirflowSkipException("The tasks that make the batches were skipped.")
                raise SixtyfourInputError(
                    "There are no batches: the task that should have made them has returned nothing. Clear it, with "
                    "downstream."
                )
            summary = collect_whole(
                batches=self.batches,
                results=self.results,
                destination=self.destination,
                merge_into=self.merge_into,
                approval=self.approval,
                budget=self.budget,
                columns=partial(self._columns, context),
            )
            uri = uri_of(object_storage_path(self.destination, "destination"))
        set_outlet_extra(self.outlets or (), context, {"uri": uri, **summary})
        return summary

    def _columns(self, context: Context) -> Sequence[str]:
        """Return the names of the input's columns, from the XCom of the split that made the batches."""
        if self._split_id is None:
            return ()
        summary = context["ti"].xcom_pull(task_ids=self._split_id, key="summary")
        return summary.get("columns") or () if isinstance(summary, Mapping) else ()


def _task_id_of(batches: Any) -> str | None:
    """Return the task whose value they are, before it is pulled; ``None`` if they are something else."""
    is_value = getattr(batches, "key", None) == "return_value"
    return getattr(getattr(batches, "operator", None), "task_id", None) if is_value else None
