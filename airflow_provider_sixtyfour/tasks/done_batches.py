"""Which batches of an input are done: what has their results at its destination is not paid for again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow_provider_sixtyfour.results.earlier_landing import landed_work
from airflow_provider_sixtyfour.tasks.batch_input import batch_folder, enrich_input

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.results.options import LandingOptions

AT_ONCE = 8  # batches that are looked at side by side

T = TypeVar("T")


class BatchWork(NamedTuple):
    """
    What is to be done with a batch.

    :param rows: how many it has.
    :param folder: where its results land.
    :param digest: of the work, input and all, as in its manifest.
    """

    rows: int
    folder: ObjectStoragePath
    digest: str


@dataclass(frozen=True)
class BatchOptions:
    """What is done with each batch of an input; another value of one of these is other work."""

    workflow_id: str
    destination: Any
    specs_override: Any
    landing: LandingOptions

    def of_each(self, look: Callable[[BatchWork], T], batches: Iterable[Mapping[str, Any]]) -> list[T]:
        """Return what a look at each batch finds, in their order; several are looked at side by side."""
        # Before there are threads: finding a store's client asks Airflow for its connection.
        works = [self._work(batch) for batch in batches]
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="sixtyfour-batches") as threads:
            return list(threads.map(look, works))

    def done(self, work: BatchWork) -> Manifest | None:
        """
        Return the manifest of a batch whose results are there; ``None`` if its task would pay for a run.

        :raises SixtyfourTransferError: if the store can't be read.
        """
        return landed_work(work.folder, replace(self.landing, input=work.digest))

    def _work(self, batch: Mapping[str, Any]) -> BatchWork:
        given = enrich_input(source=batch, rows=None, specs_override=self.specs_override, max_rows=sys.maxsize)
        digest = given.digest(self.workflow_id, self.landing.run_formats)
        return BatchWork(batch["rows"], batch_folder(self.destination, batch, None), digest)
