"""A batch is enriched from and to each store, and what is done there is known again."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_sixtyfour.operators.batches import split_input
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.tasks.submission_file import SUBMISSION_FILE
from tests.stores.conftest import Place
from tests.stores.test_batches import put
from tests.unit.conftest import Emulator
from tests.unit.standins import StateStore, Task

pytestmark = pytest.mark.usefixtures("no_pauses")
LEADS = b"name,company_name\n" + b"".join(b"Lead %d,Example %d\n" % (number, number) for number in range(5))


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "intent file"])
def test_a_batch_is_enriched_once(place: Place, emulator: Emulator, has_store: bool) -> None:
    batch = split_input(source=put(place, "leads.csv", LEADS), destination=f"{place.url}/sent")[0]
    workflow = emulator.store_workflow(source="read_csv")

    def task() -> Any:
        return Task(
            lambda: SixtyfourEnrichOperator(
                task_id="enrich",
                workflow_id=workflow,
                source=batch,
                destination=f"{place.url}/enriched",
                output_format="parquet",
                poll_interval=0.02,
            ),
            store=StateStore() if has_store else None,
        )

    first = task().run()

    [file] = first["files"]
    name = file["path"].rpartition("/")[2]
    extra = [] if has_store else [f"enriched/leads-00000/{SUBMISSION_FILE}"]
    assert [one for one in place.names() if one.startswith("enriched/")] == sorted(
        [f"enriched/leads-00000/{MANIFEST}", f"enriched/leads-00000/{name}", *extra]
    )
    assert json.loads(place.read(f"enriched/leads-00000/{MANIFEST}"))["input"]
    assert pq.read_table(io.BytesIO(place.read(f"enriched/leads-00000/{name}"))).num_rows == 5
    assert task().run() == first
    assert len(emulator.runs()) == 1
    assert place.unfinished() == 0
