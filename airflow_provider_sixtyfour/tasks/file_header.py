"""The columns of a file, read from its header once somebody asks: lineage alone does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

log = logging.getLogger(__name__)


def header(path: ObjectStoragePath, delimiter: str | None = None) -> Callable[[], tuple[str, ...]]:
    """Return what calls `header_of`."""
    return partial(header_of, path, delimiter)


def header_of(path: ObjectStoragePath, delimiter: str | None = None) -> tuple[str, ...]:
    """
    Return the columns of a CSV file; none of a file without a header, or one that can't be read.

    :param delimiter: what separates its cells, if it isn't commas.
    """
    from airflow_provider_sixtyfour.formats.reader import open_source
    from airflow_provider_sixtyfour.formats.rejects import NoRejects
    from airflow_provider_sixtyfour.inputs.file import opened

    try:
        with opened(path) as stream:
            source = open_source(stream, path.name, rejects=NoRejects(path.name), delimiter=delimiter)
            return tuple(source.columns)
    except Exception as error:  # of a file that is fine as it is for all that is not lineage
        log.debug("No columns of %s: %r", path, error)
        return ()
