"""A file is read only if its path is written in the Dag file itself."""

import json

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_sixtyfour.operators.batches import SixtyfourSplitInputOperator
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourDeployWorkflowOperator, SixtyfourRunWorkflowOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import Task

HINT = "a file is read only if its path is written in the Dag file itself"


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret.json"
    path.write_text('[{"secret": "of this worker"}]')
    return path


@pytest.fixture
def dag(tmp_path):
    dag = DAG("enrich", schedule=None)
    dag.fileloc = str(tmp_path / "dag.py")
    return dag


@pytest.mark.parametrize(
    ("operator", "name", "others"),
    [
        (SixtyfourRunWorkflowOperator, "webhook_payload", {}),
        (SixtyfourRunWorkflowOperator, "specs_override", {"webhook_payload": ROWS}),
        (SixtyfourEnrichOperator, "rows", {"destination": "file:///tmp/never"}),
        (SixtyfourEnrichOperator, "specs_override", {"rows": ROWS, "destination": "file:///tmp/never"}),
        (SixtyfourDeployWorkflowOperator, "workflow", {}),
        (SixtyfourSplitInputOperator, "rows", {"destination": "file:///tmp/never"}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("template", ["{{ params.given }}", " {{ params.given }}\n", "{{ params.folder }}/secret.json"])
def test_a_path_out_of_a_template_is_no_file(emulator, workflow, secret, operator, name, others, template):
    given = {**others, name: template}
    if "workflow_id" in operator.template_fields:
        given["workflow_id"] = workflow
    one = Task(lambda: operator(task_id="run", **given), params={"given": str(secret), "folder": str(secret.parent)})

    with pytest.raises(AirflowFailException, match=HINT):
        one.run()

    assert emulator.submissions() == []
    assert "of this worker" not in json.dumps(emulator.requests())


def mapped(dag, partial, expand):
    SixtyfourRunWorkflowOperator.partial(task_id="run", dag=dag, poll_interval=0.02, **partial).expand(**expand)
    return dag.task_dict["run"]


def test_a_mapped_task_reads_the_file_that_its_dag_names(emulator, workflow, secret, dag):
    task = mapped(dag, {"workflow_id": workflow, "webhook_payload": "secret.json"}, {"result_formats": [["csv"]]})

    Task(lambda: task.unmap({"result_formats": ["csv"]})).run()

    assert emulator.bodies()[0]["webhook_payload"] == [{"secret": "of this worker"}]


def test_a_mapped_task_reads_the_files_that_its_dag_lists(emulator, workflow, secret, dag):
    task = mapped(dag, {"workflow_id": workflow}, {"webhook_payload": ["other.json", "secret.json"]})

    Task(lambda: task.unmap({"webhook_payload": "secret.json"})).run()

    assert emulator.bodies()[0]["webhook_payload"] == [{"secret": "of this worker"}]


def test_a_mapped_task_reads_no_file_that_an_upstream_task_names(emulator, workflow, secret, dag):
    upstream = SixtyfourDeployWorkflowOperator(task_id="up", dag=dag, workflow_id=workflow, workflow="up.json")
    task = mapped(dag, {"workflow_id": workflow}, {"webhook_payload": upstream.output})

    with pytest.raises(AirflowFailException, match=HINT):
        Task(lambda: task.unmap({"webhook_payload": str(secret)})).run()

    assert emulator.submissions() == []
