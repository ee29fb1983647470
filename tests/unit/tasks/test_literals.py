"""A parameter that is wrong as it stands in the Dag file is an import error of the Dag; another waits for its task."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, ObjectStoragePath, Param

from airflow_provider_sixtyfour.operators.batches import SixtyfourRepairInputOperator, SixtyfourSplitInputOperator
from airflow_provider_sixtyfour.operators.collect import SixtyfourCollectBatchesOperator
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import (
    SixtyfourCancelRunOperator,
    SixtyfourDeleteWorkflowOperator,
    SixtyfourDeployWorkflowOperator,
    SixtyfourRunWorkflowOperator,
)
from airflow_provider_sixtyfour.sensors.sixtyfour import SixtyfourRunSensor
from airflow_provider_sixtyfour.tasks.literals import is_literal, is_settled
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

SPLIT = {"source": "file:///in/leads.csv", "destination": "file:///sent"}
REPAIR = {"source": "file:///in/leads.csv", "results": [], "destination": "file:///sent", "key": "email"}
COLLECT = {"results": [], "destination": "file:///landed"}
UPLOAD = {"source": "file:///in/leads.csv"}
RUN = {"workflow_id": "w", "webhook_payload": [{"company": "Example"}]}
ENRICH = {"workflow_id": "w", "source": "file:///in/leads.csv", "destination": "file:///landed"}
LAND = {"job_id": "j", "destination": "file:///landed"}
WAIT = CANCEL = {"job_id": "j"}
GRAPH = {"blocks": [{"block_id": "a", "block_name": "webhook"}], "edges": []}
DEPLOY = {"workflow_id": "w", "workflow": {"workflow_name": "n", "workflow_definition": GRAPH}}
DELETE = {"workflow_id": "w"}

WRONG = [
    (SixtyfourSplitInputOperator, SPLIT, {"source": None}, "Give source or rows, and not both"),
    (SixtyfourSplitInputOperator, SPLIT, {"rows": [{"a": 1}]}, "Give source or rows, and not both"),
    (SixtyfourSplitInputOperator, SPLIT, {"source": "/in/leads.csv"}, "source should be a URL with a scheme"),
    (SixtyfourSplitInputOperator, SPLIT, {"source": Path("/in/leads.csv")}, "source should be a URL with a scheme"),
    (SixtyfourSplitInputOperator, SPLIT, {"source": 7}, "source should be a URL with a scheme"),
    (SixtyfourSplitInputOperator, SPLIT, {"source": "file:///in/leads.xlsx"}, "its name should end in .csv, .ndjson"),
    (SixtyfourSplitInputOperator, SPLIT, {"source": "file:///in/leads.tsv"}, "with delimiter='tab', also .tsv"),
    (
        SixtyfourSplitInputOperator,
        SPLIT,
        {"source": ObjectStoragePath("memory://in/leads.pdf")},
        "its name should end in .csv",
    ),
    (SixtyfourSplitInputOperator, SPLIT, {"delimiter": "semi"}, "delimiter should be one character"),
    (SixtyfourSplitInputOperator, SPLIT, {"destination": "sent"}, "destination should be a URL with a scheme"),
    (SixtyfourSplitInputOperator, SPLIT, {"rejects": "rejects"}, "rejects should be a URL with a scheme"),
    (SixtyfourSplitInputOperator, SPLIT, {"batch_rows": 0}, "batch_rows should be a whole number from 1"),
    (SixtyfourSplitInputOperator, SPLIT, {"batch_bytes": "lots"}, "batch_bytes should be a whole number from 1"),
    (SixtyfourSplitInputOperator, SPLIT, {"max_rows": 0}, "max_rows should be a number of rows"),
    (SixtyfourSplitInputOperator, SPLIT, {"max_runs": -1}, "max_runs should be a number of runs"),
    (SixtyfourSplitInputOperator, SPLIT, {"rename_columns": {"a": "x", "b": "x"}}, "gives two columns the name 'x'"),
    (SixtyfourSplitInputOperator, SPLIT, {"unique_by": ["a", "a"]}, "unique_by has twice the name 'a'"),
    (SixtyfourSplitInputOperator, SPLIT, {"required": [1]}, "required should be names of columns"),
    (SixtyfourSplitInputOperator, SPLIT, {"row_check": "x"}, "row_check should be a function of a row"),
    (SixtyfourRepairInputOperator, REPAIR, {"key": ()}, "key should name the columns"),
    (SixtyfourRepairInputOperator, REPAIR, {"destination": "sent"}, "destination should be a URL with a scheme"),
    (SixtyfourRepairInputOperator, REPAIR, {"batch_rows": 10**9}, "batch_rows should be a whole number from 1"),
    (SixtyfourCollectBatchesOperator, COLLECT, {"destination": "landed"}, "destination should be a URL with a scheme"),
    (SixtyfourCollectBatchesOperator, COLLECT, {"merge_into": "all.csv"}, "merge_into should be a URL with a scheme"),
    (SixtyfourCollectBatchesOperator, COLLECT, {"merge_into": "file:///all.parquet"}, "merge_into should end as"),
    (ObjectStorageToSixtyfourOperator, UPLOAD, {"source": "leads.csv"}, "source should be a URL with a scheme"),
    (
        ObjectStorageToSixtyfourOperator,
        UPLOAD,
        {"source": "file:///leads.xlsx"},
        "The API takes files that end in .csv",
    ),
    (ObjectStorageToSixtyfourOperator, UPLOAD, {"delimiter": "semi"}, "delimiter should be one character"),
    (ObjectStorageToSixtyfourOperator, UPLOAD, {"max_rows": 0}, "max_rows should be a number of rows, 1 at least"),
    (SixtyfourRunWorkflowOperator, RUN, {"workflow_id": ""}, "workflow_id should be an id, not ''"),
    (SixtyfourRunWorkflowOperator, RUN, {"workflow_id": None}, "workflow_id should be an id"),
    (SixtyfourRunWorkflowOperator, RUN, {"workflow_id": "a/b"}, "workflow_id should be an id"),
    (SixtyfourRunWorkflowOperator, RUN, {"resource_handle_id": "h"}, "Give webhook_payload or resource_handle_id, not"),
    (SixtyfourRunWorkflowOperator, RUN, {"webhook_payload": []}, "webhook_payload is an empty list"),
    (SixtyfourRunWorkflowOperator, RUN, {"webhook_payload": 7}, "webhook_payload should be a list of objects or one"),
    (SixtyfourRunWorkflowOperator, RUN, {"webhook_payload": "company"}, "webhook_payload is not valid JSON"),
    (SixtyfourRunWorkflowOperator, RUN, {"webhook_payload": ["a"]}, "Row 0 of webhook_payload should be an object"),
    (SixtyfourRunWorkflowOperator, RUN, {"specs_override": [1]}, "specs_override should be an object"),
    (SixtyfourRunWorkflowOperator, RUN, {"specs_override": "{"}, "specs_override is not valid JSON"),
    (SixtyfourRunWorkflowOperator, RUN, {"specs_override": {"resource_handle_id": "h"}}, "not both: a run has one"),
    (SixtyfourRunWorkflowOperator, RUN, {"result_formats": ["csvv"]}, "result_formats should be some of csv, json"),
    (SixtyfourRunWorkflowOperator, RUN, {"result_formats": "xlsx"}, "result_formats should be some of csv, json"),
    (SixtyfourRunWorkflowOperator, RUN, {"result_formats": ()}, "result_formats should be some of csv, json"),
    (SixtyfourRunWorkflowOperator, RUN, {"poll_interval": 0}, "poll_interval should be a positive number"),
    (SixtyfourRunWorkflowOperator, RUN, {"poll_interval": None}, "poll_interval should be a positive number"),
    (SixtyfourRunWorkflowOperator, RUN, {"timeout": "soon"}, "timeout should be a positive number of seconds"),
    (SixtyfourRunWorkflowOperator, RUN, {"timeout": timedelta(0)}, "timeout should be a positive number of seconds"),
    (SixtyfourRunWorkflowOperator, RUN, {"execution_timeout": timedelta(0)}, "execution_timeout should be a positive"),
    (SixtyfourEnrichOperator, ENRICH, {"workflow_id": ""}, "workflow_id should be an id, not ''"),
    (SixtyfourEnrichOperator, ENRICH, {"source": None}, "Give source or rows, and not both"),
    (SixtyfourEnrichOperator, ENRICH, {"rows": [{"a": 1}]}, "Give source or rows, and not both"),
    (SixtyfourEnrichOperator, ENRICH, {"source": None, "rows": []}, "rows is an empty list"),
    (SixtyfourEnrichOperator, ENRICH, {"source": None, "rows": "{"}, "rows is not valid JSON"),
    (
        SixtyfourEnrichOperator,
        ENRICH,
        {"source": None, "rows": [{}], "delimiter": ";"},
        "delimiter is for a file of CSV",
    ),
    (SixtyfourEnrichOperator, ENRICH, {"source": "leads.csv"}, "source should be a URL with a scheme"),
    (SixtyfourEnrichOperator, ENRICH, {"source": 7}, "source should be a URL with a scheme"),
    (SixtyfourEnrichOperator, ENRICH, {"source": "file:///leads.xlsx"}, "The API takes files that end in .csv"),
    (SixtyfourEnrichOperator, ENRICH, {"delimiter": "semi"}, "delimiter should be one character"),
    (SixtyfourEnrichOperator, ENRICH, {"destination": "landed"}, "destination should be a URL with a scheme"),
    (SixtyfourEnrichOperator, ENRICH, {"destination": None}, "destination should be a URL with a scheme"),
    (SixtyfourEnrichOperator, ENRICH, {"specs_override": {"resource_handle_id": "h"}}, "names a resource_handle_id"),
    (SixtyfourEnrichOperator, ENRICH, {"format": "xlsx"}, "format should be one of csv, json, ndjson"),
    (SixtyfourEnrichOperator, ENRICH, {"files": "last"}, "files should be 'final', 'all' or block numbers"),
    (SixtyfourEnrichOperator, ENRICH, {"on_mismatch": "raise"}, "on_mismatch should be one of warn, fail"),
    (SixtyfourEnrichOperator, ENRICH, {"output_format": "arrow"}, "output_format should be None, csv or parquet"),
    (
        SixtyfourEnrichOperator,
        ENRICH,
        {"format": "json", "output_format": "parquet"},
        "Parquet is made of csv or ndjson",
    ),
    (SixtyfourEnrichOperator, ENRICH, {"max_rows": 0}, "max_rows should be a number of rows, 1 at least"),
    (SixtyfourEnrichOperator, ENRICH, {"poll_interval": -1}, "poll_interval should be a positive number"),
    (SixtyfourEnrichOperator, ENRICH, {"timeout": 0}, "timeout should be a positive number of seconds"),
    (SixtyfourToObjectStorageOperator, LAND, {"job_id": ""}, "job_id should be an id, not ''"),
    (SixtyfourToObjectStorageOperator, LAND, {"job_id": "None"}, "job_id should be an id, not 'None'"),
    (SixtyfourToObjectStorageOperator, LAND, {"destination": "/landed"}, "destination should be a URL with a scheme"),
    (SixtyfourToObjectStorageOperator, LAND, {"destination": "s3:///x"}, "destination names no bucket"),
    (SixtyfourToObjectStorageOperator, LAND, {"format": "parquet"}, "format should be one of csv, json, ndjson"),
    (SixtyfourToObjectStorageOperator, LAND, {"files": []}, "files should be 'final', 'all' or block numbers"),
    (SixtyfourToObjectStorageOperator, LAND, {"manifest": "a/b"}, "manifest should be a file's name"),
    (SixtyfourToObjectStorageOperator, LAND, {"on_mismatch": None}, "on_mismatch should be one of warn, fail"),
    (SixtyfourToObjectStorageOperator, LAND, {"max_parallel_files": 0}, "max_parallel_files should be 1 or more"),
    (SixtyfourToObjectStorageOperator, LAND, {"output_format": "json"}, "output_format should be None, csv or parquet"),
    (SixtyfourRunSensor, WAIT, {"job_id": ""}, "job_id should be an id, not ''"),
    (SixtyfourRunSensor, WAIT, {"poll_interval": 0}, "poll_interval should be a positive number"),
    (SixtyfourCancelRunOperator, CANCEL, {"job_id": ""}, "job_id should be an id, not ''"),
    (SixtyfourDeployWorkflowOperator, DEPLOY, {"workflow_id": ""}, "workflow_id should be an id, not ''"),
    (SixtyfourDeployWorkflowOperator, DEPLOY, {"workflow": "{"}, "The workflow is not valid JSON"),
    (SixtyfourDeployWorkflowOperator, DEPLOY, {"workflow": None}, "The workflow should be an object, not NoneType"),
    (SixtyfourDeployWorkflowOperator, DEPLOY, {"workflow": {"blocks": []}}, "it has no blocks"),
    (SixtyfourDeployWorkflowOperator, DEPLOY, {"workflow": {**GRAPH, "edges": [{}]}}, "edges[0] names no block"),
    (SixtyfourDeployWorkflowOperator, DEPLOY, {"workflow": {**GRAPH, "id": "other"}}, "is not the task's workflow_id"),
    (SixtyfourDeleteWorkflowOperator, DELETE, {"workflow_id": ""}, "workflow_id should be an id, not ''"),
]


@pytest.mark.parametrize(("kind", "right", "wrong", "message"), WRONG, ids=lambda value: str(value)[:50])
def test_errors_in_the_dag_file_are_raised_there(kind, right, wrong, message):
    kind(task_id="right", **right)
    with pytest.raises(AirflowFailException, match=re.escape(message)):
        kind(task_id="wrong", **{**right, **wrong})


def test_errors_in_defaults_are_raised_too():
    with (
        pytest.raises(AirflowFailException, match="batch_rows should be"),
        DAG("enrich", schedule=None, default_args={"batch_rows": 0}),
    ):
        SixtyfourSplitInputOperator(task_id="split", **SPLIT)


def templates(value):
    """Return a wrong value as what is known when the task runs only."""
    return [f"{value}{{{{ params.x }}}}", f"{{% if x %}}{value}{{% endif %}}"]


TEMPLATED = [(kind, right, wrong) for kind, right, wrong, _ in WRONG if set(wrong) <= set(kind.template_fields)]


@pytest.mark.parametrize(("kind", "right", "wrong"), TEMPLATED, ids=lambda value: str(value)[:50])
def test_what_a_template_or_another_task_gives_waits_for_the_task(kind, right, wrong):
    with DAG("enrich", schedule=None, params={"x": Param("")}) as dag:
        upstream = SixtyfourSplitInputOperator(task_id="upstream", **SPLIT)
        for name, value in wrong.items():
            for number, later in enumerate([*templates(value), upstream.output, dag.param("x")]):
                kind(task_id=f"later_{name}_{number}", **{**right, name: later})


@pytest.mark.parametrize(("kind", "right", "wrong"), TEMPLATED, ids=lambda value: str(value)[:50])
def test_a_mapped_task_checks_when_it_runs(kind, right, wrong):
    with DAG("enrich", schedule=None):
        partial = kind.partial(task_id="mapped", **{key: one for key, one in right.items() if key not in wrong})
        made = partial.expand(**{name: [value] for name, value in wrong.items()}).unmap(wrong)

    assert {name: getattr(made, name) for name in wrong} == wrong


def test_a_class_that_sets_attributes_after_its_base_is_not_judged_before():
    class Ours(SixtyfourSplitInputOperator):
        def __init__(self, **more):
            super().__init__(destination="file:///sent", **more)
            self.source = "file:///in/leads.csv"

    class Same(SixtyfourSplitInputOperator):
        ui_color = "#fff"

    assert Ours(task_id="split").source == "file:///in/leads.csv"
    with pytest.raises(AirflowFailException, match="Give source or rows"):
        Same(task_id="split", destination="file:///sent")


def test_templates_may_be_marked_in_another_way():
    with DAG("enrich", schedule=None, jinja_environment_kwargs={"variable_start_string": "<<"}):
        SixtyfourSplitInputOperator(task_id="split", source="<< params.x >>", destination="<< params.y >>")


@pytest.mark.parametrize(
    "value", [None, 0, True, 1.5, "", "file:///x.csv", "{x}", b"{{", ["a", {"b": ("c",)}], Path("/x"), {1, 2}, print]
)
def test_literals(value):
    assert is_literal(value)


def test_what_is_no_literal():
    with DAG("enrich", schedule=None, params={"x": Param("")}) as dag:
        output = SixtyfourSplitInputOperator(task_id="split", **SPLIT).output
        later = [
            "{{ x }}",
            "a{% if x %}b",
            "a{# x #}b",
            output,
            output["x"],
            output.map(str),
            dag.param("x"),
            ["a", output],
            {"a": ["{{ x }}"]},
            {"{{ x }}": 1},
            Path("/in/{{ ds }}.csv"),
            ObjectStoragePath("file:///in/{{ ds }}.csv"),
        ]
        for one in later:
            assert not is_literal(one), one


def test_what_is_right_as_far_as_is_known_waits_for_the_task():
    """One of two parameters is a template: what they have to do with each other isn't known."""
    later = "{{ params.x }}"
    SixtyfourRunWorkflowOperator(task_id="a", workflow_id="w", webhook_payload=[{}], resource_handle_id=later)
    SixtyfourRunWorkflowOperator(task_id="b", workflow_id="w", webhook_payload=later, resource_handle_id="h")
    SixtyfourRunWorkflowOperator(task_id="c", workflow_id="w")  # a block that needs no input
    for number, more in enumerate(
        [
            {"rows": later},
            {"source": later, "rows": [{}]},
            {"format": later, "output_format": "json"},
            {"format": later, "output_format": "parquet"},
            {"format": "json", "output_format": later},
            {"files": ["{{ params.x }}"], "timeout": later, "delimiter": later},
            {"source": {"path": "file:///sent/a.csv"}},
        ]
    ):
        SixtyfourEnrichOperator(task_id=f"e{number}", **{**ENRICH, **more})
    SixtyfourDeployWorkflowOperator(task_id="d", workflow_id=later, workflow={**GRAPH, "id": "w"})


@pytest.mark.parametrize(
    "payload", ["rows.json", " /in/rows.json ", iter([{"a": 1}]), {"company": "Example"}, '{"a": 1}', ({"a": 1},)]
)
def test_rows_that_can_be_right(payload):
    one = SixtyfourRunWorkflowOperator(task_id="run", workflow_id="w", webhook_payload=payload)

    assert one.webhook_payload is payload
    assert not hasattr(payload, "__next__") or list(payload) == [{"a": 1}]  # still to be read


def test_what_parquet_needs_is_found_where_the_task_runs(monkeypatch):
    monkeypatch.setattr("airflow_provider_sixtyfour.formats.parquet.schema.find_spec", lambda name: None)
    parquet = {"output_format": "parquet", "parquet_schema": {"a": "no such type"}}

    SixtyfourEnrichOperator(task_id="enrich", **ENRICH, **parquet)
    SixtyfourToObjectStorageOperator(task_id="land", **LAND, **parquet, format="ndjson")


def test_a_workflow_in_a_file_is_read_by_the_task():
    SixtyfourDeployWorkflowOperator(task_id="deploy", workflow_id="w", workflow="no_such_file.json")


def test_text_that_rendering_makes_something_else_of_waits_for_the_task():
    texts = {"webhook_payload": "[{'a': 1}]", "specs_override": "{'a': True}", "result_formats": "['csv', 'json']"}
    with DAG("native", schedule=None, render_template_as_native_obj=True):
        one = SixtyfourRunWorkflowOperator(task_id="run", workflow_id="w", **texts)
        assert is_settled(one, "w")
        assert not any(is_settled(one, text) for text in ("", "1", "'w'", "[1]", "None"))
        with pytest.raises(AirflowFailException, match="webhook_payload is not valid JSON"):
            SixtyfourRunWorkflowOperator(task_id="wrong", workflow_id="w", webhook_payload="company")
    with DAG("text", schedule=None), pytest.raises(AirflowFailException, match="webhook_payload is not valid JSON"):
        SixtyfourRunWorkflowOperator(task_id="run", workflow_id="w", **texts)


@pytest.mark.parametrize("kind", [SixtyfourRunWorkflowOperator, SixtyfourEnrichOperator])
def test_defaults_of_a_dag_are_checked_with_each_task_that_takes_them(kind):
    right = RUN if kind is SixtyfourRunWorkflowOperator else ENRICH
    with DAG("enrich", schedule=None, default_args={"poll_interval": 0}):
        with pytest.raises(AirflowFailException, match="poll_interval should be a positive number"):
            kind(task_id="run", **right)
        kind(task_id="another", **right, poll_interval=5)


@pytest.mark.parametrize(
    ("kind", "right", "mapped"),
    [
        (SixtyfourRunWorkflowOperator, {"workflow_id": "w"}, "webhook_payload"),
        (SixtyfourEnrichOperator, {"workflow_id": "w", "destination": "file:///x"}, "source"),
        (SixtyfourToObjectStorageOperator, {"destination": "file:///x"}, "job_id"),
        (SixtyfourRunSensor, {}, "job_id"),
    ],
)
def test_what_is_mapped_over_need_not_be_known_in_the_dag_file(kind, right, mapped):
    with DAG("enrich", schedule=None):
        upstream = SixtyfourSplitInputOperator(task_id="upstream", **SPLIT)
        kind.partial(task_id="mapped", **right).expand(**{mapped: upstream.output})
        kind.partial(task_id="each", **right).expand_kwargs([{mapped: None}, {mapped: ""}])
