"""Which batches of an input are done: what has their results at its destination is not paid for again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_sixtyfour.results.earlier_landing import landed_work
from airflow_provider_sixtyfour.tasks.batch_input import batch_folder, enrich_input

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.results.options import LandingOptions

AT_ONCE = 8  # batches that are looked at side by side

T = TypeVar("T")


@dataclass(frozen=True)
class BatchOptions:
    """What is done with each batch of an input; another value of one of these is other work."""

    workflow_id: str
    destination: Any
    specs_override: Any
    landing: LandingOptions

    def folder(self, batch: Mapping[str, Any]) -> ObjectStoragePath:
        """Return where the results of a batch land."""
        return batch_folder(self.destination, batch, None)

    def digest(self, batch: Mapping[str, Any]) -> str:
        """Return a fingerprint of what is to be done with a batch, as in its manifest."""
        given = enrich_input(source=batch, rows=None, specs_override=self.specs_override, max_rows=sys.maxsize)
        return given.digest(self.workflow_id, self.landing.run_formats)

    def done(self, batch: Mapping[str, Any]) -> Manifest | None:
        """
        Return the manifest of a batch whose results are there; ``None`` if its task would pay for a run.

        :raises SixtyfourTransferError: if the store can't be read.
        """
        return landed_work(self.folder(batch), replace(self.landing, input=self.digest(batch)))


def of_each(look: Callable[[Mapping[str, Any]], T], batches: Iterable[Mapping[str, Any]]) -> list[T]:
    """Return what a look at each batch finds, in their order; several are looked at side by side."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sixtyfour-batches") as threads:
        return list(threads.map(look, batches))
