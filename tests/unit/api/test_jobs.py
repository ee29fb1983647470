"""Calls and models of Bulk Intelligence and of the balance."""

from __future__ import annotations

import contextlib
import io
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.cleaning import Cleaner
from airflow_provider_sixtyfour.api.fields import MalformedAnswer
from airflow_provider_sixtyfour.api.job_models import Job, StartedJob, read_credits
from airflow_provider_sixtyfour.api.settings import Settings
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourNotFoundError
from tests.emulator_process import EmulatorProcess
from tests.unit.api.properties import searched
from tests.unit.api.senders import SENDERS, Sender

LEADS = b"name,company\nAda,Analytical\nBlaise,Pascaline\n"


@pytest.fixture
def blocking(key_settings: Settings) -> Iterator[Sender]:
    """A file is uploaded by the blocking client only."""
    sender = SENDERS["sync"](key_settings)
    yield sender
    sender.close()


def people(**options: Any) -> calls.Call[StartedJob]:
    return calls.start_bulk_people(io.BytesIO(LEADS), "leads.csv", **options)


def company(**options: Any) -> calls.Call[StartedJob]:
    return calls.start_bulk_company(io.BytesIO(b"company\nPascaline\n"), "companies.csv", **options)


def config(call: calls.Call[Any]) -> dict[str, Any]:
    assert call.form is not None
    assert set(call.form) == {"config"}
    return dict(json.loads(call.form["config"]))


def ended(sender: Sender, task_id: str, **options: Any) -> Job:
    for _ in range(100):
        job = sender.send(calls.get_job_status(task_id, **options))
        if job.status != "running":
            return job
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_people_job_runs_to_its_files(sender: Sender, blocking: Sender, emulator: EmulatorProcess):
    struct = {"title": "job title", "age": {"description": "age in years", "type": "int"}}
    call = people(
        struct=struct, tier="low", columns=["name"], result_formats=("csv", "ndjson"), idempotency_key=str(uuid.uuid4())
    )
    job = blocking.send(call)

    assert (job.already_started, job.row_count) == (False, 2)
    assert job.estimated_cost_cents is not None
    assert job.estimated_cost_credits is None
    done = ended(sender, job.task_id)
    assert done.status == "completed"
    assert done.charge_amount is not None
    assert done.charge_credits is None
    assert {file.filename.rpartition(".")[2] for file in done.results} >= {"csv", "ndjson"}
    assert all(file.download_url for file in done.results)
    assert done.start_time is not None
    assert done.close_time is not None
    assert done.close_time >= done.start_time

    again = blocking.send(call)
    assert again == StartedJob(job.task_id, already_started=True)


def test_company_job_counts_in_credits(sender: Sender, blocking: Sender):
    job = blocking.send(company(struct={"revenue": "in dollars"}, find_people=True, cost_units="credits"))

    assert job.estimated_cost_cents is None
    assert job.estimated_cost_credits is not None
    done = ended(sender, job.task_id, cost_units="credits")
    assert done.charge_amount is None
    assert done.charge_credits is not None
    assert done.charge_credits >= job.estimated_cost_credits


def test_unknown_job_is_not_found(sender: Sender):
    with pytest.raises(SixtyfourNotFoundError, match=r"Job not found.* While polling job nobody"):
        sender.send(calls.get_job_status("nobody"))


def test_balance_is_a_number_of_credits(sender: Sender):
    assert sender.send(calls.check_balance()) > 0


def test_only_what_is_set_is_sent():
    assert config(people(result_formats=())) == {"result_formats": []}
    assert config(people(result_formats=("csv", "json"), field_confidence=False)) == {
        "result_formats": ["csv"],
        "save_json": True,
        "field_confidence": False,
    }
    assert config(company(struct={"a": "b"}, lead_struct={"c": "d"}, full_org_chart=True, webhook_url="https://x")) == {
        "struct": {"a": "b"},
        "lead_struct": {"c": "d"},
        "full_org_chart": True,
        "webhook_url": "https://x",
        "result_formats": ["csv"],
    }


def test_job_may_be_sent_again_under_a_key_only():
    assert not people().repeatable
    assert people(idempotency_key="k").repeatable
    assert people(idempotency_key="k").headers()["Idempotency-Key"] == "k"
    assert people(cost_units="credits").query == (("cost_units", "credits"),)


@pytest.mark.parametrize(
    "struct", [["title"], "title", {"": "x"}, {"a": None}, {"a": {}}, {"a": {"description": "x", "type": 3}}, {1: "x"}]
)
def test_struct_of_another_form_is_refused(struct: Any):
    with pytest.raises(SixtyfourInputError, match="struct"):
        people(struct=struct)
    with pytest.raises(SixtyfourInputError, match="lead_struct"):
        company(struct={"a": "b"}, lead_struct=struct)


def test_company_job_without_struct_is_refused():
    with pytest.raises(SixtyfourInputError, match="struct is empty"):
        company(struct={})


def test_configuration_that_is_too_long_is_refused():
    with pytest.raises(SixtyfourInputError, match="300000 at most"):
        people(research_plan="x" * 300_000)
    with pytest.raises(SixtyfourInputError, match="cannot be sent as JSON"):
        people(struct={"a": {"description": "x", "options": float("nan")}})


def test_job_reads_what_the_api_sends():
    data = {
        "status": "FAILED",
        "run_id": "temporal-run-1",
        "error": "out of\nmemory",
        "start_time": "2026-06-10T10:00Z",
    }
    job = Job.read(data)

    assert (job.status, job.run_id, job.error_message, job.results) == ("FAILED", "temporal-run-1", "out of memory", ())
    assert str(job.start_time) == "2026-06-10 10:00:00+00:00"
    assert job.close_time is None


@pytest.mark.parametrize("bad", [None, "", 7, [], {}])
def test_id_and_status_of_a_job_are_required(bad: Any):
    with pytest.raises(MalformedAnswer, match="task_id"):
        StartedJob.read({"task_id": bad})
    with pytest.raises(MalformedAnswer, match="status"):
        Job.read({"status": bad})


@pytest.mark.parametrize("bad", [None, "7", True, float("nan"), float("inf"), [], 10**400])
def test_balance_that_is_no_number_is_malformed(bad: Any):
    with pytest.raises(MalformedAnswer):
        read_credits({"credits": bad})


def test_balance_may_be_overdrawn():
    assert read_credits({"credits": -2.5}) == -2.5


def test_secret_in_a_job_is_removed():
    cleaner = Cleaner(("k-1234567890",))
    names = ("status", "run_id", "error", "start_time", "close_time")
    dirty = dict.fromkeys(names, "2026-06-10 k-1234567890")
    assert "k-1234567890" not in repr(Job.read(dirty, cleaner))


FIELDS = ["task_id", "status", "id", "run_id", "error", "start_time", "close_time", "results", "charge_amount"]


@searched
@given(
    st.dictionaries(st.sampled_from(FIELDS), st.none() | st.text() | st.integers() | st.lists(st.none() | st.just({})))
)
def test_any_job_is_read_or_malformed(value: Any):
    with contextlib.suppress(MalformedAnswer):
        job = Job.read(value)
        assert job.start_time is None or job.start_time.tzinfo is not None
    with contextlib.suppress(MalformedAnswer):
        StartedJob.read(value)
