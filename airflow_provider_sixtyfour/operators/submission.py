"""
Starts a run for a task, or goes on with the one that an earlier try of it has started.

Where Airflow keeps state for a task (3.3), what is about to be sent is written down before it is sent. Where it
doesn't, the ``Idempotency-Key`` is derived from the task's identity, so that every try derives the same. Either
way a worker may die at any instant and the retry finds the run.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls, payloads
from airflow_provider_sixtyfour.api.cancelling import cancel
from airflow_provider_sixtyfour.api.errors import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourNotFoundError,
)
from airflow_provider_sixtyfour.api.submissions import Action, Record, decide, derived_key
from airflow_provider_sixtyfour.api.verdicts import COMPLETED, FAILED, canonical

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.monitor.log import Log

RECORD_KEY = "sixtyfour_submission"
NEWBORN_PAUSES = (0.0, 0.5, 1.0, 2.0)  # seconds before each question whether the API knows a run
MOST_GENERATIONS = 100  # of derived keys: one for each failed run of the same work in the same task


class Submission:
    """
    One try's submission.

    :param body: what to send; without the handle of a file that ``upload`` is yet to give.
    :param cancels: whether to cancel a run that an earlier try has left going and that no longer answers the request.
    :param announce: is told each ``Idempotency-Key`` before it is sent, so that a task that is killed while the
        answer is on its way can ask for the run again.
    :param upload: sends the input file and returns its handle, just before a run is started. A second try of a
        submission sends the first one's handle, since it has to be the same request under the same key.
    :param digest: the work, where a new handle for the same content is no other work; see `payloads.digest`.
    :param clear_pays_again: whether a user's Clear asks for a new run, also where one has completed.
    """

    def __init__(
        self,
        *,
        client: SixtyfourClient,
        workflow_id: str,
        body: Mapping[str, Any],
        result_formats: Sequence[str],
        log: Log,
        cancels: bool = True,
        announce: Callable[[calls.Call[Any]], None] = lambda _: None,
        upload: Callable[[], str] | None = None,
        digest: str | None = None,
        clear_pays_again: bool = True,
    ) -> None:
        self._client = client
        self._workflow_id = workflow_id
        self._body = body
        self._formats = result_formats
        self._log = log
        self._cancels = cancels
        self._announce = announce
        self._upload = upload
        self._digest = digest or payloads.digest(workflow_id, body, result_formats)
        self._clear_pays_again = clear_pays_again

    def start(self) -> str:
        """Start a run whatever came before, under a fresh key: a lost answer is asked for again, no more."""
        return self._post(_fresh_key(), self._uploaded())[0]

    def start_or_adopt(self, context: Context, store: Any = None) -> str:
        """
        Return the id of the run that does this task's work, starting one unless an earlier try did.

        :param store: where to keep the record; by default Airflow's ``task_state_store``, where there is one.
        """
        if store is None:
            store = context.get("task_state_store")
        if store is None:
            return self._by_derived_key(context)
        return self._by_record(store, context["ti"].max_tries)

    def _by_record(self, store: Any, max_tries: int) -> str:
        record = _usable(Record.read(store.get(RECORD_KEY)))
        status = self._status(record.job_id) if record and record.job_id else None
        action = decide(
            record,
            max_tries=max_tries,
            digest=self._digest,
            status=status,
            clear_pays_again=self._clear_pays_again,
        )
        if action is Action.ADOPT and record and record.job_id:
            self._log.info(
                "Going on with run %s (%s), which an earlier try of this task started.", record.job_id, status
            )
            return record.job_id
        if action is Action.REPLAY and record:
            self._log.info("An earlier try of this task was cut off while starting a run; asking for that run.")
            job_id, already_started = self._post(record.key, record.handle or self._uploaded())
            if not already_started or self._status(job_id) not in FAILED:
                store.set(RECORD_KEY, record.started(job_id).as_json())
                return job_id
            # The lost run has failed since: this try is the retry that replaces it.
        elif record:
            reason = "The task was cleared" if record.max_tries != max_tries else "The input has changed"
            self._stop_outdated(record.job_id, status, reason)
        record = Record(_fresh_key(), self._digest, max_tries, handle=self._uploaded())
        store.set(RECORD_KEY, record.as_json())
        # Whatever `already_started` says: nobody else knows a fresh key, so it can only be this very request.
        job_id, _ = self._post(record.key, record.handle)
        store.set(RECORD_KEY, record.started(job_id).as_json())
        return job_id

    def _by_derived_key(self, context: Context) -> str:
        identity, handle = identity_of(context), self._uploaded()
        for generation in range(MOST_GENERATIONS):
            key = derived_key(identity, max_tries=context["ti"].max_tries, digest=self._digest, generation=generation)
            job_id, already_started = self._post(key, handle)
            if not already_started or self._status(job_id) not in FAILED:
                return job_id
        return self.start()

    def _uploaded(self) -> str | None:
        return None if self._upload is None else self._upload()

    def _post(self, key: str, handle: str | None) -> tuple[str, bool]:
        body = self._body if handle is None else payloads.with_handle(self._body, handle)
        call = calls.run_workflow(self._workflow_id, body, result_formats=self._formats, idempotency_key=key)
        self._announce(call)
        started = self._client.send(call)
        if started.already_started:
            self._log.info("Sixtyfour had started run %s for this request already.", started.job_id)
        else:
            self._log.info("Started run %s of workflow %s.", started.job_id, self._workflow_id)
        return started.job_id, started.already_started

    def _status(self, job_id: str) -> str | None:
        """Return the run's status, or ``None`` if the API knows no such run, a new one's first seconds apart."""
        for pause in NEWBORN_PAUSES:
            time.sleep(pause)
            try:
                return canonical(self._client.send(calls.live_status(job_id)).status)
            except SixtyfourNotFoundError:
                continue
        return None

    def _stop_outdated(self, job_id: str | None, status: str | None, reason: str) -> None:
        """
        Stop the run of a request that this try no longer makes; nobody would wait for it.

        A clear has usually stopped it already, but not while no triggerer was up to hear of the clear.
        """
        if job_id is None or status is None or status == COMPLETED or status in FAILED:
            return
        if not self._cancels:
            self._log.warning("%s since run %s was started; it goes on, as cancel_on_kill is off.", reason, job_id)
            return
        self._log.warning("%s since run %s was started: cancelling it.", reason, job_id)
        try:
            cancel(self._client, job_id)
        except SixtyfourError as error:
            self._log.error("Run %s could not be cancelled and may go on: %s", job_id, error)


def recover(client: SixtyfourClient, call: calls.Call[Any]) -> str | None:
    """Return the run that a cut-off submission started; ``None`` if the API can't be asked, or won't tell."""
    try:
        job_id: str = client.send(call, attempts=2).job_id
    except SixtyfourError:  # not to hide what cut the submission off
        return None
    return job_id


def recorded_digest(store: Any, job_id: str) -> str | None:
    """Return the digest of the work that a run was started for; ``None`` if the record is of another run, or gone."""
    record = Record.read(store.get(RECORD_KEY))
    return record.digest if record is not None and record.job_id == job_id else None


def _usable(record: Record | None) -> Record | None:
    """Return the record without its run if that can't be one; the key then tells which run it was."""
    if record is None or record.job_id is None:
        return record
    try:
        calls.identifier(record.job_id, "job_id")
    except SixtyfourInputError:
        return record._replace(job_id=None)
    return record


def _fresh_key() -> str:
    return f"airflow-{uuid.uuid4()}"


def identity_of(context: Context) -> dict[str, Any]:
    """
    Tell this task instance from all others, in any deployment that runs the same Dag with the same API key.

    No deployment has a name that a worker of every Airflow version can read; but no two start a Dag run in the
    same microsecond.
    """
    ti, dag_run = context["ti"], context["dag_run"]
    return {
        "dag_id": ti.dag_id,
        "run_id": ti.run_id,
        "task_id": ti.task_id,
        "map_index": ti.map_index,
        "dag_run_start": dag_run.start_date.isoformat() if dag_run.start_date else "",
    }
