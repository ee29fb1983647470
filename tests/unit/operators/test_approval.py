"""Small work passes unasked, about large work somebody is asked before a run is started."""

from datetime import UTC, datetime

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, TaskDeferred

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.operators import approval
from airflow_provider_sixtyfour.operators.approval import CAN_ASK, SixtyfourApprovalOperator
from airflow_provider_sixtyfour.runs.cost_estimate import estimate
from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment
from tests.unit.standins import Task

try:
    from airflow.sdk.exceptions import TaskAwaitingInput
except ImportError:  # Airflow before 3.3
    TaskAwaitingInput = TaskDeferred

LEAD = {"id": "1", "name": "lead"}
RUNS = [{"credits_used": 20, "rows_in": 10}]


@pytest.fixture
def asked(monkeypatch):
    """What Airflow was given to ask."""
    questions = []
    if CAN_ASK:
        from airflow.providers.standard.operators import hitl

        monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: questions.append(question))
    return questions


def approving(rows, runs=RUNS, **limits):
    value = estimate(rows, runs).as_value()
    task = Task(lambda: SixtyfourApprovalOperator(task_id="approve", estimate=value, **limits))
    task.ti.id = "0199a000-0000-7000-8000-000000000000"
    return task


@pytest.mark.parametrize(("rows", "limits"), [(10, {"approve_above_rows": 10}), (0, {"approve_above_rows": 0})])
def test_within_the_limits_nobody_is_asked(asked, rows, limits, logs):
    one = approving(rows, **limits)

    decided = one.operator().execute(one.context)

    assert (decided["approved"], decided["asked"], decided["by"], decided["rows"]) == (True, False, None, rows)
    assert asked == []
    assert f"Not asked: {rows} rows for about {rows * 2:.2f} credits_used, within the limits." in logs


@pytest.mark.parametrize("limits", [{"approve_above_rows": 99}, {"approve_above_credits": "100"}], ids=str)
def test_above_a_limit_somebody_is_asked_or_the_task_fails(asked, limits, logs):
    one = approving(100, **limits, assigned_users=[LEAD])
    if not CAN_ASK:
        with pytest.raises(
            AirflowFailException, match=r"^\S.*above approve_above_.*Nothing was sent: this Airflow can't"
        ):
            one.operator().execute(one.context)
        return

    with pytest.raises(TaskAwaitingInput):
        one.operator().execute(one.context)

    [question] = asked
    assert question["subject"] == "Enrich 100 rows for about 200.00 credits_used?"
    assert question["assigned_users"] == [LEAD]
    assert (question["options"], question["defaults"]) == (["Approve", "Reject"], ["Reject"])
    assert "Asking for approval: " in logs


@pytest.mark.skipif(not CAN_ASK, reason="Airflow has human-in-the-loop operators from 3.1 on")
def test_an_approval_is_returned_with_who_gave_it_and_the_price():
    one = approving(100, approve_above_rows=1)
    event = {"chosen_options": ["Approve"], "params_input": {}, "responded_by_user": {"id": "7", "name": "lead"}}

    at = datetime(2026, 1, 1, tzinfo=UTC)
    decided = one.operator().execute_complete(one.context, {**event, "responded_at": at})

    assert (decided["approved"], decided["asked"], decided["by"]) == (True, True, "lead")
    assert (decided["rows"], decided["cost"], decided["at"]) == (100, 200.0, at.isoformat())


WRONG = pytest.mark.parametrize(
    ("limits", "message"),
    [({}, "Give approve_above_rows or"), ({"approve_above_rows": "many"}, "approve_above_rows should be a number")],
    ids=str,
)


@WRONG
def test_a_wrong_limit_in_the_dag_file_is_found_when_it_is_read(limits, message):
    with pytest.raises(AirflowFailException, match=message):
        SixtyfourApprovalOperator(task_id="approve", estimate="{{ 1 }}", **limits)


@WRONG
def test_a_wrong_limit_of_a_template_is_no_reason_to_pay(asked, limits, message):
    one = approving(1, approve_above_rows="{{ params.limit }}")
    operator = one.operator()
    operator.approve_above_rows = limits.get("approve_above_rows", "None")

    with pytest.raises(AirflowFailException, match=message):
        operator.execute(one.context)

    assert asked == []


def test_airflow_s_own_parameters_are_taken_on_every_version():
    arguments = {"assigned_users": [LEAD], "defaults": "Approve", "fail_on_reject": True}

    operator = SixtyfourApprovalOperator(task_id="approve", estimate={}, approve_above_rows=1, **arguments)

    assert not CAN_ASK or (operator.defaults, operator.fail_on_reject) == (["Approve"], True)
    assert getattr(operator, "REJECT", "Reject") == approval.REJECT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bulk": {"kind": "people"}, "approve_above_rows": 1}, "max_cost_cents in bulk"),
        ({"workflow_id": "w", "approval": {"notifiers": []}}, "approval is given without"),
    ],
    ids=["bulk", "no limit"],
)
def test_what_the_group_refuses(arguments, message):
    with pytest.raises(SixtyfourInputError, match=message):
        sixtyfour_enrichment(source="file:///x.csv", destination="file:///y", **arguments)


def group(**arguments):
    """Return the tasks of an enrichment that asks, by their names."""
    given = {"workflow_id": "w", "source": "file:///x.csv", "destination": "file:///y", "approve_above_rows": 1}
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        sixtyfour_enrichment(group_id="leads", **{**given, **arguments})
    return {task_id.removeprefix("leads."): task for task_id, task in dag.task_dict.items()}


def test_the_estimate_goes_by_what_the_enrich_tasks_go_by():
    """Else it takes for done what these pay for again, and nobody is asked."""
    other = {
        "workflow_id": "other",
        "destination": "file:///elsewhere",
        "specs_override": {"x": 1},
        "format": "ndjson",
        "files": "all",
        "output_format": "parquet",
        "overwrite": True,
        "sixtyfour_conn_id": "second",
    }

    estimate = group(enrich=other)["estimate"]

    assert {name: getattr(estimate, name) for name in other} == other


@pytest.mark.parametrize("arguments", [{"validate_only": True}, {"enrich": {"validate_only": True}}], ids=str)
def test_a_dry_run_pays_for_nothing_so_nobody_is_asked(arguments):
    assert set(group(**arguments)) == {"split", "enrich", "collect"}
    assert set(group()) == {"split", "estimate", "budget", "approve", "enrich", "collect"}
