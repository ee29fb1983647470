"""A parameter that is wrong as it stands in the Dag file is an import error of the Dag; another waits for its task."""

import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, ObjectStoragePath, Param

from airflow_provider_sixtyfour.operators.batches import SixtyfourRepairInputOperator, SixtyfourSplitInputOperator
from airflow_provider_sixtyfour.operators.collect import SixtyfourCollectBatchesOperator
from airflow_provider_sixtyfour.operators.literals import is_literal
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator

SPLIT = {"source": "file:///in/leads.csv", "destination": "file:///sent"}
REPAIR = {"source": "file:///in/leads.csv", "results": [], "destination": "file:///sent", "key": "email"}
COLLECT = {"results": [], "destination": "file:///landed"}
UPLOAD = {"source": "file:///in/leads.csv"}

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
]


@pytest.mark.parametrize(("kind", "right", "wrong", "said"), WRONG, ids=lambda value: str(value)[:50])
def test_what_is_wrong_in_the_dag_file_is_told_there(kind, right, wrong, said):
    kind(task_id="right", **right)
    with pytest.raises(AirflowFailException, match=re.escape(said)):
        kind(task_id="wrong", **{**right, **wrong})


def test_defaults_are_told_too():
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
    [(name, value)] = wrong.items()
    with DAG("enrich", schedule=None, params={"x": Param("")}) as dag:
        upstream = SixtyfourSplitInputOperator(task_id="upstream", **SPLIT)
        for number, later in enumerate([*templates(value), upstream.output, dag.param("x")]):
            kind(task_id=f"later_{number}", **{**right, name: later})


@pytest.mark.parametrize(("kind", "right", "wrong"), TEMPLATED, ids=lambda value: str(value)[:50])
def test_a_mapped_task_checks_when_it_runs(kind, right, wrong):
    [(name, value)] = wrong.items()
    with DAG("enrich", schedule=None):
        partial = kind.partial(task_id="mapped", **{key: one for key, one in right.items() if key != name})
        made = partial.expand(**{name: [value]}).unmap({name: value})

    assert getattr(made, name) == value


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
