"""What the tab reads: of this Dag run alone, for those alone who may read it, and whatever an XCom holds."""

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_sixtyfour.ui import page_data
from tests.unit.ui.conftest import START

PROGRESS = {
    "status": "running",
    "percent": 40.0,
    "block": "company_enrichment",
    "processed": 2,
    "total": 5,
    "blocks": [{"number": 1, "name": "read_csv", "status": "completed", "processed": 5, "total": 5, "error": None}],
    "at": "2026-11-01T00:00:10+00:00",
}
RESULT = {
    "job_id": "22222222-0000-0000-0000-000000000000",
    "rows": 5,
    "bytes": 1000,
    "metrics": {"credits_used": 5, "rows_in": 5},
    "files": [{"path": "s3://bucket/a.csv", "rows": 5, "bytes": 1000, "sha256": "ab" * 32}],
    "manifest": "s3://bucket/_manifest.json",
    "quality": {"email": {"filled": 3, "empty": 2}},
}
JOB = "11111111-0000-0000-0000-000000000000"


def runs(client: Any, run_id: str, dag_id: str = "enrich", **params: Any) -> Any:
    return client.get(f"/sixtyfour/dags/{dag_id}/runs", params={"run_id": run_id, **params})


UNDER_WAY = {
    "job_id": JOB,
    "sixtyfour_progress": PROGRESS,
    "sixtyfour_run_link": f"https://app.example.com/runs/{JOB}",
}
FAILED = {"job_id": JOB, "sixtyfour_error": "Failed in block 'x'."}
ESTIMATE = {"rows": 20, "cost": {"median": 20.0}, "metric": "credits_used"}


def of(operator: str, **xcoms: Any) -> dict[str, Any]:
    """Return a task of another operator that has ended."""
    return {"state": "success", "operator": operator, "xcoms": xcoms}


@pytest.fixture
def three(stored):
    """One run is under way, one has failed, one is done, and one has not begun."""
    return stored(
        {
            ("leads.enrich", 0): {"state": "deferred", "label": "leads-00000 (5 rows)", "xcoms": UNDER_WAY},
            ("leads.enrich", 1): {"state": "failed", "xcoms": FAILED},
            ("leads.enrich", 2): {"state": "success", "xcoms": {"return_value": RESULT, "sixtyfour_error": "earlier"}},
            ("leads.enrich", 3): {"state": None},
            ("load", -1): of("PythonOperator", return_value="secret of another"),
            ("own", -1): {"state": "running", "operator": "OurSubclass", "xcoms": {"job_id": JOB}},
            ("leads.estimate", -1): of("SixtyfourEstimateCostOperator", return_value=ESTIMATE),
            ("leads.budget", -1): of("SixtyfourBudgetOperator", budget={"limit": 15, "batches_left_out": 1}),
        }
    )


def test_what_is_shown_of_a_dag_run(api, three):
    shown = runs(api(), three).json()

    found = {(run["task_id"], run["map_index"]): run for run in shown["runs"]}
    assert set(found) == {*(("leads.enrich", number) for number in range(4)), ("own", -1)}
    under_way = found["leads.enrich", 0]
    assert (under_way["state"], under_way["label"], under_way["percent"]) == ("deferred", "leads-00000 (5 rows)", 40.0)
    assert (under_way["block"], under_way["processed"], under_way["total"]) == ("company_enrichment", 2, 5)
    assert (under_way["job_id"], under_way["link"]) == (JOB, f"https://app.example.com/runs/{JOB}")
    assert found["leads.enrich", 1]["error"] == "Failed in block 'x'."
    done = found["leads.enrich", 2]
    assert (done["rows_in"], done["rows_out"], done["credits"], done["files"], done["error"]) == (5, 5, 5, 1, None)
    assert found["leads.enrich", 3]["state"] is None
    assert (shown["estimate"]["cost"], shown["budget"]["limit"], shown["collect"]) == (20.0, 15, None)
    assert shown["state"] == "running"
    assert "secret of another" not in json.dumps(shown)


def test_what_is_shown_of_one_task(api, three):
    [only] = runs(api(), three, task_id="leads.enrich", map_index=1).json()["runs"]

    assert only["map_index"] == 1
    assert len(runs(api(), three, task_id="leads.enrich").json()["runs"]) == 4


def test_what_is_shown_when_a_row_is_opened(api, three):
    def details(map_index):
        params = {"run_id": three, "task_id": "leads.enrich", "map_index": map_index}
        return api().get("/sixtyfour/dags/enrich/details", params=params).json()

    assert details(0)["blocks"] == PROGRESS["blocks"]
    assert details(2)["files"] == RESULT["files"]
    assert details(2)["quality"] == [{"name": "email", "filled": 3, "empty": 2}]
    assert details(9) == {"blocks": [], "files": [], "quality": [], "manifest": None, "error": None}


def test_another_run_and_another_dag_are_not_shown(api, stored, three):
    stored({("leads.enrich", 0): {"state": "running", "xcoms": {"job_id": JOB}}}, run_id="other")
    others = {"state": "running", "xcoms": {"job_id": "of another Dag"}}
    stored(dict.fromkeys([("leads.enrich", 3), ("leads.enrich", 7)], others), dag_id="other_dag", run_id=three)

    shown = runs(api(), three)
    assert len(shown.json()["runs"]) == 5
    assert "of another Dag" not in shown.text
    assert [run["map_index"] for run in runs(api(), three, dag_id="other_dag").json()["runs"]] == [3, 7]
    assert runs(api(), "no such run").status_code == 404


@pytest.mark.parametrize(
    "path", ["/sixtyfour/dags/enrich/runs?run_id=x", "/sixtyfour/dags/enrich/details?run_id=x&task_id=t"]
)
def test_nobody_reads_without_a_login(api, path):
    assert api(None).get(path).status_code == 401
    forged = api(None)
    forged.headers["Authorization"] = "Bearer x.y.z"
    assert forged.get(path).status_code in (401, 403)


@pytest.mark.parametrize("path", ["runs?run_id={run}", "details?run_id={run}&task_id=leads.enrich&map_index=0"])
@pytest.mark.parametrize("entity", ["TASK_INSTANCE", "XCOM", None])
def test_who_may_not_read_a_dag_reads_nothing_of_it(api, stored, three, monkeypatch, path, entity):
    """Whatever is requested: the Dag's name in the path decides, and no other parameter."""
    from airflow.api_fastapi.app import get_auth_manager

    asked = []

    def is_authorized_dag(self, *, method, user, access_entity=None, details=None):
        asked.append((method, access_entity and access_entity.name, details and details.id))
        is_refused = entity is None or (access_entity and access_entity.name == entity)
        return not (is_refused and (details is None or details.id == "enrich"))

    monkeypatch.setattr(type(get_auth_manager()), "is_authorized_dag", is_authorized_dag)
    path = path.format(run="manual__1%2B%2F%C3%A4")

    assert api().get(f"/sixtyfour/dags/enrich/{path}").status_code == 403
    assert api().get(f"/sixtyfour/dags/enrich/{path}&dag_id=allowed").status_code == 403
    assert asked
    assert {(method, dag) for method, _, dag in asked} == {("GET", "enrich")}
    assert api().get(f"/sixtyfour/dags/allowed/{path}").status_code in (200, 404)
    assert api().get(f"/sixtyfour/dags/~/{path}").status_code in (403, 404)


def test_the_script_is_public_and_is_no_other_file(api):
    script = api(None).get("/sixtyfour/static/panel.js")

    assert script.status_code == 200
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["x-content-type-options"] == "nosniff"
    for other in ("static/../app.py", "static/app.py", "docs", "openapi.json"):
        assert api(None).get(f"/sixtyfour/{other}").status_code in (401, 404)


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_only_reads(api, three, method):
    answer = getattr(api("root", "admin"), method)("/sixtyfour/dags/enrich/runs?run_id=x")

    assert answer.status_code == 405


def test_an_error_is_answered_without_its_details(api, three, monkeypatch):
    from airflow_provider_sixtyfour.ui import airflow_side

    def fail(*args, **kwargs):
        raise RuntimeError("password of the database")

    monkeypatch.setattr(airflow_side, "dag_run", fail)

    answer = runs(api(), three)

    assert (answer.status_code, set(answer.json())) == (500, {"detail"})
    assert "password" not in answer.text
    assert runs(api(), three).status_code == 500  # and the next request of the same connection, too


HOSTILE = [
    *(None, True, 7, 1e308, "x", "<script>alert(1)</script>", [], {}, [[]], {"a": {"b": []}}, "y" * 100_000),
    {"percent": "100", "status": 7, "block": {"x": 1}, "blocks": "x", "processed": [], "total": {}},
    {"percent": 1e300, "blocks": [None, 7, {"name": 7, "error": ["x"]}]},
    {"files": 7, "metrics": [], "rows": "5", "quality": []},
    {"files": [None, 7, {"path": ["x"]}], "metrics": {"credits_used": "x"}, "quality": {"a": 7, "b": {"filled": "1"}}},
    # What Python's JSON reads, and neither a float nor UTF-8 can hold.
    *(10**400, "\ud800", {"rows": -(10**400), "metrics": {"credits_used": 10**400}, "files": [{"bytes": 10**400}]}),
    {"percent": 10**400, "block": "\udfff", "blocks": [{"number": 10**400, "name": "\ud800", "error": "\udfff"}]},
    {"manifest": "\ud800", "pilot": {"rows": 10**400, "fill_rates": {"\ud800": 10**400}}, "by": "\ud800"},
    {"quality": {f"c{number}": {"filled": 1, "empty": 1} for number in range(1000)}, "files": [{}] * 2000},
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_an_xcom_holds_the_page_gets_what_it_expects(api, stored, value):
    keys = (*page_data.OF_RUNS, page_data.RESULT, page_data.BUDGET)
    run_id = stored(
        {
            ("t", 0): {"state": "deferred", "xcoms": dict.fromkeys(keys, value)},
            **{
                (operator, -1): {"state": "success", "operator": operator, "xcoms": {"return_value": value}}
                for operator in page_data.OF_THE_WHOLE
            },
        }
    )

    answer = runs(api(), run_id)
    details = api().get("/sixtyfour/dags/enrich/details", params={"run_id": run_id, "task_id": "t", "map_index": 0})

    assert (answer.status_code, details.status_code) == (200, 200)
    [run] = answer.json()["runs"]
    for name in ("percent", "processed", "total", "rows_in", "rows_out", "bytes", "credits"):
        assert run[name] is None or isinstance(run[name], int | float)
    for name in ("label", "job_id", "link", "status", "block", "error"):
        assert run[name] is None or (isinstance(run[name], str) and len(run[name]) <= page_data.LONGEST)
    shown = details.json()
    assert (len(shown["files"]), len(shown["quality"])) <= (page_data.MOST_FILES, page_data.MOST_COLUMNS)
    assert len(answer.content) < 200_000


LINKS = [
    *("javascript:alert(1)", "JAVASCRIPT:alert(1)", " javascript:x", "data:text/html,x"),
    *("//x.example", "file:///x", 7),
]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_is_no_address_of_a_page_is_left_out(api, stored, link):
    run_id = stored({("t", 0): {"state": "running", "xcoms": {"sixtyfour_run_link": link}}})

    [run] = runs(api(), run_id).json()["runs"]

    assert run["link"] is None


def test_a_thousand_batches_and_more(api, stored):
    xcoms = {"job_id": JOB, "sixtyfour_progress": PROGRESS, "return_value": RESULT}
    run_id = stored({("enrich", number): {"state": "success", "xcoms": xcoms} for number in range(2005)})

    shown = runs(api(), run_id).json()

    assert (len(shown["runs"]), shown["left_out"]) == (2000, 1)  # one more than it asks for is enough to know


def test_a_run_that_has_ended_is_shown_as_ended(api, stored):
    end = START + timedelta(hours=1)
    run_id = stored({("t", 0): {"state": "success"}}, state="success", end_date=end)

    shown = runs(api(), run_id).json()

    assert (shown["state"], shown["ended_at"]) == ("success", end.isoformat())


def test_what_a_custom_xcom_backend_has_put_elsewhere_is_read_through_it(api, stored, monkeypatch):
    """The progress that a trigger publishes goes past the backend, so it is there as it is."""
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.execution_time import xcom

    class Elsewhere(BaseXCom):
        @staticmethod
        def deserialize_value(result: Any) -> Any:
            if result.value == "s3://xcoms/broken":
                raise OSError("no such object: secret")
            return {"s3://xcoms/result": RESULT, "s3://xcoms/job": JOB}.get(result.value, result.value)

    monkeypatch.setattr(xcom, "XCom", Elsewhere)
    done = {"job_id": "s3://xcoms/job", "return_value": "s3://xcoms/result"}
    broken = {"job_id": "s3://xcoms/job", "return_value": "s3://xcoms/broken", "sixtyfour_progress": PROGRESS}
    run_id = stored(
        {
            ("t", 0): {"state": "success", "xcoms": done},
            ("t", 1): {"state": "deferred", "xcoms": broken},
        }
    )

    answer = runs(api(), run_id)
    first, second = answer.json()["runs"]

    assert (first["job_id"], first["rows_out"], first["files"]) == (JOB, 5, 1)
    assert (second["percent"], second["rows_out"]) == (40.0, None)
    assert "secret" not in answer.text
