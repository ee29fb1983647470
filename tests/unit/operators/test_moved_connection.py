"""A connection that points to another host when a deferred task is resumed: that host is sent nothing of the run."""

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.exceptions import SixtyfourTimeoutError, SixtyfourTransferError
from airflow_provider_sixtyfour.operators.bulk import SixtyfourBulkEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")
STARTED_AT = "https://api.example.com"
RUN = "0d5e2b52-7c5c-4b0e-9d46-0a3f6f0f8a11"
COMPLETED = {"job_id": RUN, "host": STARTED_AT, "ended": {"job_id": RUN, "status": "completed"}}


def running(**arguments):
    return Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id="w", **arguments))


def test_a_completed_run_succeeds_without_its_usage(emulator, logs):
    one = running()

    assert one.operator().execute_complete(one.context, COMPLETED) == RUN

    assert emulator.requests() == []
    assert f"The run was started at {STARTED_AT}, and the connection now points to http://127.0.0.1" in logs


@pytest.mark.parametrize("bulk", [False, True], ids=["workflow", "bulk"])
def test_results_are_not_looked_for_at_the_other_host(emulator, enriching, batches, folder, bulk):
    one = enriching(source=batches[0], deferrable=True)
    if bulk:
        arguments = {"kind": "people", "source": batches[0], "struct": {"title": "job title"}}
        make = SixtyfourBulkEnrichOperator
        one = Task(lambda: make(task_id="enrich", destination=f"file://{folder}", **arguments))

    with pytest.raises(SixtyfourTransferError, match="has completed, but its files can't be read") as failure:
        one.operator().execute_complete(one.context, COMPLETED)

    assert not isinstance(failure.value, AirflowFailException)  # a retry may find the connection corrected
    assert str(failure.value).endswith(f"no run is paid for again. Run {RUN}.")
    assert emulator.requests() == []
    assert list(folder.rglob("*.csv")) == []


def test_no_cancel_is_sent_to_the_other_host_at_the_deadline(emulator):
    one = running(timeout=60)
    event = {"job_id": RUN, "host": STARTED_AT, "deadline": "Timed out after 60 s."}

    with pytest.raises(SixtyfourTimeoutError, match="can't be cancelled from here and may keep running"):
        one.operator().execute_complete(one.context, event)

    assert emulator.requests() == []


def test_the_run_s_own_host_is_asked(emulator, workflow):
    job_id = emulator.completed_run(workflow)
    one = running()
    event = {"job_id": job_id, "host": emulator.url, "ended": {"job_id": job_id, "status": "completed"}}

    assert one.operator().execute_complete(one.context, event) == job_id
    assert [each["path"] for each in emulator.requests()][-1] == "/workflows/runs"
