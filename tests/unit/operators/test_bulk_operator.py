"""One file in, one billed job, files out: paid for once, its cost known before and after, and nothing left running."""

import csv
import json
import uuid
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Asset

from airflow_provider_sixtyfour.api.job_models import StartedJob
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourRunFailedError, SixtyfourTimeoutError
from airflow_provider_sixtyfour.operators.bulk import SixtyfourBulkEnrichOperator
from airflow_provider_sixtyfour.operators.collect import SixtyfourCollectBatchesOperator
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.sensors.bulk import SixtyfourBulkJobSensor
from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment
from tests.unit.operators.test_sixtyfour_durability import dies, ids, killed_at
from tests.unit.standins import OutletEventAccessors, StateStore, Task, fire

pytestmark = pytest.mark.usefixtures("no_pauses")
BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
STRUCT = {"title": "Job title", "employees": {"description": "How many work there", "type": "int"}}
ROWS, CENTS = 5, 25  # of the file `leads` in tier "low", by the emulator's example prices


@pytest.fixture
def bulk(emulator, leads, folder, tmp_path):
    """Make tasks that enrich that file in bulk, each with a store by default."""

    def task(*, has_store=True, identity=None, **arguments):
        given = {
            "kind": "people",
            "source": f"file://{leads}",
            "struct": STRUCT,
            "destination": f"file://{folder}",
            "poll_interval": 0.02,
            "deferrable": False,
            **arguments,
        }
        return Task(
            lambda: SixtyfourBulkEnrichOperator(task_id="bulk", **given),
            store=StateStore(tmp_path / f"state-{uuid.uuid4()}.json") if has_store else None,
            **(identity or {}),
        )

    return task


def submissions(emulator, kind="people"):
    return emulator.asked("POST", f"/bulk-intelligence/{kind}")


def rows_of(result):
    [file] = result["files"]
    with open(file["path"].removeprefix("file://"), newline="") as lines:
        return list(csv.DictReader(lines))


def files_below(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()] if folder.exists() else []


# What comes back


@BOTH_MODES
def test_the_files_land_with_what_was_estimated_and_charged(emulator, bulk, folder, leads, deferrable, logs):
    result = bulk(deferrable=deferrable).run()

    [job_id] = ids(emulator)
    assert {name: value for name, value in result.items() if name not in ("files", "bytes", "quality")} == {
        "job_id": job_id,
        "workflow_id": None,
        "kind": "people",
        "source": f"file://{leads}",
        "rows": ROWS,
        "manifest": f"file://{folder}/{MANIFEST}",
        "metrics": {"estimated_cost_cents": CENTS, "charge_cents": CENTS},
        "estimated_cost_cents": CENTS,
        "charge_cents": CENTS,
    }
    rows = rows_of(result)
    assert [row["name"] for row in rows] == [f"Lead {number}" for number in range(ROWS)]
    assert all(row["title"] and row["employees"].isdecimal() for row in rows)
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["metrics"] == {"estimated_cost_cents": CENTS, "charge_cents": CENTS}
    assert manifest["quality"] == result["quality"]
    assert result["quality"]["title"]["filled"] == ROWS
    assert f"Estimated cost: {CENTS} cents, a floor of what is charged. Job {job_id}." in logs
    assert f"Charged: {CENTS} cents. Job {job_id}." in logs
    assert len(submissions(emulator)) == 1


def test_the_event_of_an_outlet_has_the_charge(emulator, bulk):
    asset = Asset("x://enriched")
    one = bulk(outlets=[asset])
    events = OutletEventAccessors()
    operator = one.operator()

    operator.execute({**one.context, "outlet_events": events})

    assert events[asset].extra["metrics"] == {"estimated_cost_cents": CENTS, "charge_cents": CENTS}
    assert events[asset].extra["rows"] == ROWS


def test_what_a_deferral_forgets_in_a_dag_test_is_on_record(emulator, bulk):
    one = bulk(deferrable=True)
    deferral = one.defer()
    deferral.kwargs = None

    result = one.resume(deferral, fire(deferral.trigger))

    assert result["estimated_cost_cents"] == CENTS
    assert json.loads(Path(result["manifest"].removeprefix("file://")).read_text())["input"]


@pytest.mark.parametrize("format", ["json", "ndjson"])
def test_other_formats(bulk, format):
    result = bulk(format=format).run()

    [file] = result["files"]
    assert file["path"].endswith(f".{format}")
    text = Path(file["path"].removeprefix("file://")).read_text()
    rows = json.loads(text) if format == "json" else [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(row["employees"], int) for row in rows)


def test_companies_with_all_that_can_be_asked_of_them(emulator, bulk):
    result = bulk(
        kind="company",
        struct={"industry": "string"},
        tier="medium",
        research_plan="Read the site.",
        columns=["company_name"],
        field_confidence=True,
        find_people=True,
        people_focus_prompt="founders",
        lead_struct={"role": {"description": "What they do", "type": "str"}},
        full_org_chart=True,
    ).run()

    # The emulator refuses members that it does not know. People that are found cost more than estimated.
    assert (result["estimated_cost_cents"], result["charge_cents"]) == (75, 100)
    assert len(submissions(emulator, "company")) == 1


def test_a_file_with_semicolons_is_sent_with_commas(bulk, tmp_path):
    path = tmp_path / "leads.csv"
    path.write_text("name;company_name\nLead One;Example, Inc.\n")

    [row] = rows_of(bulk(source=f"file://{path}", delimiter=";").run())

    assert (row["name"], row["company_name"]) == ("Lead One", "Example, Inc.")


# What is known before it is paid


@BOTH_MODES
def test_a_job_that_is_estimated_over_the_limit_is_cancelled_and_nothing_lands(
    emulator, bulk, folder, deferrable, logs
):
    emulator.plan(seconds=1000)

    with pytest.raises(AirflowFailException) as refused:
        bulk(deferrable=deferrable, max_cost_cents=CENTS - 1).run()

    message = str(refused.value)
    assert message.startswith(
        f"The estimated cost of {CENTS} cents exceeds max_cost_cents ({CENTS - 1}). The estimate is a floor: "
    )
    assert "The run is cancelled" in message
    assert emulator.statuses() == ["cancelled"]
    assert files_below(folder) == []
    assert len(emulator.cancels()) == 1


@pytest.mark.parametrize("limit", [CENTS, "25", CENTS + 0.5, None, "{{ params.none }}"])
def test_a_job_within_the_limit_runs(emulator, bulk, limit):
    one = bulk(max_cost_cents=limit)
    one.params = {"none": None}

    assert one.run()["charge_cents"] == CENTS


def test_after_a_higher_limit_a_clear_starts_another_job(emulator, bulk):
    emulator.plan(seconds=1000)
    one = bulk(max_cost_cents=1)
    with pytest.raises(AirflowFailException):
        one.run()
    make = one.make
    one.make = lambda: _with(make(), max_cost_cents=100)

    assert one.clear()["charge_cents"] == CENTS
    assert emulator.statuses() == ["cancelled", "completed"]


def _with(operator, **attributes):
    for name, value in attributes.items():
        setattr(operator, name, value)
    return operator


def test_a_limit_that_could_not_be_cancelled_for_is_held_by_the_next_try(emulator, bulk, folder):
    emulator.plan(seconds=1000)
    emulator.fault("answer", path="/workflows/cancel", status=502, body="<html>", times=4)
    one = bulk(max_cost_cents=1)
    with pytest.raises(Exception, match="While cancelling run"):
        one.run()
    assert emulator.statuses() == ["running"]

    with pytest.raises(AirflowFailException, match="exceeds max_cost_cents"):
        one.retry()

    assert emulator.statuses() == ["cancelled"]
    assert files_below(folder) == []


@BOTH_MODES
@pytest.mark.parametrize("estimate", [None, "25", -25, [25]], ids=str)
def test_a_job_without_an_estimate_is_cancelled_where_there_is_a_limit(
    emulator, bulk, folder, monkeypatch, deferrable, estimate
):
    """A limit that can't be compared with anything is not one that everything is below."""
    read = StartedJob.read.__func__
    monkeypatch.setattr(
        StartedJob,
        "read",
        classmethod(lambda kind, value, *rest: read(kind, {**value, "estimated_cost_cents": estimate}, *rest)),
    )
    emulator.plan(seconds=2)
    one = bulk(max_cost_cents=1000, deferrable=deferrable)

    with pytest.raises(AirflowFailException, match=r"^The API gives no estimate to compare with max_cost_cents"):
        one.run()

    assert emulator.statuses() == ["cancelled"]
    assert files_below(folder) == []


def test_an_estimate_that_was_lost_with_the_answer_is_logged(emulator, bulk, logs):
    emulator.fault("drop", path="/bulk-intelligence/people", when="after")

    result = bulk(max_cost_cents=CENTS).run()

    assert result["estimated_cost_cents"] is None
    assert result["charge_cents"] == CENTS
    assert len(emulator.runs()) == 1
    assert "The estimated cost is not known. It could not be compared with max_cost_cents (25)." in logs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "animals"}, "kind should be 'people' or 'company', not 'animals'"),
        ({"tier": "extreme"}, "tier should be one of micro, low, medium, high, xhigh, scout for people"),
        ({"kind": "company", "tier": "scout"}, "tier should be one of micro, low, medium, high for company"),
        ({"kind": "company", "struct": None}, "struct is empty"),
        ({"kind": "company", "struct": {}}, "struct is empty"),
        ({"struct": ["title"]}, "struct should map fields to descriptions"),
        ({"struct": {"title": 7}}, "struct['title'] is invalid"),
        ({"struct": {"title": {"type": "str"}}}, "struct['title'] is invalid"),
        ({"struct": {"title": {"description": "x", "type": 7}}}, "struct['title'] is invalid"),
        ({"struct": {" ": "x"}}, "struct[' '] is invalid"),
        ({"kind": "company", "lead_struct": {"role": None}}, "lead_struct['role'] is invalid"),
        ({"find_people": True}, "find_people is for kind='company'"),
        ({"columns": "name"}, "columns should be a list"),
        ({"max_cost_cents": -1}, "max_cost_cents should be a number of cents, not -1"),
        ({"max_cost_cents": "much"}, "max_cost_cents should be a number of cents, not 'much'"),
        ({"max_cost_cents": float("nan")}, "max_cost_cents should be a number of cents"),
    ],
)
def test_what_is_wrong_in_the_dag_file_is_seen_when_it_is_read(emulator, bulk, arguments, message):
    with pytest.raises(SixtyfourInputError) as refused:
        bulk(**arguments).make()
    assert message in str(refused.value)
    assert emulator.requests() == []


def test_what_a_template_gives_is_checked_when_the_task_runs(emulator, bulk):
    one = bulk(tier="{{ params.tier }}")
    one.params = {"tier": "extreme"}

    with pytest.raises(AirflowFailException, match="tier should be one of"):
        one.run()
    assert emulator.requests() == []


@pytest.mark.parametrize("status", [400, 401, 402, 403, 422])
def test_a_refused_submission_fails_for_good_after_one_request(emulator, bulk, status, folder):
    emulator.fault("answer", path="/bulk-intelligence/people", status=status, body={"detail": "will not"}, times=9)

    with pytest.raises(AirflowFailException, match=f"{status}.*will not"):
        bulk().run()

    assert len(submissions(emulator)) == 1
    assert files_below(folder) == []


def test_a_dry_run_asks_the_api_for_nothing(emulator, bulk, logs, folder):
    result = bulk(validate_only=True).run()

    assert (result["job_id"], result["charge_cents"], result["files"]) == (None, None, [])
    assert emulator.requests() == []
    assert "Kind: people, tier: low. Fields: title, employees. Destination: " in logs
    assert files_below(folder) == []


# What is paid for once


def test_submissions_over_the_rate_limit_are_tried_again(emulator, bulk):
    emulator.fault("answer", path="/bulk-intelligence/people", status=429, body={"detail": "slow down"}, times=4)

    assert bulk().run()["rows"] == ROWS
    keys = {one["headers"]["idempotency-key"] for one in submissions(emulator)}
    assert (len(submissions(emulator)), len(keys), len(emulator.runs())) == (5, 1, 1)


@BOTH_MODES
@pytest.mark.parametrize(
    ("moment", "left_behind"),
    [(("before", 1), 0), (("after", 1), 0), (("before", 2), 1), (("after", 2), 1)],
    ids=["before the intent", "before the POST", "before the id is stored", "after it"],
)
def test_a_worker_that_dies_at_any_instant_leaves_one_job(emulator, bulk, deferrable, moment, left_behind):
    one = bulk(deferrable=deferrable)
    killed_at(one, moment)
    assert len(emulator.runs()) == left_behind

    result = one.retry()

    assert ids(emulator) == [result["job_id"]]
    assert result["rows"] == ROWS


@pytest.mark.parametrize("has_store", [True, False], ids=["store", "no store"])
def test_a_worker_killed_in_the_post_leaves_one_job(emulator, bulk, has_store):
    emulator.fault("delay", method="POST", path="/bulk-intelligence/people", when="after", delay=30)
    one = bulk(has_store=has_store)

    dies(one, emulator.runs)
    result = one.retry()

    assert ids(emulator) == [result["job_id"]]
    first, second = (sent["headers"]["idempotency-key"] for sent in submissions(emulator))
    assert first == second


def test_a_clear_after_a_worker_died_in_the_post_pays_once_too(emulator, bulk):
    emulator.fault("delay", method="POST", path="/bulk-intelligence/people", when="after", delay=30)
    one = bulk()

    dies(one, emulator.runs)
    result = one.clear()

    assert ids(emulator) == [result["job_id"]]


def test_other_rows_after_a_worker_died_in_the_post_stop_the_lost_job(emulator, bulk, leads):
    emulator.plan(seconds=1000)
    emulator.fault("delay", method="POST", path="/bulk-intelligence/people", when="after", delay=30)
    one = bulk()
    dies(one, emulator.runs)
    leads.write_text("name\nSomebody Else\n")

    result = one.retry()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert (ids(emulator)[1], result["rows"]) == (result["job_id"], 1)


@BOTH_MODES
def test_what_is_done_is_not_paid_for_again(emulator, bulk, deferrable):
    first = bulk(deferrable=deferrable).run()
    emulator.clear()

    again = bulk(deferrable=deferrable).run()

    assert again == first
    assert emulator.requests() == []


@pytest.mark.parametrize("other", [{"struct": {"title": "Other"}}, {"tier": "micro"}, {"columns": ["name"]}])
def test_other_work_is_another_job(emulator, bulk, other):
    bulk().run()
    bulk(**other).run()

    assert len(emulator.runs()) == 2


def test_a_file_that_changes_before_it_is_sent_starts_no_job(emulator, bulk, leads, monkeypatch):
    from airflow_provider_sixtyfour.tasks import bulk_request

    call = bulk_request.BulkRequest.call

    def changed(self, key):
        leads.write_text("name\nSomebody Else\n")
        return call(self, key)

    monkeypatch.setattr(bulk_request.BulkRequest, "call", changed)

    with pytest.raises(AirflowFailException, match=r"has other content .*, so no job was started"):
        bulk().run()
    assert emulator.runs() == []


# How it ends


@BOTH_MODES
@pytest.mark.parametrize("status", ["failed", "cancelled", "timeout"])
def test_a_job_that_ends_badly_fails_the_task_and_the_retry_starts_another(emulator, bulk, deferrable, status):
    emulator.plan(seconds=0, status=status)
    one = bulk(deferrable=deferrable)

    with pytest.raises(SixtyfourRunFailedError):
        one.run()

    assert one.retry()["rows"] == ROWS
    assert emulator.statuses() == [status, "completed"]


@BOTH_MODES
def test_a_deadline_cancels_the_job(emulator, bulk, deferrable, folder):
    emulator.plan(seconds=1000)

    with pytest.raises(SixtyfourTimeoutError, match="The run is cancelled"):
        bulk(deferrable=deferrable, timeout=0.5).run()

    assert emulator.statuses() == ["cancelled"]
    assert files_below(folder) == []


def test_a_user_who_stops_the_task_stops_the_job(emulator, bulk, at_signal):
    emulator.plan(seconds=1000)
    one = bulk(identity={"try_number": 4, "max_tries": 3})
    operator = one.operator()
    at_signal(lambda: emulator.statuses() == ["running"], operator.on_kill)

    with pytest.raises(Exception, match="The task was stopped"):
        one.go(operator)

    assert emulator.statuses() == ["cancelled"]


def test_a_task_that_is_stopped_in_the_post_stops_the_job_that_it_was_starting(emulator, bulk, at_signal):
    """Who cancels it sends the file again under the same key, to learn its id."""
    emulator.plan(seconds=1000)
    emulator.fault("delay", method="POST", path="/bulk-intelligence/people", when="after", delay=1.5)
    one = bulk(identity={"try_number": 4, "max_tries": 3})
    operator = one.operator()
    at_signal(lambda: emulator.statuses() == ["running"], operator.on_kill)

    with pytest.raises(Exception, match="The task was stopped"):
        one.go(operator)

    assert emulator.statuses() == ["cancelled"]
    assert len({sent["headers"]["idempotency-key"] for sent in submissions(emulator)}) == 1


def test_who_stops_the_task_in_the_middle_of_the_file_has_a_stream_of_its_own(emulator, bulk, monkeypatch):
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.tasks.run_control import RunControl

    streams = []
    send, submitting = SixtyfourClient.send, RunControl.submitting

    def noting(taken):
        def note(self, call, **more):
            if call.upload is not None:
                streams.append(call.upload.stream)
            return taken(self, call, **more)

        return note

    monkeypatch.setattr(SixtyfourClient, "send", noting(send))
    monkeypatch.setattr(RunControl, "submitting", noting(submitting))
    bulk().run()

    for_stopping, sent = streams
    assert for_stopping is not sent
    assert for_stopping.closed
    assert sent.closed


def test_polling_is_that_of_jobs(emulator, bulk):
    emulator.plan(seconds=3)
    result = bulk(deferrable=True).run()

    paths = [one["path"] for one in emulator.requests()]
    assert paths.count(f"/job-status/{result['job_id']}") > 2
    assert not [path for path in paths if path.endswith("/live_status")]


# The sensor, the batches of a split, the task group


@BOTH_MODES
def test_the_sensor_waits_for_a_job_of_somebody_else(emulator, bulk, deferrable):
    emulator.plan(seconds=0.5)
    job_id = bulk(deferrable=True).defer().trigger.job_id
    emulator.clear()

    waits = Task(
        lambda: SixtyfourBulkJobSensor(task_id="wait", job_id=job_id, poll_interval=0.02, deferrable=deferrable)
    )

    assert waits.run() == job_id
    assert emulator.statuses() == ["completed"]
    assert {one["path"] for one in emulator.requests()} == {f"/job-status/{job_id}"}


def test_the_sensor_fails_with_a_job_that_failed(emulator, bulk):
    emulator.plan(seconds=0, status="failed")
    job_id = bulk(deferrable=True).defer().trigger.job_id

    with pytest.raises(SixtyfourRunFailedError):
        Task(lambda: SixtyfourBulkJobSensor(task_id="wait", job_id=job_id, poll_interval=0.02)).run()


def test_batches_of_a_split_are_collected_with_what_they_cost(emulator, bulk, batches, folder):
    results = [bulk(source=batch).run() for batch in batches]
    [collected] = [
        Task(
            lambda: SixtyfourCollectBatchesOperator(
                task_id="collect",
                results=results,
                batches=batches,
                destination=f"file://{folder}",
                merge_into=f"file://{folder}/all.csv",
            )
        ).run()
    ]

    assert (collected["batches"], collected["rows"]) == (3, ROWS)
    assert collected["metrics"] == {"estimated_cost_cents": CENTS, "charge_cents": CENTS}


def test_the_task_group_with_bulk_jobs():
    with DAG("enrich", schedule=None) as dag:
        enrichment = sixtyfour_enrichment(
            source="file:///in/leads.csv",
            destination="file:///out",
            bulk={"kind": "people", "struct": STRUCT, "max_cost_cents": 500},
            enrich={"retries": 2},
        )

    task = dag.task_dict["sixtyfour_enrichment.enrich"]
    assert task.operator_class is SixtyfourBulkEnrichOperator
    given = task.partial_kwargs
    assert (given["kind"], given["struct"], given["max_cost_cents"], given["retries"]) == ("people", STRUCT, 500, 2)
    assert given["deferrable"] is True
    assert enrichment.group is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give workflow_id or bulk"),
        ({"workflow_id": "w", "bulk": {"kind": "people"}}, "Give workflow_id or bulk"),
        ({"bulk": {"kind": "people", "struct": {"title": 7}}}, "struct['title'] is invalid"),
    ],
)
def test_the_task_group_takes_a_workflow_or_bulk(arguments, message):
    with DAG("enrich", schedule=None), pytest.raises(SixtyfourInputError) as refused:
        sixtyfour_enrichment(source="file:///in/leads.csv", destination="file:///out", **arguments)
    assert message in str(refused.value)
