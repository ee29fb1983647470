"""
Starts a run for a task, or reattaches to the one that an earlier try of it has started.

Where Airflow keeps state for a task (3.3), what is about to be sent is recorded before it is sent. Where it
doesn't, the ``Idempotency-Key`` is derived from the task's identity, so that every try derives the same. Either
way a worker may die at any instant and the retry finds the run.

Invariant: whoever may have to stop a run learns its id before anything else is done with it; and no record of a run is
overwritten before that run has ended or is cancelled.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.api.job_kinds import ESTIMATE, WORKFLOW_RUN, JobKind
from airflow_provider_sixtyfour.api.retry import is_rejection
from airflow_provider_sixtyfour.exceptions import (
    SixtyfourError,
    SixtyfourInputError,
    SixtyfourNotFoundError,
    SixtyfourRefusedError,
    SixtyfourUnavailableError,
)
from airflow_provider_sixtyfour.runs.cancel import cancel
from airflow_provider_sixtyfour.runs.cancellation import Case, Decision, Event
from airflow_provider_sixtyfour.runs.cancellation import decide as decide_cancellation
from airflow_provider_sixtyfour.runs.idempotency import Action, Record, Request, Startable, decide, derived_key
from airflow_provider_sixtyfour.runs.status import COMPLETED, FAILED, canonical, is_known, outcome_of
from airflow_provider_sixtyfour.tasks.retrying import with_retries
from airflow_provider_sixtyfour.tasks.submission_records import RECORD_KEY, identity_of, usable

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.runs.log import Log
    from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics

NEW_RUN_PAUSES = (0.0, 0.5, 1.0, 2.0)  # seconds before each check whether the API knows a run
MOST_GENERATIONS = 100  # of derived keys: one for each failed run of the same work in the same task
_REASONS = {Event.CLEARED: "The task was cleared", Event.INPUT_CHANGED: "The input has changed"}
ODD_ANSWERS = 3  # answers without a usable id after which a started run counts as untraceable


class Supervision(Protocol):
    """Who may have to stop the run: learns of each request before it is sent, and of its run before anything else."""

    def submitting(self, call: calls.Call[Any]) -> None:
        """Take in the request that is about to start a run; raise if the task was killed."""

    def not_started(self) -> None:
        """Take in that the API refused that request."""

    def started(self, job_id: str) -> None:
        """Take in the run."""

    def over(self) -> None:
        """Take in that nothing is left to stop of what was taken in before."""

    def sleep(self, seconds: float) -> None:
        """Pause; raise if the task was killed."""


class Submission:
    """
    One try's submission.

    :param request: what to send; without the handle of a file that ``upload`` is yet to give.
    :param supervision: see `Supervision`.
    :param metrics: counts a run that is started, reattached to, or cancelled.
    :param cancels: whether to cancel a run that an earlier try has left in progress and that no longer answers the
        request.
    :param upload: sends the input file and returns its handle, just before a run is started. A second try of a
        submission sends the first one's handle, since it has to be the same request under the same key.
    :param check: is called before a run is started, and not where an earlier try's run is adopted; raises what is wrong
        with the request.
    :param digest: the work, where a new handle for the same content is no other work; see `payloads.digest`.
    :param clear_pays_again: whether a user's Clear asks for a new run, also where one has completed.
    :param replaces_failed: whether a retry starts another run after one that failed.
    :param kind: of what is started, see `api.job_kinds`.
    """

    def __init__(
        self,
        *,
        client: SixtyfourClient,
        request: Startable,
        digest: str,
        log: Log,
        supervision: Supervision,
        metrics: RunMetrics,
        cancels: bool = True,
        upload: Callable[[], str] | None = None,
        check: Callable[[], object] = lambda: None,
        clear_pays_again: bool = True,
        replaces_failed: bool = True,
        kind: JobKind = WORKFLOW_RUN,
    ) -> None:
        self.estimated_cost_cents: float | None = None  # of the run, where the API gave it, now or to an earlier try
        self.is_new_run = False  # the API has started the run for this very request, and says so
        self._client = client
        self._request = request
        self._log = log
        self._supervision = supervision
        self._metrics = metrics
        self._cancels = cancels
        self._upload = upload
        self._check = check
        self._digest = digest
        self._clear_pays_again = clear_pays_again
        self._replaceable = FAILED if replaces_failed else frozenset()
        self._kind = kind

    def start(self) -> str:
        """Start a run whatever came before, under a fresh key: a lost answer is asked for again, no more."""
        self._check()
        return self._post(_fresh_key(), self._with_upload(None), is_new=True)[0]

    def start_or_adopt(self, context: Context, store: Any = None) -> str:
        """
        Return the id of the run that does this task's work, starting one unless an earlier try did.

        :param store: where the record is kept; ``None`` where there is no such place.
        """
        if store is None:
            self._check()
            return self._by_derived_key(context)
        return self._by_record(store, context["ti"].max_tries)

    def _by_record(self, store: Any, max_tries: int) -> str:
        record = usable(Record.read(self._with_retries(lambda: store.get(RECORD_KEY), "read the record of this task")))
        if record is not None and record.job_id is not None:
            self._supervision.started(record.job_id)  # until it turns out to have ended
        status = self._status(record.job_id) if record and record.job_id else None
        action = decide(
            record,
            max_tries=max_tries,
            digest=self._digest,
            status=status,
            clear_pays_again=self._clear_pays_again,
            replaces_failed=bool(self._replaceable),
        )
        if action is Action.ADOPT and record and record.job_id:
            self.estimated_cost_cents = record.estimated_cost_cents
            self._metrics.reattached()
            self._log.info("Reattaching to the run (%s) that an earlier try started. Run %s.", status, record.job_id)
            return record.job_id
        if record is None or (action is Action.START and record.job_id is None):
            return self._start_recorded(store, max_tries)
        found_by = Event.CLEARED if record.max_tries != max_tries else Event.INPUT_CHANGED
        if action is Action.REPLAY:
            self._log.info("An earlier try was cut off while starting a run; sending the same request again.")
            job_id, already_started = self._post(record.key, self._recorded(record))
            if not already_started or self._status(job_id) not in self._replaceable:
                self._write(store, record.started(job_id, self.estimated_cost_cents))
                return self._continued(job_id, already_started)
            # The lost run has failed since: this try is the retry that replaces it.
        elif action is Action.REPLACE:
            found = self._found(record, found_by)
            if found is not None:
                job_id, is_of_this_try = found
                if is_of_this_try:
                    found_now = Record(record.key, self._digest, max_tries, handle=record.handle)
                    self._write(store, found_now.started(job_id, self.estimated_cost_cents))
                    return job_id
                self._stop_outdated(job_id, self._status(job_id), found_by)
        elif record.job_id is not None:
            self._stop_outdated(record.job_id, status, found_by)
        self._supervision.over()
        return self._start_recorded(store, max_tries)

    def _found(self, record: Record, event: Event) -> tuple[str, bool] | None:
        """
        Return the run of a request whose answer was lost, and whether it does the work of this try.

        It does if sending the request again has started it just now. ``None`` if the API refuses the request, which it
        would not for a run that it has.
        """
        self._log.warning("%s while an earlier try was starting a run; sending that request again.", _REASONS[event])
        is_same_work = record.digest == self._digest
        request: Startable | None = Request.unpacked(record.request)
        if request is None:  # too long to be recorded, or with a file in it
            is_same_work, request = True, self._with_upload(record.handle)
        try:
            job_id, already_started = self._post(record.key, request)
        except SixtyfourRefusedError as error:
            if is_same_work:
                raise
            self._log.warning("The API refuses the earlier request, so it has started no run: %s", error)
            return None
        return job_id, is_same_work and not already_started

    def _start_recorded(self, store: Any, max_tries: int) -> str:
        self._check()
        request = self._with_upload(None)
        handle = request.handle if self._upload else None
        record = Record(_fresh_key(), self._digest, max_tries, handle=handle, request=request.packed())
        self._write(store, record)
        # Whatever `already_started` says: nobody else knows a fresh key, so it can only be this very request.
        job_id, _ = self._post(record.key, request, is_new=True)
        self._write(store, record.started(job_id, self.estimated_cost_cents))
        return job_id

    def _by_derived_key(self, context: Context) -> str:
        identity, request = identity_of(context), self._with_upload(None)
        for generation in range(MOST_GENERATIONS):
            key = derived_key(identity, max_tries=context["ti"].max_tries, digest=self._digest, generation=generation)
            is_first = generation == 0 and context["ti"].try_number == 1  # nobody else has sent this key before
            job_id, already_started = self._post(key, request, is_new=is_first)
            if not already_started or self._status(job_id) not in self._replaceable:
                return self._continued(job_id, already_started and not is_first)
            self._supervision.over()
        return self.start()

    def _with_upload(self, handle: str | None) -> Startable:
        """Return the request of this try, with the handle of its file, which is uploaded unless it has been."""
        return self._request if self._upload is None else self._request.with_handle(handle or self._upload())

    def _recorded(self, record: Record) -> Startable:
        return Request.unpacked(record.request) or self._with_upload(record.handle)

    def _continued(self, job_id: str, is_of_earlier_try: bool) -> str:
        """Return the id of the run that does the work of this try, counted if an earlier try has started it."""
        if is_of_earlier_try:
            self._metrics.reattached()
        return job_id

    def _post(self, key: str, request: Startable, *, is_new: bool = False) -> tuple[str, bool]:
        """
        Send a request and return the id of its run, and whether the run had been started before.

        :param is_new: whether no earlier try can have sent the key: if the run had been started, then by this request.
        :raises SixtyfourRefusedError: if the API refuses the request, so that no run was started.
        :raises SixtyfourUnavailableError: if a run may have been started, but its id is not known.
        """
        call = request.call(key)
        # Who stops the run may send it at the same time, and no two can read one stream.
        spare = call if call.upload is None else request.call(key)
        odd = ""
        for _ in range(ODD_ANSWERS):
            self._supervision.submitting(spare)
            try:
                answer = self._client.send(call)
            except SixtyfourRefusedError as error:
                if odd or (not is_new and not is_rejection(error)):
                    raise SixtyfourUnavailableError(
                        f"{error} An earlier request may have started a run: a retry sends the same one again.",
                        status=error.status,
                    ) from None
                self._supervision.not_started()
                raise
            try:
                job_id = calls.identifier(answer.job_id, "job_id")
            except SixtyfourInputError:
                odd = repr(answer.job_id)
                odd = odd if len(odd) <= 60 else odd[:60] + "…"
                continue
            try:
                self._supervision.started(job_id)
            finally:  # also if the task was killed meanwhile
                if is_new or not answer.already_started:
                    self._metrics.started()
            self.estimated_cost_cents, self.is_new_run = getattr(answer, ESTIMATE, None), not answer.already_started
            was = "Sixtyfour had already started a run for this request" if answer.already_started else "Started a run"
            self._log.info("%s. Run %s, %s.", was, job_id, request.title)
            return job_id, answer.already_started
        raise SixtyfourUnavailableError(
            f"A run was started, but it can't be tracked or cancelled: the API calls it {odd}, which is no id. A retry "
            f"sends the same request again, which starts no second run. It is of {request.title}."
        )

    def _write(self, store: Any, record: Record) -> None:
        self._with_retries(lambda: store.set(RECORD_KEY, record.as_json()), "record the run of this task")

    def _with_retries(self, act: Callable[[], Any], what: str) -> Any:
        return with_retries(act, what, log=self._log, sleep=self._supervision.sleep)

    def _status(self, job_id: str) -> str | None:
        """Return the run's status, or ``None`` if the API knows no such run, a new one's first seconds apart."""
        for pause in NEW_RUN_PAUSES:
            time.sleep(pause)
            try:
                live = self._client.send(self._kind.status(job_id))
            except SixtyfourNotFoundError:
                continue
            ended = outcome_of(job_id, live)
            # A status that nobody knows is an end, and no success, once `outcome_of` says so.
            return canonical(live.status) if ended is None or is_known(ended.status) else "failed"
        return None

    def _stop_outdated(self, job_id: str, status: str | None, event: Event) -> None:
        """
        Stop the run of a request that this try no longer makes; nobody would wait for it.

        A clear has usually stopped it already, but not while no triggerer was up to hear of the clear.

        :raises SixtyfourUnavailableError: if the API can't be reached: the next try stops it.
        """
        if status is None or status == COMPLETED or status in FAILED:
            return
        reason = _REASONS[event]
        if decide_cancellation(Case(event, cancel_on_kill=self._cancels)) is not Decision.CANCEL:
            self._log.warning("%s; the earlier run keeps running, as cancel_on_kill is off. Run %s.", reason, job_id)
            return
        self._log.warning("%s: cancelling the run of the earlier request. Run %s.", reason, job_id)
        try:
            outcome = cancel(self._client, job_id, kind=self._kind)
        except SixtyfourRefusedError as error:
            self._log.error("The run could not be cancelled and may keep running: %s Run %s.", error, job_id)
        else:
            self._metrics.cancelled(outcome)
            self._log.info("%s", outcome.describe(self._client.base_url))


def recover(client: SixtyfourClient, call: calls.Call[Any]) -> str | None:
    """Return the run that a cut-off submission started; ``None`` if the API can't be reached, or refuses."""
    try:
        job_id: str = calls.identifier(client.send(call, attempts=2).job_id, "job_id")
    except SixtyfourError:  # not to hide what cut the submission off
        return None
    return job_id


def _fresh_key() -> str:
    return f"airflow-{uuid.uuid4()}"
