"""Where a run's results are to go is looked at before the run is paid for."""

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, ObjectStoragePath

from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import Task


def task(workflow, destination, *, mapped=False, macros=None):
    dag = DAG("enrich", schedule=None, user_defined_macros=macros)
    run = SixtyfourRunWorkflowOperator(
        task_id="run", dag=dag, workflow_id=workflow, webhook_payload=ROWS, poll_interval=0.02
    )
    if mapped:
        landing = SixtyfourToObjectStorageOperator.partial(task_id="land", dag=dag, destination=destination)
        landing.expand(job_id=[run.output])
    else:
        SixtyfourToObjectStorageOperator(task_id="land", dag=dag, destination=destination, job_id=run.output)
    return Task(lambda: run)


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("destination", ["file:///x/{{ ds }}/", "file:///{% if data_interval_start %}x{% endif %}"])
def test_a_variable_that_this_dag_run_lacks_stops_the_run_before_it_is_paid(emulator, workflow, destination, mapped):
    with pytest.raises(
        AirflowFailException, match="is not defined in this Dag run, and the destination of task 'land'"
    ):
        task(workflow, destination, mapped=mapped).run()

    assert emulator.submissions() == []


@pytest.mark.parametrize(
    "destination",
    [
        "file:///x/{{ run_id }}/",
        "file:///x/{{ ti.xcom_pull(task_ids='run')['no such'] }}/",  # not there yet
        "file:///x/{{ own }}/{% set a = 1 %}{{ a }}/{{ range(3) | list }}",
        "file:///x/{{ broken",
        ObjectStoragePath("file:///x/{{ ds }}"),
    ],
)
def test_anything_else_is_the_landing_tasks_own_business(emulator, workflow, destination):
    value = task(workflow, destination, macros={"own": "mine"}).run()

    assert [run["job_id"] for run in emulator.runs()] == [value]
