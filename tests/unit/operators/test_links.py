"""The links on a task's page: of every task that has a run or a workflow, none where there is nothing to show."""

import json
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, XCom

try:
    from airflow.serialization.serialized_objects import DagSerialization as SerializedDAG
except ImportError:  # Airflow before 3.2
    from airflow.serialization.serialized_objects import SerializedDAG

from airflow_provider_sixtyfour.exceptions import SixtyfourDifferenceError, SixtyfourTransferError
from airflow_provider_sixtyfour.links import sixtyfour as links
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, SixtyfourWorkflowLink
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.operators.sixtyfour import (
    SixtyfourCancelRunOperator,
    SixtyfourDeployWorkflowOperator,
    SixtyfourRunWorkflowOperator,
)
from airflow_provider_sixtyfour.sensors.sixtyfour import SixtyfourRunSensor
from airflow_provider_sixtyfour.tasks.airflow_version import HAS_TABS
from airflow_provider_sixtyfour.tasks.tab_settings import tab_url
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.standins import Task

RUN, WORKFLOW = "sixtyfour_run_link", "sixtyfour_workflow_link"
DEFINITION = {
    "workflow_name": "Leads",
    "workflow_definition": {"blocks": [{"block_id": "a", "block_name": "webhook"}], "edges": []},
}


@pytest.fixture
def pushes(request, monkeypatch):
    """Whether Airflow pushes links itself when the task's process ends, as from 3.0 on."""
    monkeypatch.setattr(links, "are_pushed_by_airflow", lambda: request.param)
    return request.param


def both(function):
    return pytest.mark.parametrize("pushes", [False, True], ids=["2.11", "3"], indirect=True)(function)


def shown(operator, one):
    """Return what is on the page when the task's process has ended: what it has pushed, else what Airflow asks it."""
    [link] = operator.operator_extra_links
    return one.ti.xcoms.get(link.xcom_key) or (
        link.get_link(operator, ti_key=None) if getattr(operator, link.attribute) else ""
    )


def ended(operator):
    """Run an operator to its end, which may be bad; return the task."""
    one = Task(lambda: operator)
    try:
        one.go(operator)
    except Exception as error:
        one.error = error
    return one


@pytest.fixture
def job_id(emulator, workflow):
    return emulator.completed_run(workflow)


def of_a_run(job_id, folder, **more):
    return {
        "sensor": lambda: SixtyfourRunSensor(task_id="t", job_id=job_id, poll_interval=0.02, deferrable=False, **more),
        "land": lambda: SixtyfourToObjectStorageOperator(
            task_id="t", job_id=job_id, destination=f"file://{folder}", **more
        ),
        "cancel": lambda: SixtyfourCancelRunOperator(task_id="t", job_id=job_id, **more),
    }


KINDS = pytest.mark.parametrize("kind", ["sensor", "land", "cancel"])


@both
@KINDS
def test_a_task_links_to_the_run_that_another_has_started(emulator, job_id, tmp_path, kind, pushes):
    operator = of_a_run(job_id, tmp_path)[kind]()

    one = ended(operator)

    assert shown(operator, one) == f"{emulator.url}/workflows/runs/{job_id}/live_status"
    # A process that ends in a moment leaves it to Airflow; a long one pushes, so that it is there meanwhile.
    assert (RUN in one.ti.xcoms) is (not pushes or kind != "cancel")


@both
@pytest.mark.parametrize("mode", ["poke", "reschedule"])
def test_a_sensor_pushes_it_once_in_a_process_however_often_it_looks(emulator, workflow, pushes, mode):
    emulator.plan(seconds=1000)
    job_id = emulator.start_run(workflow)
    operator = SixtyfourRunSensor(task_id="t", job_id=job_id, poll_interval=0.02, deferrable=False, mode=mode)
    one, pushed = Task(lambda: operator), []
    one.ti.xcom_push = lambda key, value: pushed.append(key)

    for _ in range(3):
        assert not operator.poke(one.context).is_done

    assert pushed == ([] if pushes and mode == "reschedule" else [RUN])
    assert operator.run_link.endswith(f"/workflows/runs/{job_id}/live_status")


def test_a_deferred_sensor_has_it_and_it_is_pushed_once(emulator, workflow):
    emulator.plan(seconds=0.2)
    job_id = emulator.start_run(workflow)
    one = Task(lambda: SixtyfourRunSensor(task_id="t", job_id=job_id, poll_interval=0.02, deferrable=True))
    push, pushed = one.ti.xcom_push, []
    one.ti.xcom_push = lambda key, value: (push(key, value), pushed.append(key))

    one.run()

    assert one.ti.xcoms == {RUN: f"{emulator.url}/workflows/runs/{job_id}/live_status"}
    assert pushed == [RUN]


def test_a_task_that_fails_has_its_link_too(emulator, workflow, tmp_path):
    emulator.plan(seconds=1000)
    operator = of_a_run(emulator.start_run(workflow), tmp_path)["land"]()

    one = ended(operator)

    assert isinstance(one.error, SixtyfourTransferError)
    assert shown(operator, one).startswith(emulator.url)


@pytest.fixture
def deploy(workflow):
    def run(**arguments):
        operator = SixtyfourDeployWorkflowOperator(
            **{"task_id": "t", "workflow_id": workflow, "workflow": DEFINITION, **arguments}
        )
        return operator, ended(operator)

    return run


@both
def test_a_deployment_links_to_its_workflow(emulator, workflow, deploy, pushes):
    for _ in range(2):  # saved, then as it should be
        operator, one = deploy()

        assert shown(operator, one) == f"{emulator.url}/workflows/{workflow}"
        assert (WORKFLOW in one.ti.xcoms) is not pushes

    operator, one = deploy(workflow={**DEFINITION, "workflow_name": "Other"}, check_only=True)
    assert isinstance(one.error, SixtyfourDifferenceError)
    assert shown(operator, one) == f"{emulator.url}/workflows/{workflow}"


def test_a_workflow_that_has_never_been_stored_has_no_link(emulator, deploy):
    new = "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d99"
    operator, one = deploy(workflow_id=new, check_only=True)
    assert (operator.workflow_link, one.ti.xcoms) == (None, {})

    operator, one = deploy(workflow_id=new)
    assert shown(operator, one) == f"{emulator.url}/workflows/{new}"


@both
@KINDS
@pytest.mark.parametrize("fault", ["push", "id", "connection"])
def test_a_link_that_can_not_be_made_is_none_and_fails_nothing(job_id, tmp_path, monkeypatch, kind, fault, pushes):
    if fault == "connection":
        elsewhere = {"conn_type": "sixtyfour", "host": "ftp://x", "password": "k"}
        monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", json.dumps(elsewhere))
    given = "{{ '../x' }}" if fault == "id" else job_id
    one = Task(of_a_run(given, tmp_path)[kind])
    operator = one.operator()
    if fault == "push":
        one.ti.xcom_push = lambda key, value: (_ for _ in ()).throw(OSError("the API server is away"))
        one.go(operator)
    else:
        with pytest.raises(AirflowFailException, match="job_id should be an id" if fault == "id" else "http"):
            one.go(operator)
        assert operator.run_link is None

    assert one.ti.xcoms == {}


def test_a_deferred_sensor_whose_connection_is_wrong_here_waits_all_the_same(emulator, job_id, monkeypatch):
    one = Task(lambda: SixtyfourRunSensor(task_id="t", job_id=job_id, deferrable=True))
    monkeypatch.delenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT")
    monkeypatch.setattr(links, "are_pushed_by_airflow", lambda: False)
    one._push_links = lambda operator: None

    assert one.defer().trigger.job_id == job_id
    assert one.ti.xcoms == {}


ALL = [
    (SixtyfourRunWorkflowOperator, SixtyfourRunLink),
    (SixtyfourEnrichOperator, SixtyfourRunLink),
    (SixtyfourRunSensor, SixtyfourRunLink),
    (SixtyfourToObjectStorageOperator, SixtyfourRunLink),
    (SixtyfourCancelRunOperator, SixtyfourRunLink),
    (SixtyfourDeployWorkflowOperator, SixtyfourWorkflowLink),
]


@pytest.mark.parametrize(("kind", "link"), ALL, ids=lambda value: value.__name__)
@pytest.mark.parametrize(
    ("link_address", "is_shown"),
    [
        ("https://app.sixtyfour.ai/#job_id=1", True),
        ("http://127.0.0.1:1/x", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("file:///etc/passwd", False),
        ("//elsewhere", False),
        ("", False),
        (None, False),
        (7, False),
        ({"url": "https://x"}, False),
    ],
)
def test_only_addresses_of_the_web_are_links(monkeypatch, kind, link, link_address, is_shown):
    [one] = kind.operator_extra_links
    expected = link_address if is_shown else ""
    monkeypatch.setattr(XCom, "get_value", lambda **_: link_address)

    assert type(one) is link
    assert one.get_link(SimpleNamespace(), ti_key="the key") == expected
    monkeypatch.setattr(XCom, "get_value", lambda **_: None)
    assert one.get_link(SimpleNamespace(**{one.attribute: link_address}), ti_key="the key") == expected


def test_addresses_at_the_live_service_and_elsewhere():
    live, other = "https://api.sixtyfour.ai", "http://127.0.0.1:6464/api"
    assert links.run_url(live, None, "j-1") == "https://app.sixtyfour.ai/#job_id=j-1"
    assert links.run_url(other, None, "j-1") == f"{other}/workflows/runs/j-1/live_status"
    assert links.workflow_url(live, "w-1") == "https://app.sixtyfour.ai/#workflow_id=w-1"
    assert links.workflow_url(other, "w-1") == f"{other}/workflows/w-1"


def test_airflow_keeps_the_links_of_a_stored_dag():
    with DAG("enrich", schedule=None) as dag:
        for number, (kind, _) in enumerate(ALL):
            needed = {
                "job_id": "j",
                "workflow_id": "w",
                "workflow": DEFINITION,
                "destination": "file:///x",
                "rows": [{"a": 1}],
            }
            names = {
                SixtyfourRunWorkflowOperator: ["workflow_id"],
                SixtyfourEnrichOperator: ["workflow_id", "destination", "rows"],
                SixtyfourToObjectStorageOperator: ["job_id", "destination"],
                SixtyfourDeployWorkflowOperator: ["workflow_id", "workflow"],
            }.get(kind, ["job_id"])
            kind(task_id=f"t{number}", **{name: needed[name] for name in names})
        SixtyfourRunSensor.partial(task_id="mapped").expand(job_id=["a", "b"])
    to_dict, from_dict = SerializedDAG.to_dict, SerializedDAG.from_dict

    stored = from_dict(json.loads(json.dumps(to_dict(dag))))

    for number, (_, link) in enumerate(ALL):
        assert list(stored.task_dict[f"t{number}"].extra_links) == [link.name]
    assert list(stored.task_dict["mapped"].extra_links) == [SixtyfourRunLink.name]


@pytest.mark.parametrize(
    ("base_url", "tabs", "shown"),
    [
        (
            "https://airflow.example.com/af/",
            "dag_run",
            "https://airflow.example.com/af/dags/d%2F1/runs/manual__1%2B%2F/",
        ),
        ("", "dag_run", None),
        ("https://airflow.example.com", "nav", None),
        ("https://airflow.example.com", "", None),
        ("javascript:x", "dag_run", None),
    ],
)
def test_the_link_of_a_run_at_the_live_service_is_the_tab_where_there_is_one(monkeypatch, base_url, tabs, shown):
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base_url)
    monkeypatch.setenv("AIRFLOW__SIXTYFOUR__UI_TABS", tabs)
    tab = tab_url({"ti": SimpleNamespace(dag_id="d/1", run_id="manual__1+/")})

    assert tab == (f"{shown}plugin/sixtyfour-dag_run" if shown and HAS_TABS else None)
    assert links.run_url("https://api.sixtyfour.ai", "w", "j", tab) == (
        tab or "https://app.sixtyfour.ai/#workflow_id=w&job_id=j"
    )
    assert links.run_url("http://127.0.0.1:1", "w", "j", tab) == "http://127.0.0.1:1/workflows/runs/j/live_status"
