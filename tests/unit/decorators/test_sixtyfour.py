"""``@task.sixtyfour``: the function makes the rows, the task is the operator's."""

import importlib
import inspect
import json
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException

from airflow_provider_sixtyfour.decorators.sixtyfour import (
    SixtyfourDecoratedEnrichOperator,
    SixtyfourDecoratedRunOperator,
    sixtyfour_task,
)
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from tests.unit.standins import StateStore, Task

ROWS = [{"company_name": "Example One"}, {"company_name": "Example Two"}]
INPUTS = {"source", "rows", "delimiter", "webhook_payload", "resource_handle_id"}  # a function's rows take their place


def parameters(callable_):
    found = inspect.signature(callable_).parameters.values()
    return {each.name: each.default for each in found if each.kind is each.KEYWORD_ONLY}


@pytest.fixture
def task():
    """Airflow's own ``task``."""
    with suppress(ImportError):
        return importlib.import_module("airflow.sdk").task
    return importlib.import_module("airflow.decorators").task


@pytest.fixture
def workflow(emulator):
    return emulator.store_workflow()


@pytest.fixture
def decorated(workflow, folder, tmp_path):
    """Make tasks of a function."""

    def make(function, *arguments, named=None, **options):
        given = {"workflow_id": workflow, "destination": f"file://{folder}", "deferrable": False, "poll_interval": 0.02}
        given = {name: value for name, value in {**given, **options}.items() if value is not ...}
        return Task(
            lambda: sixtyfour_task(**given)(function)(*arguments, **(named or {})).operator,
            store=StateStore(tmp_path / "state"),
        )

    return make


def leads():
    return ROWS


def test_its_parameters_are_those_of_the_two_operators():
    enrich = {name: each for name, each in parameters(SixtyfourEnrichOperator.__init__).items() if name not in INPUTS}
    run = {name: each for name, each in parameters(SixtyfourRunWorkflowOperator.__init__).items() if name not in INPUTS}

    assert parameters(sixtyfour_task) == {**run, **enrich, "destination": None}


def test_airflow_knows_it_as_task_sixtyfour(task, workflow):
    with DAG("d", schedule=None, start_date=datetime(2026, 11, 1)):
        enriched = task.sixtyfour(workflow_id=workflow, destination="s3://bucket/leads", retries=2)(leads)()
        ran = task.sixtyfour(workflow_id=workflow)(leads)()
        other = task.sixtyfour(workflow_id=workflow)(leads).override(task_id="other", poll_interval=5.0)()

    assert type(enriched.operator) is SixtyfourDecoratedEnrichOperator
    assert type(ran.operator) is type(other.operator) is SixtyfourDecoratedRunOperator
    assert (enriched.operator.task_id, ran.operator.task_id, other.operator.task_id) == ("leads", "leads__1", "other")
    assert enriched.operator.retries == 2
    assert other.operator.poll_interval == 5.0
    assert enriched.operator.operator_name == "@task.sixtyfour"


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_the_rows_are_enriched_and_land(emulator, decorated, folder, deferrable):
    calls = []

    def rows(country, ti=None):
        calls.append(ti)
        return ({**row, "country": country} for row in ROWS)

    task = decorated(rows, named={"country": "DE"}, deferrable=deferrable)
    landed = task.run()

    assert landed["rows"] == 2
    [run] = emulator.runs()
    assert landed["job_id"] == run["job_id"]
    assert "DE" in (folder / landed["files"][0]["filename"]).read_text()
    assert calls == [task.ti]  # not again when the task is resumed


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_without_a_destination_the_job_id_is_returned(emulator, decorated, deferrable):
    job_id = decorated(leads, destination=..., deferrable=deferrable).run()

    assert [run["job_id"] for run in emulator.runs()] == [job_id]


def test_what_is_done_is_not_paid_for_again_and_is_the_operator_s_work(emulator, decorated, workflow, folder):
    first = decorated(leads).run()
    again = decorated(leads).run()
    by_operator = Task(
        lambda: SixtyfourEnrichOperator(
            task_id="t", workflow_id=workflow, rows=ROWS, destination=f"file://{folder}", deferrable=False
        )
    ).run()

    assert first["job_id"] == again["job_id"] == by_operator["job_id"]
    assert len(emulator.runs()) == 1


def test_other_rows_are_other_work(emulator, decorated):
    made = iter([ROWS, [*ROWS, {"company_name": "Example Three"}]])

    def rows():
        return next(made)

    assert decorated(rows).run()["rows"] == 2
    assert decorated(rows).run()["rows"] == 3
    assert len(emulator.runs()) == 2


def test_a_function_annotated_with_a_dict_has_its_result_kept_whole(decorated):
    def lead() -> dict[str, str]:
        return {"company_name": "Example One"}

    task = decorated(lead, destination=...)
    assert isinstance(task.run(), str)
    assert task.operator().multiple_outputs is False


def test_a_coroutine_function_is_awaited(decorated):
    async def rows():
        return ROWS

    assert decorated(rows).run()["rows"] == 2


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, r"the return value of rows\(\) should be a list of objects or one object, not NoneType"),
        ("/etc/leads.json", r"the return value of rows\(\) should be a list of objects or one object, not str"),
        (json.dumps(ROWS), r"the return value of rows\(\) should be a list of objects or one object, not str"),
        ([1], r"Row 0 of the return value of rows\(\) should be an object"),
        ([], r"the return value of rows\(\) is an empty list: there is nothing to run. Skip the task"),
        ([{"a": float("nan")}], "nan"),
    ],
)
@pytest.mark.parametrize("destination", [None, ...], ids=["enrich", "run"])
def test_what_is_no_rows_starts_nothing(emulator, decorated, folder, returned, message, destination):
    def rows():
        return returned

    options = {} if destination is None else {"destination": ...}
    with pytest.raises(AirflowFailException, match=message):
        decorated(rows, **options).run()
    assert emulator.runs() == []


def test_what_the_function_raises_is_raised(emulator, decorated):
    def rows():
        raise LookupError("no such table")

    with pytest.raises(LookupError, match="no such table"):
        decorated(rows).run()
    assert emulator.runs() == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "json"}, "sixtyfour_task takes format only with a destination"),
        ({"max_credits": 5, "overwrite": True}, "sixtyfour_task takes overwrite, max_credits only with a destination"),
        ({"destination": "s3://b/x", "durable": False}, "sixtyfour_task takes durable only without a destination"),
        ({"source": "s3://b/leads.csv"}, "source"),
        ({"rows": ROWS, "destination": "s3://b/x"}, "takes no rows: what its function returns"),
    ],
)
def test_a_parameter_of_the_other_operator_is_refused(workflow, options, message):
    with pytest.raises(TypeError, match=message):
        sixtyfour_task(workflow_id=workflow, **options)(leads)()


@pytest.mark.parametrize(
    "options",
    [
        {"workflow_id": "../x"},
        {"timeout": -1},
        {"destination": "not a URL"},
        {"destination": "s3://bucket/x", "max_credits": -5},
        {"poll_interval": 0},
    ],
)
def test_a_literal_that_can_not_be_right_is_found_when_the_dag_is_read(options):
    with pytest.raises(AirflowFailException):
        sixtyfour_task(**{"workflow_id": "w", **options})(leads)()


def test_templates_are_rendered_but_not_in_the_rows(emulator, decorated, folder, workflow):
    def rows(text):
        return [{"company_name": "{{ 1 + 1 }}", "text": text}]

    landed = decorated(rows, "{{ run_id }}", destination=f"file://{folder}/{{{{ run_id }}}}").run()

    text = (folder / "scheduled__2026-11-01" / landed["files"][0]["filename"]).read_text()
    assert "{{ 1 + 1 }}" in text
    assert "scheduled__2026-11-01" in text


def test_a_limit_in_time_holds_for_it_too(emulator, decorated):
    emulator.plan(seconds=60)
    with pytest.raises(Exception, match="Not completed by the task's deadline"):
        decorated(leads, timeout=timedelta(seconds=1)).run()
    assert [run["status"] for run in emulator.runs()] == ["cancelled"]
