"""A batch is paid for once, whenever its worker dies, and nothing of it is left running."""

import json
import threading
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourRunFailedError,
    SixtyfourTimeoutError,
    SixtyfourTransferError,
)
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.tasks import submission_file
from airflow_provider_sixtyfour.tasks.submission import RECORD_KEY
from airflow_provider_sixtyfour.tasks.submission_file import SUBMISSION_FILE
from tests.unit.conftest import ROWS, until
from tests.unit.operators.test_enrich import BOTH_MODES, WITH_AND_WITHOUT_STORE, names, uploads
from tests.unit.operators.test_sixtyfour_durability import dies, ids, killed_at
from tests.unit.standins import fire

pytestmark = pytest.mark.usefixtures("no_pauses")
INPUTS = pytest.mark.parametrize("kind", ["reference", "url", "rows"])
INSTANTS = pytest.mark.parametrize(
    ("moment", "runs_left_behind"),
    [(("before", 1), 0), (("after", 1), 0), (("before", 2), 1), (("after", 2), 1)],
    ids=["before the intent", "before the POST", "before the id is stored", "after it"],
)


@pytest.fixture
def given(emulator, batches, leads):
    """Return the arguments for an input of some kind."""

    def arguments(kind):
        if kind == "rows":
            return {"workflow_id": emulator.store_workflow(), "rows": ROWS}
        return {"source": batches[0] if kind == "reference" else f"file://{leads}"}

    return arguments


@pytest.fixture
def sent(monkeypatch):
    """What was sent under each key, or was about to be."""
    bodies = {}
    build = calls.run_workflow

    def noting(workflow_id, body, *, idempotency_key, **more):
        bodies.setdefault(idempotency_key, []).append(json.dumps([body, more], sort_keys=True))
        return build(workflow_id, body, idempotency_key=idempotency_key, **more)

    monkeypatch.setattr(calls, "run_workflow", noting)
    return bodies


class WritesOf:
    """The writes of intent files, as `killed_at` takes the store of a task."""

    def __init__(self, one, monkeypatch):
        self._one = one
        self._monkeypatch = monkeypatch
        self._write = submission_file.SubmissionFile.set

    @property
    def store(self):
        return self

    @property
    def set(self):
        return lambda key, value: self._write(self._file, key, value)

    @set.setter
    def set(self, write):
        def writing(file, key, value):
            self._file = file
            write(key, value)

        self._monkeypatch.setattr(submission_file.SubmissionFile, "set", writing)

    def run(self):
        self._one.run()


@INSTANTS
@INPUTS
@BOTH_MODES
@WITH_AND_WITHOUT_STORE
def test_a_worker_that_dies_around_the_submission_pays_once(
    emulator, enriching, given, sent, moment, runs_left_behind, kind, deferrable, has_store, monkeypatch
):
    one = enriching(has_store=has_store, deferrable=deferrable, **given(kind))

    killed_at(one if has_store else WritesOf(one, monkeypatch), moment)
    assert len(emulator.runs()) == runs_left_behind
    summary = one.retry()

    assert ids(emulator) == [summary["job_id"]]
    assert [len(set(bodies)) for bodies in sent.values()] == [1]  # the same request under the same key
    assert emulator.cancels() == []
    if kind != "rows":
        # Only what nobody has a record of is uploaded again.
        assert len(uploads(emulator)) == (2 if moment == ("before", 1) else 1)


@WITH_AND_WITHOUT_STORE
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_killed_in_the_middle_of_the_submission_pays_once(emulator, enriching, given, has_store, when):
    emulator.fault("delay", method="POST", path="/workflows/run", when=when, delay=30)
    one = enriching(has_store=has_store, **given("reference"))

    dies(one, emulator.runs if when == "after" else emulator.submissions)
    summary = one.retry()

    assert ids(emulator) == [summary["job_id"]]
    assert len(uploads(emulator)) == 1


@WITH_AND_WITHOUT_STORE
def test_a_worker_killed_while_it_uploads_pays_once(emulator, enriching, given, has_store):
    emulator.fault("delay", method="POST", path="/storage/csv/upload", when="after", delay=30)
    one = enriching(has_store=has_store, **given("reference"))

    dies(one, lambda: uploads(emulator))
    summary = one.retry()

    assert ids(emulator) == [summary["job_id"]]


@WITH_AND_WITHOUT_STORE
def test_a_worker_killed_while_it_waits_is_taken_over(emulator, enriching, given, has_store):
    emulator.plan(seconds=0.8)
    one = enriching(has_store=has_store, **given("reference"))

    dies(one, emulator.status_checks)
    summary = one.retry()

    assert ids(emulator) == [summary["job_id"]]
    assert names(summary) == ["Lead 0", "Lead 1"]


@WITH_AND_WITHOUT_STORE
@BOTH_MODES
def test_a_worker_killed_before_it_has_landed_lands_the_same_run(
    emulator, enriching, given, has_store, deferrable, folder
):
    emulator.fault("delay", where="storage", when="before", delay=30)
    one = enriching(has_store=has_store, deferrable=deferrable, **given("reference"))

    if deferrable:
        deferral = one.defer()
        event = fire(deferral.trigger)
        dies(SimpleNamespace(run=lambda: one.resume(deferral, event)), emulator.storage_requests)
    else:
        dies(one, emulator.storage_requests)
    assert not (folder / "leads-00000" / MANIFEST).exists()
    summary = one.retry()

    assert ids(emulator) == [summary["job_id"]]
    assert names(summary) == ["Lead 0", "Lead 1"]


@WITH_AND_WITHOUT_STORE
@BOTH_MODES
def test_what_is_half_landed_is_landed_from_the_same_run(emulator, enriching, given, has_store, deferrable):
    workflow_id = emulator.store_workflow("lead_enrichment", "find_email", source="read_csv")
    emulator.fault("reset", where="storage", skip=1, times=100)
    arguments = {**given("reference"), "workflow_id": workflow_id, "files": "all"}
    one = enriching(has_store=has_store, deferrable=deferrable, **arguments)

    with pytest.raises(SixtyfourTransferError):
        one.run()
    emulator.clear()
    summary = one.retry()

    assert ids(emulator) == [summary["job_id"]]
    assert len(summary["files"]) == 2
    assert one.retry() == summary


@WITH_AND_WITHOUT_STORE
def test_a_completed_run_is_landed_after_a_clear_too(emulator, enriching, given, has_store):
    emulator.fault("reset", where="storage", times=100)
    one = enriching(has_store=has_store, **given("reference"))
    with pytest.raises(SixtyfourTransferError):
        one.run()
    emulator.clear()

    summary = one.clear()

    assert ids(emulator) == [summary["job_id"]]


@WITH_AND_WITHOUT_STORE
def test_a_lost_submission_is_asked_for_after_a_clear_too(emulator, enriching, given, has_store):
    emulator.fault("delay", method="POST", path="/workflows/run", when="after", delay=30)
    one = enriching(has_store=has_store, **given("reference"))
    dies(one, emulator.runs)

    summary = one.clear()

    assert ids(emulator) == [summary["job_id"]]


@WITH_AND_WITHOUT_STORE
def test_with_overwrite_a_retry_goes_on_and_a_clear_pays_again(emulator, enriching, given, has_store):
    one = enriching(has_store=has_store, overwrite=True, **given("reference"))

    first = one.run()
    assert one.retry() == first
    second = one.clear()

    assert ids(emulator) == [first["job_id"], second["job_id"]]


@WITH_AND_WITHOUT_STORE
def test_a_run_that_a_clear_is_stopping_is_not_landed(emulator, enriching, given, has_store):
    emulator.plan(seconds=1000, cancel_seconds=1.5)  # longer than a clear takes to come around
    one = enriching(has_store=has_store, deferrable=True, **given("reference"))
    one.defer()

    summary = one.clear()

    assert ids(emulator)[1:] == [summary["job_id"]]


@WITH_AND_WITHOUT_STORE
@BOTH_MODES
def test_a_run_that_failed_is_replaced(emulator, enriching, given, has_store, deferrable):
    emulator.plan(status="failed", seconds=0)
    one = enriching(has_store=has_store, deferrable=deferrable, **given("reference"))
    with pytest.raises(SixtyfourRunFailedError):
        one.run()

    summary = one.retry()

    assert emulator.statuses() == ["failed", "completed"]
    assert ids(emulator)[1] == summary["job_id"]


@WITH_AND_WITHOUT_STORE
def test_other_content_stops_the_outdated_run(emulator, enriching, leads, has_store):
    emulator.plan(seconds=1000)
    one = enriching(has_store=has_store, deferrable=True, timeout=20, source=f"file://{leads}")
    one.defer()
    leads.write_text(leads.read_text() + "Lead 5,Example 5\n")

    summary = one.retry()

    assert emulator.statuses() == ["cancelled", "completed"]
    assert len(names(summary)) == 6


@WITH_AND_WITHOUT_STORE
def test_the_manifest_names_the_input_that_the_run_has_read(emulator, enriching, leads, has_store, folder):
    one = enriching(has_store=has_store, deferrable=True, source=f"file://{leads}")
    deferral = one.defer()
    event = fire(deferral.trigger)
    content = leads.read_text()
    leads.write_text(content + "Lead 5,Example 5\n")  # while it was waited for

    assert len(names(one.resume(deferral, event))) == 5
    assert len(names(one.retry())) == 6  # so the new content is not taken for done
    leads.write_text(content)
    assert len(emulator.runs()) == 2


@pytest.mark.parametrize("lost", ["the record", "what the deferral carries"])
def test_a_resumption_knows_the_input_from_one_of_two_places(emulator, enriching, leads, folder, lost):
    one = enriching(deferrable=True, source=f"file://{leads}")
    deferral = one.defer()
    event = fire(deferral.trigger)
    if lost == "the record":
        one.store.delete(RECORD_KEY)
    else:
        deferral.kwargs = None  # as by Airflow's dag.test()

    assert len(names(one.resume(deferral, event))) == 5
    assert "input" in json.loads((folder / MANIFEST).read_text())


def test_a_resumption_that_does_not_know_the_input_lands_and_does_not_guess(emulator, enriching, leads, folder, logs):
    one = enriching(deferrable=True, source=f"file://{leads}")
    deferral = one.defer()
    event = fire(deferral.trigger)
    one.store.delete(RECORD_KEY)
    deferral.kwargs = None

    assert len(names(one.resume(deferral, event))) == 5
    assert "input" not in json.loads((folder / MANIFEST).read_text())
    assert "No record of the input" in logs


# Where Airflow keeps no state


def test_the_intent_of_another_dag_run_counts_for_none(emulator, enriching, given):
    emulator.plan(seconds=1000)
    first = enriching(has_store=False, deferrable=True, identity={"run_id": "one"}, **given("reference"))
    first.defer()

    enriching(has_store=False, identity={"run_id": "another"}, timeout=20, **given("reference")).run()

    assert len({one["idempotency_key"] for one in emulator.submissions()}) == 2
    assert emulator.statuses() == ["running", "completed"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"task": 1}', '{"sixtyfour_submission": {"key": "k"}}', "[" * 9_999]
)
def test_an_intent_that_cannot_be_read_is_replaced(emulator, enriching, given, folder, text):
    (folder / "leads-00000").mkdir(parents=True)
    (folder / "leads-00000" / SUBMISSION_FILE).write_text(text)
    one = enriching(has_store=False, **given("reference"))

    summary = one.run()

    assert ids(emulator) == [summary["job_id"]]


def test_airflows_own_store_is_used_where_there_is_one(enriching, given, folder):
    one = enriching(**given("reference"))

    one.run()

    assert not (folder / "leads-00000" / SUBMISSION_FILE).exists()
    record = one.store.get(RECORD_KEY)
    assert (record["job_id"], record["handle"]) == (one.ti.xcoms["job_id"], record["handle"])
    assert record["handle"]


# Stopping


@BOTH_MODES
@WITH_AND_WITHOUT_STORE
def test_a_deadline_cancels_and_lands_nothing(emulator, enriching, given, has_store, deferrable, folder):
    emulator.plan(seconds=20)
    one = enriching(has_store=has_store, deferrable=deferrable, timeout=0.3, **given("reference"))

    with pytest.raises(SixtyfourTimeoutError, match=r"^Not completed by the task's deadline"):
        one.run()

    assert emulator.statuses() == ["cancelled"]
    assert not (folder / "leads-00000" / MANIFEST).exists()


@pytest.mark.parametrize("cancels", [True, False])
def test_a_user_who_stops_the_task_stops_the_run(emulator, enriching, given, cancels):
    emulator.plan(seconds=20)
    one = enriching(cancel_on_kill=cancels, **given("reference"))
    one.ti.state = "failed"
    operator = one.operator()
    killer = threading.Thread(target=lambda: (until(emulator.status_checks), operator.on_kill()))
    killer.start()

    with pytest.raises(SixtyfourError, match="stopped while its run was in progress"):
        one.go(operator)
    killer.join()

    assert emulator.statuses() == (["cancelled"] if cancels else ["running"])


def test_a_task_that_is_killed_while_it_uploads_starts_nothing(emulator, enriching, given):
    emulator.fault("delay", method="POST", path="/storage/csv/upload", when="after", delay=0.5)
    one = enriching(**given("reference"))
    one.ti.state = "failed"
    operator = one.operator()
    killer = threading.Thread(target=lambda: (until(lambda: uploads(emulator)), operator.on_kill()))
    killer.start()

    with pytest.raises(SixtyfourError, match="stopped while its run was in progress"):
        one.go(operator)
    killer.join()

    assert emulator.runs() == []


def test_the_trigger_may_cancel_as_the_task_may(enriching, given):
    for cancels in (True, False):
        assert (
            enriching(deferrable=True, cancel_on_kill=cancels, **given("url")).defer().trigger.cancel_on_kill is cancels
        )


def test_an_upload_that_is_refused_fails_for_good(emulator, enriching, given):
    emulator.fault("answer", method="POST", path="/storage/csv/upload", status=422, body={"detail": "not a CSV"})

    with pytest.raises(AirflowFailException, match="not a CSV"):
        enriching(**given("reference")).run()
    assert emulator.runs() == []
