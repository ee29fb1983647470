"""
Lineage of a transfer: asset events and hook lineage; see `openlineage` for the third.

It is recorded after the data has arrived, so a failure is a warning: nothing of the transfer is undone. No URI
names a connection or holds a signature.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

log = logging.getLogger(__name__)

# What a parser of URIs would misread in a path, and what Airflow takes in no asset's URI: anything but ASCII.
_TO_ENCODE = re.compile(r"[^!-~]|[%?#]")


class Dataset(NamedTuple):
    """
    Something that was read or written.

    :param uri: see `uri_of`; or a URL of the API without a query.
    :param columns: returns the names of its columns, where they are known; only called where somebody asks.
    """

    uri: str
    rows: int | None = None
    bytes: int | None = None
    columns: Callable[[], Iterable[str]] = tuple


def uri_of(path: ObjectStoragePath) -> str:
    """
    Return the URL of a file or folder without the connection: ``s3://bucket/key``, ``file:///folder/file``.

    As Airflow's own assets have it, so that they match: ``ds=2026-01-01`` stays, and only what would not be read as
    part of the path is percent-encoded.
    """
    return f"{path.protocol or 'file'}://{encoded(path.path.rstrip('/'))}"


def encoded(key: str) -> str:
    """Return a path as part of a URI."""
    return _TO_ENCODE.sub(lambda found: quote(found[0], safe="", errors="surrogatepass"), key)


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
