"""The run operator's main path: values, logs, XComs, statuses, templates; the same on the worker and deferred."""

import json
import re
import threading
from datetime import timedelta

import httpx
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, TaskDeferred, XComArg
from airflow.providers.common.compat.sdk import BaseOperator as AnyOperator

from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.tasks.airflow_version import HAS_TABS
from tests.unit.conftest import ROWS, until
from tests.unit.standins import StateStore, Task, stored, through_serde

BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


def task(workflow, **arguments):
    arguments = {"webhook_payload": ROWS, "poll_interval": 0.02, "deferrable": False, **arguments}
    return Task(lambda: SixtyfourRunWorkflowOperator(task_id="run", workflow_id=workflow, **arguments))


@BOTH_MODES
def test_a_run_is_started_once_with_the_rows_and_its_id_returned(emulator, workflow, deferrable):
    value = task(workflow, deferrable=deferrable, result_formats=("csv", "ndjson", "json")).run()

    [run] = emulator.runs()
    assert (value, run["status"]) == (run["job_id"], "completed")
    assert emulator.bodies()[0] == {"webhook_payload": ROWS}
    assert run["formats"] == ["csv", "json", "ndjson"]
    [submission] = emulator.submissions()
    assert submission["idempotency_key"]
    assert emulator.cancels() == []


def test_sync_and_deferred_log_the_same_lines(emulator, workflow, logs):
    logged = []
    for deferrable in (False, True):
        emulator.plan(queue_seconds=1000)
        logs.lines.clear()
        runs_before = len(emulator.runs())

        def complete(runs_before=runs_before):
            """Let the run complete once it has been seen waiting in the queue."""
            run = until(lambda: emulator.runs()[runs_before:])[0]
            until(lambda: any(run["job_id"] in asked["path"] for asked in emulator.status_checks()))
            emulator.set_status(run["job_id"], "completed")

        helper = threading.Thread(target=complete)
        helper.start()
        job_id = task(workflow, deferrable=deferrable).run()
        helper.join()
        logged.append([text.replace(job_id, "JOB") for text in logs.texts() if "cannot be called outside" not in text])

    sync, deferred = logged
    triggerers = [
        "Waiting in the triggerer now, which checks the status about every 0.02 s. Run JOB.",
        f"Completed. Run JOB, workflow {workflow}.",
    ]
    assert [text for text in deferred if text not in triggerers] == sync[:-1] + deferred[-1:]
    assert [text for text in deferred if text in triggerers] == triggerers
    assert sync[:-1] == [
        f"Started a run. Run JOB, workflow {workflow}.",
        f"The run is at {emulator.url}/workflows/runs/JOB/live_status",
        "Queued 0 %. Run JOB.",
        "Completed 100 %. Run JOB.",
    ]
    for text in (sync[-1], deferred[-1]):
        assert re.fullmatch(
            rf"Completed in [\d.]+ s: 2 rows in, 2 rows out, \d+ credits\. Run JOB, workflow {workflow}\.", text
        )


def test_progress_is_logged_when_it_changes_and_not_at_each_status_check(emulator, workflow, logs):
    emulator.plan(queue_seconds=0.5, seconds=0.5)

    task(workflow, poll_interval=0.02).run()

    progress = [text.partition(". ")[0] for text in logs.texts() if " %" in text]
    assert len(emulator.status_checks()) > len(progress)
    assert progress.count("Queued 0 %") == 1
    assert progress == list(dict.fromkeys(progress))
    assert any(
        re.fullmatch(r"Running \d+ %, block 'company_enrichment' \(2\), \d of 2 rows", line) for line in progress
    )


@BOTH_MODES
@pytest.mark.parametrize(
    ("status", "happened"),
    [
        ("failed", "Failed"),
        ("cancelled", "Cancelled at Sixtyfour"),
        ("canceled", "Cancelled at Sixtyfour"),
        ("timeout", "Stopped by Sixtyfour's own time limit"),
    ],
)
def test_every_bad_end_fails_the_task_and_names_run_block_and_message(emulator, workflow, status, happened, deferrable):
    emulator.plan(status=status, seconds=0.05, fail_block=2, error_message="no source answers")

    with pytest.raises(SixtyfourRunFailedError) as failure:
        task(workflow, deferrable=deferrable).run()

    [run] = emulator.runs()
    assert str(failure.value) == (
        f"{happened} in block 'company_enrichment' (2): no source answers. "
        f"A retry or a clear of this task starts a new run. Run {run['job_id']}, workflow {workflow}."
    )
    assert not isinstance(failure.value, AirflowFailException)  # Airflow's own retries may start another
    assert emulator.cancels() == []


@BOTH_MODES
def test_a_failed_run_without_a_message_of_a_block_has_the_reason_of_the_list(emulator, workflow, deferrable):
    emulator.fault(
        "answer",
        path=".*/live_status",
        status=200,
        body={"overall_status": "failed", "workflow_id": workflow, "blocks": []},
    )
    emulator.plan(status="failed", seconds=0, error_message="the input was withdrawn")

    with pytest.raises(SixtyfourRunFailedError, match="block_failed - the input was withdrawn"):
        task(workflow, deferrable=deferrable).run()


@BOTH_MODES
def test_an_undocumented_status_is_waited_out_and_logged_once(emulator, workflow, deferrable, logs):
    emulator.plan(status="archiving", seconds=0)

    def complete():
        run = until(lambda: emulator.runs())[0]
        until(lambda: len(emulator.status_checks()) >= 3)
        emulator.set_status(run["job_id"], "completed")

    helper = threading.Thread(target=complete)
    helper.start()
    value = task(workflow, deferrable=deferrable).run()
    helper.join()

    assert value == emulator.runs()[0]["job_id"]
    odd = [text for text in logs.texts("warning") if "'archiving'" in text]
    assert len(odd) == 1


@BOTH_MODES
def test_a_run_that_is_absent_from_the_list_is_still_running(emulator, workflow, deferrable):
    emulator.fault("answer", path="/workflows/runs", times=1000, status=200, body=[])

    assert task(workflow, deferrable=deferrable).run() == emulator.runs()[0]["job_id"]


@BOTH_MODES
def test_id_and_link_are_pushed_before_the_wait(emulator, workflow, deferrable):
    emulator.plan(seconds=1000)
    seen = {}
    one = task(workflow, deferrable=deferrable, wait_for_completion=True, timeout=0.5)
    push = one.ti.xcom_push
    one.ti.xcom_push = lambda key, value: (push(key, value), seen.setdefault(key, len(emulator.status_checks())))

    if deferrable:
        one.defer()
    else:
        with pytest.raises(Exception, match="deadline"):
            one.run()

    job_id = emulator.runs()[0]["job_id"]
    for_the_tab = {key: one.ti.xcoms.pop(key, None) for key in ("sixtyfour_progress", "sixtyfour_error")}
    assert one.ti.xcoms == {
        "job_id": job_id,
        "sixtyfour_run_link": f"{emulator.url}/workflows/runs/{job_id}/live_status",
    }
    assert (seen["job_id"], seen["sixtyfour_run_link"]) == (0, 0)
    if HAS_TABS and not deferrable:
        assert for_the_tab["sixtyfour_progress"]["status"] in ("queued", "running")
        assert "deadline" in for_the_tab["sixtyfour_error"]


@BOTH_MODES
def test_without_waiting_the_task_is_done_when_the_run_is_started(emulator, workflow, deferrable):
    emulator.plan(seconds=1000)
    one = task(workflow, deferrable=deferrable, wait_for_completion=False)

    value = one.run()

    assert value == one.ti.xcoms["job_id"] == emulator.runs()[0]["job_id"]
    assert emulator.status_checks() == []
    assert (emulator.statuses(), one.deferrals) == (["running"], 0)


def test_what_a_deferral_leaves_behind_is_ids_and_numbers(emulator, workflow):
    one = task(workflow, deferrable=True, timeout=timedelta(minutes=5))

    deferral = one.defer()

    path, kwargs = deferral.trigger.serialize()
    assert path == "airflow_provider_sixtyfour.triggers.sixtyfour.SixtyfourRunTrigger"
    assert kwargs == {
        "sixtyfour_conn_id": "sixtyfour_default",
        "job_id": emulator.runs()[0]["job_id"],
        "poll_interval": 0.02,
        "deadline": one.ti.start_date.timestamp() + 300,
        "cancel_on_kill": True,
        "may_be_unknown": 30.0,
        "refusal_patience": None,
        "host": emulator.url,
        "kind": "run",
        "workflow_id": workflow,
    }
    assert through_serde(kwargs) == kwargs
    assert (deferral.method_name, deferral.kwargs or {}, deferral.timeout) == ("execute_complete", {"rows": 2}, None)
    assert stored(deferral.trigger).serialize() == deferral.trigger.serialize()


def test_a_run_over_an_uploaded_file(emulator):
    workflow = emulator.store_workflow(source="read_csv")
    handle = uploaded(emulator)

    value = task(workflow, webhook_payload=None, resource_handle_id=handle).run()

    [run] = emulator.runs()
    assert (value, run["rows"]) == (run["job_id"], 1)
    assert emulator.bodies()[0] == {"specs_override": {"resource_handle_id": handle}}


def uploaded(emulator):
    answer = httpx.post(
        f"{emulator.url}/storage/csv/upload",
        headers={"x-api-key": emulator.api_key},
        files={"file": ("leads.csv", b"name\nLead One\n")},
        timeout=10,
    )
    return answer.json()["handle_id"]


def test_other_specs_for_one_run(emulator, workflow):
    task(workflow, webhook_payload=ROWS[0], specs_override={"dataframe_type": "COMPANY"}).run()

    assert emulator.bodies()[0] == {
        "webhook_payload": ROWS[0],
        "specs_override": {"dataframe_type": "COMPANY"},
    }


# Templates


def test_every_templated_field_is_rendered(emulator, workflow, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", emulator.connection_json())
    emulator.plan(seconds=0)
    one = Task(
        lambda: SixtyfourRunWorkflowOperator(
            task_id="run",
            workflow_id="{{ ti.xcoms['workflow'] }}",
            webhook_payload=[{"name": "{{ run_id }}", "deep": {"list": ["{{ ti.task_id }}"]}}],
            specs_override={"webhook_input": "{{ ti.task_id | upper }}"},
            result_formats=["csv", "{{ 'nd' ~ 'json' }}"],
            timeout="{{ 10 * 6 }}",
            sixtyfour_conn_id="{{ 'oth' ~ 'er' }}",
            deferrable=True,
        )
    )
    one.ti.xcoms["workflow"] = workflow
    operator = one.operator()

    with pytest.raises(TaskDeferred) as deferral:
        operator.execute(one.context)

    [run] = emulator.runs()
    assert run["workflow_id"] == workflow
    assert emulator.bodies()[0] == {
        "webhook_payload": [{"name": "scheduled__2026-11-01", "deep": {"list": ["run"]}}],
        "specs_override": {"webhook_input": "RUN"},
    }
    assert run["formats"] == ["csv", "ndjson"]
    kwargs = deferral.value.trigger.serialize()[1]
    assert kwargs["sixtyfour_conn_id"] == "other"
    assert kwargs["deadline"] == one.ti.start_date.timestamp() + 60
    assert SixtyfourRunWorkflowOperator(
        task_id="run", workflow_id="w", resource_handle_id="{{ x }}"
    ).template_fields >= ("resource_handle_id",)


class Upstream(XComArg):
    """The output of an upstream task, as it comes out of an XCom."""

    def __init__(self, value):
        self.value = value

    def resolve(self, context, *_, **__):
        return self.value

    def iter_references(self):
        return iter(())

    iter_upstream_tasks = iter_references

    def _serialize(self):
        return {}

    map = zip = concat = get_task_map_length = _serialize


HARMLESS = [
    {"file": "leads.json", "name": "{{ conn.sixtyfour_default.password }}", "note": "{% raise %}"},
    {"file": "/etc/hostname.json", "name": "{{ 1 // 0 }}", "note": "${HOME} 100%"},
]


def test_rows_of_an_upstream_task_are_sent_as_they_are(emulator, workflow):
    task(workflow, webhook_payload=Upstream(HARMLESS)).run()

    assert emulator.bodies()[0]["webhook_payload"] == HARMLESS


def test_text_that_ends_like_a_file_name_inside_rows_is_not_read_as_one(emulator, workflow):
    rows = [{"file": "leads.json"}, {"file": "other.json"}]

    task(workflow, webhook_payload=rows).run()

    assert emulator.bodies()[0]["webhook_payload"] == rows


@pytest.fixture
def dag_folder(tmp_path):
    """A folder with a Dag's file in it, and JSON files next to it."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "leads.json").write_text('[{"name": "{{ run_id }}", "n": {{ 6 * 7 }}, "ok": true, "none": null}]')
    (tmp_path / "sub" / "ascii.json").write_text('[{"name": "{{ run_id }}", "list": {{ [1, 2] | tojson }}}]')
    (tmp_path / "broken.json").write_text('[{"name": ')
    (tmp_path / "undefined.json").write_text("[{{ nothing.of.it }}]")
    (tmp_path / "latin.json").write_bytes('[{"name": "Zoë"}]'.encode("latin-1"))
    return tmp_path


def dag_in(folder, native=False):
    dag = DAG("enrich", schedule=None, render_template_as_native_obj=native)
    dag.fileloc = str(folder / "dag.py")
    return dag


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("name", ["leads.json", "sub/ascii.json", "absolute"])
def test_rows_in_a_file_next_to_the_dag_are_rendered_and_sent(emulator, workflow, dag_folder, name, native):
    expected = {
        "leads.json": [{"name": "scheduled__2026-11-01", "n": 42, "ok": True, "none": None}],
        "sub/ascii.json": [{"name": "scheduled__2026-11-01", "list": [1, 2]}],
    }
    expected["absolute"] = expected["leads.json"]
    given = str(dag_folder / "leads.json") if name == "absolute" else name
    dag = dag_in(dag_folder, native)

    Task(
        lambda: SixtyfourRunWorkflowOperator(
            task_id=f"run{id(object())}", dag=dag, workflow_id=workflow, webhook_payload=given, poll_interval=0.02
        )
    ).run()

    assert emulator.bodies()[0]["webhook_payload"] == expected[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.json", "There is no file 'missing.json' in the Dag's folder"),
        ("broken.json", "webhook_payload (broken.json) is not valid JSON"),
        ("undefined.json", "can't be rendered as a template"),
        ("latin.json", "not UTF-8 text"),
        ("../outside.json", "There is no file '../outside.json'"),
        ("not json at all", "webhook_payload is not valid JSON"),
    ],
)
def test_a_file_that_cannot_be_read_fails_for_good_and_starts_nothing(emulator, workflow, dag_folder, name, message):
    dag = dag_in(dag_folder)
    (dag_folder.parent / "outside.json").write_text("[]")
    given = {"task_id": "run", "dag": dag, "workflow_id": workflow, "webhook_payload": name}

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        Task(lambda: SixtyfourRunWorkflowOperator(**given)).run()

    assert emulator.submissions() == []


def test_rows_as_json_text(emulator, workflow):
    task(workflow, webhook_payload=json.dumps(ROWS)).run()

    assert emulator.bodies()[0]["webhook_payload"] == ROWS


def test_no_operator_names_a_template_extension():
    """Airflow would take any text inside a templated value for a file."""
    assert tuple(SixtyfourRunWorkflowOperator.template_ext) == tuple(AnyOperator.template_ext) == ()


@BOTH_MODES
def test_an_oauth_client_instead_of_a_key(emulator, workflow, deferrable, keys, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", oauth_connection(emulator, keys))

    value = task(workflow, deferrable=deferrable).run()

    assert value == emulator.runs()[0]["job_id"]
    asked = [one for one in emulator.requests() if one["path"] != "/oauth/token"]
    assert all(one["headers"]["authorization"].startswith("Bearer ") for one in asked)
    assert not any("x-api-key" in one["headers"] for one in asked)
    # One for the worker, and for a deferred task those of the triggerer and of the worker that resumes it.
    assert len(emulator.asked("POST", "/oauth/token")) <= 3


def oauth_connection(emulator, keys):
    extra = {"key_id": "key-1", "private_key": keys.private}
    return json.dumps({"conn_type": "sixtyfour", "host": emulator.url, "login": "client-1", "extra": extra})


def test_a_token_that_is_revoked_on_the_way_is_renewed(emulator, workflow, keys, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", oauth_connection(emulator, keys))
    emulator.plan(seconds=1.0)

    def revoke():
        until(lambda: emulator.status_checks())
        emulator.control("DELETE", "tokens")

    helper = threading.Thread(target=revoke)
    helper.start()
    value = task(workflow).run()
    helper.join()

    assert value == emulator.runs()[0]["job_id"]
    assert len(emulator.asked("POST", "/oauth/token")) == 2


def test_a_store_makes_no_difference_to_a_first_try(emulator, workflow):
    one = task(workflow)
    one.store = StateStore()

    assert one.run() == emulator.runs()[0]["job_id"]
    assert len(emulator.submissions()) == 1
