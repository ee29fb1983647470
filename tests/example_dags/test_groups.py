"""The batch group among other tasks: skipped with them, failed with them, and after those that it depends on."""

from pathlib import Path

import pytest

DAGS = Path(__file__).resolve().parent / "dags"


@pytest.fixture
def run_group(run_dag, store_workflow, tmp_path):
    """Run a Dag with the group over two rows; return its run."""
    (tmp_path / "leads.csv").write_text("name\nLead One\nLead Two\n")

    def run(dag_id):
        return run_dag(
            DAGS,
            dag_id,
            workflow_id=store_workflow(source="read_csv"),
            source=f"file://{tmp_path}/leads.csv",
            destination=f"file://{tmp_path}/landed",
        )

    return run


@pytest.mark.parametrize("dag_id", ["behind_a_skipped_task", "behind_a_short_circuit", "behind_a_branch"])
def test_the_group_is_skipped_with_what_is_before_it(run_group, dag_id):
    run = run_group(dag_id)

    assert run.state == "success"
    assert run.states("leads.split") == ["skipped"]
    assert run.states("leads.enrich") == ["skipped"]
    assert run.states("leads.collect") == ["skipped"]
    assert run.runs == []


def test_a_failed_split_fails_the_group(run_group):
    run = run_group("with_a_failing_split")

    assert run.state == "failed"
    assert run.states("leads.split") == ["failed"]
    assert run.states("leads.enrich") == ["upstream_failed"]
    assert run.states("leads.collect") == ["failed"]
    assert run.runs == []


def test_the_group_waits_for_the_tasks_that_its_parameters_come_from(run_group, tmp_path):
    run = run_group("with_upstream_parameters")

    assert run.state == "success"
    assert len(run.runs) == 1
    assert (tmp_path / "landed" / "sent" / "leads-00000.csv").exists()
    assert (tmp_path / "landed" / "enriched.csv").exists()
