"""
Lineage of a transfer: asset events, hook lineage, OpenLineage.

It is recorded after the data has arrived, so a failure is a warning: nothing of the transfer is undone. No URI
names a connection or holds a signature.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

log = logging.getLogger(__name__)


class Dataset(NamedTuple):
    """
    Something that was read or written.

    :param uri: see `uri_of`; or a URL of the API without a query.
    """

    uri: str
    rows: int | None = None
    bytes: int | None = None


def uri_of(path: ObjectStoragePath) -> str:
    """Return the URL of a file or folder without the connection: ``s3://bucket/key``, ``file:///folder/file``."""
    return f"{path.protocol or 'file'}://{quote(path.path.rstrip('/'), errors='surrogatepass')}"


def set_outlet_extra(outlets: Iterable[Any], context: Context, extra: Mapping[str, Any]) -> None:
    """
    Give the events of a task's outlets their ``extra``.

    :param outlets: the task's. For an alias, an asset is added that ``extra["uri"]`` names.
    """
    from airflow.providers.common.compat.sdk import Asset, AssetAlias

    for outlet in outlets:
        try:
            if isinstance(outlet, AssetAlias):
                context["outlet_events"][outlet].add(Asset(uri=extra["uri"]), extra=dict(extra))
            elif isinstance(outlet, Asset):
                context["outlet_events"][outlet].extra.update(extra)
        except Exception as error:
            log.warning("The event of %r gets no extra: %s: %s", outlet, type(error).__name__, error)


def record_hook_lineage(context: Any, inputs: Iterable[Dataset], outputs: Iterable[Dataset]) -> None:
    """
    Record lineage with Airflow's collector, which forgets it where nobody reads it.

    :param context: what has read and written, for the collector: the hook; or a path, where there is none.
    """
    try:
        # By name, as all that has no type hints here.
        collector = import_module("airflow.providers.common.compat.lineage.hook").get_hook_lineage_collector()
        for data in inputs:
            collector.add_input_asset(context=context, uri=data.uri)
        for data in outputs:
            collector.add_output_asset(context=context, uri=data.uri)
    except Exception as error:
        log.warning("No hook lineage: %s: %s", type(error).__name__, error)


def openlineage(inputs: Iterable[Dataset], outputs: Iterable[Dataset]) -> Any:
    """Return an ``OperatorLineage``; called by the OpenLineage provider only, so that it is installed."""
    facets = import_module("airflow.providers.common.compat.openlineage.facet")
    extractors = import_module("airflow.providers.openlineage.extractors")

    def output(data: Dataset) -> Any:
        statistics = facets.OutputStatisticsOutputDatasetFacet(rowCount=data.rows, size=data.bytes)
        return facets.OutputDataset(**_name(data.uri), outputFacets={"outputStatistics": statistics})

    return extractors.OperatorLineage(
        inputs=[facets.Dataset(**_name(data.uri)) for data in inputs], outputs=[output(data) for data in outputs]
    )


def _name(uri: str) -> dict[str, str]:
    """Return a dataset's namespace and name by OpenLineage's conventions."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return {"namespace": "file", "name": parts.path}
    return {"namespace": f"{parts.scheme}://{parts.netloc}", "name": parts.path.lstrip("/")}
