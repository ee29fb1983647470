"""
What a task reports to OpenLineage: datasets, columns that keep their names, and its run at Sixtyfour.

Called by the OpenLineage provider alone, after the task has done its work, so that all that is imported here is
installed, and nothing of it costs a task where nobody asks. Whatever fails here is a warning of that provider: the task
is none the worse.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from airflow_provider_sixtyfour.formats.quality import LONGEST_NAME, MOST_COLUMNS
from airflow_provider_sixtyfour.tasks.batch_log import credits_of

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.lineage import Dataset


class RunFacts(NamedTuple):
    """
    What is known of a task's run.

    :param base_url: of the API.
    :param ended: how it ended; ``None`` while it is in progress, or where that isn't known.
    :param rows: of its input; ``None`` if that isn't known.
    """

    base_url: str
    job_id: str
    workflow_id: str | None
    ended: RunOutcome | None = None
    rows: int | None = None

    def facets(self) -> dict[str, Any]:
        """Return the run facets: ``externalQuery``, and ``sixtyfour_run`` of this provider's own."""
        compat = import_module("airflow.providers.common.compat.openlineage.facet")
        facet = import_module("airflow_provider_sixtyfour.tasks.openlineage_facet")
        metrics = self.ended.metrics if self.ended else {}
        return {
            "externalQuery": compat.ExternalQueryRunFacet(externalQueryId=self.job_id, source=self.base_url),
            "sixtyfour_run": facet.SixtyfourRunFacet(
                jobId=self.job_id,
                workflowId=self.workflow_id,
                status=self.ended.status if self.ended else None,
                rows=metrics.get("rows_in", self.rows),
                credits=credits_of(metrics),
                blocks=list(self.ended.blocks) if self.ended else [],
                failedBlock=self.ended.block if self.ended else None,
            ),
        }


def operator_lineage(inputs: Iterable[Dataset], outputs: Iterable[Dataset], run: RunFacts | None = None) -> Any:
    """
    Return an ``OperatorLineage``.

    :param run: the task's run, if it has one.
    """
    extractors = import_module("airflow.providers.openlineage.extractors")
    facets = import_module("airflow.providers.common.compat.openlineage.facet")
    read = [(dataset_name(data.uri), _columns(data)) for data in inputs]

    def output(data: Dataset) -> Any:
        statistics = facets.OutputStatisticsOutputDatasetFacet(rowCount=data.rows, size=data.bytes)
        same = _columns_of_the_same_name(_columns(data), read, facets)
        return facets.OutputDataset(
            **dataset_name(data.uri),
            facets={"columnLineage": same} if same else {},
            outputFacets={"outputStatistics": statistics},
        )

    return extractors.OperatorLineage(
        inputs=[facets.Dataset(**name) for name, _ in read],
        outputs=[output(data) for data in outputs],
        run_facets=run.facets() if run else {},
    )


def dataset_name(uri: str) -> dict[str, str]:
    """Return a dataset's namespace and name by OpenLineage's conventions: the key as the store has it, not encoded."""
    parts = urlsplit(uri)
    name = unquote(parts.path)
    if parts.scheme == "file":
        return {"namespace": "file", "name": name}
    return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": name.lstrip("/")}


def _columns(data: Dataset) -> tuple[str, ...]:
    names = (name for name in data.columns() if len(name) <= LONGEST_NAME)
    return tuple(islice(names, MOST_COLUMNS))


def _columns_of_the_same_name(
    columns: Sequence[str], inputs: Sequence[tuple[dict[str, str], Sequence[str]]], facets: Any
) -> Any:
    """Return a ``ColumnLineageDatasetFacet`` of the columns that an input has, too; ``None`` if there are none."""
    fields = {}
    for column in columns:
        found = [facets.InputField(**name, field=column) for name, theirs in inputs if column in theirs]
        if found:
            described = "the column of the same name"
            fields[column] = facets.Fields(found, described, None)
    return facets.ColumnLineageDatasetFacet(fields=fields) if fields else None
