"""Operators: run a workflow, deploy one as code, cancel a run, delete a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import conf

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION
from airflow_provider_sixtyfour.inputs import payload as payloads
from airflow_provider_sixtyfour.links.sixtyfour import drop_run_link
from airflow_provider_sixtyfour.operators._base import RunOperator
from airflow_provider_sixtyfour.operators._workflows import (
    SixtyfourCancelRunOperator,
    SixtyfourDeleteWorkflowOperator,
    SixtyfourDeployWorkflowOperator,
)
from airflow_provider_sixtyfour.tasks.json_params import check_given, json_file_parameters, read_json
from airflow_provider_sixtyfour.tasks.run_checks import check_run

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.lineage import Dataset

__all__ = [
    "SixtyfourCancelRunOperator",
    "SixtyfourDeleteWorkflowOperator",
    "SixtyfourDeployWorkflowOperator",
    "SixtyfourRunWorkflowOperator",
]


class SixtyfourRunWorkflowOperator(RunOperator):
    """
    Run a workflow over rows or an uploaded file, and wait until it has ended.

    A retry reattaches to the run that an earlier try started, if that run is in progress or has completed; a Clear
    starts a new one. A user who marks the task or clears it, and a deadline, cancel the run.

    :param workflow_id: the stored workflow. (templated)
    :param webhook_payload: the input rows, for a workflow that begins with a ``webhook`` block: a list of
        objects or one object, JSON text, or the path of a ``.json`` file next to the Dag, which is read only if it is
        written here as it is, without a template. (templated)
    :param resource_handle_id: the uploaded input file, for one that begins with ``read_csv``, as
        ``ObjectStorageToSixtyfourOperator`` returns it. (templated)
    :param specs_override: other ``specs`` for the first block, in this run only. (templated)
    :param result_formats: which result files to make: ``csv`` (always made), ``json``, ``ndjson``. (templated)
    :param wait_for_completion: whether to wait for the run's end; without, the task succeeds once it is started.
    :param deferrable: whether to wait in the triggerer and give the worker slot back. Default: the setting
        ``[operators] default_deferrable``.
    :param poll_interval: target seconds between status checks. Deferred tasks share one poller, which checks long runs
        less often, and runs above 90 % up to four times as often.
    :param timeout: seconds (or a ``timedelta``) after the task's start at which the run is cancelled and the
        task fails; ``None`` for no limit but ``execution_timeout``, which is kept in the same way. (templated)
    :param cancel_on_kill: whether to cancel the run when the task is killed, marked, cleared, or times out.
    :param retry_failed_runs: whether a retry starts another run after one that failed, was cancelled at Sixtyfour or
        stopped by its time limit. It is paid for again, so a failure that lasts is paid for at each retry. ``False``
        fails the task at once, whatever its ``retries``; these still serve what costs nothing: an outage, a lost
        worker.
    :param durable: whether a retry may reattach to an earlier try's run. Without, each try starts its own.
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: the run's ``job_id``, also pushed as XCom ``job_id`` as soon as the run exists.
    :raises AirflowFailException: if the input can't be sent, or the API refuses it (400, 401, 402, 403, 404,
        409, 422): no retry can help.
    :raises SixtyfourRunFailedError: if the run failed, was cancelled or timed out; a retry starts a new one.
    :raises SixtyfourTimeoutError: at ``timeout`` or ``execution_timeout``.
    """

    template_fields: Sequence[str] = (
        "workflow_id",
        "webhook_payload",
        "resource_handle_id",
        "specs_override",
        "result_formats",
        "timeout",
        "sixtyfour_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"webhook_payload": "json", "specs_override": "json"}

    def __init__(
        self,
        *,
        workflow_id: str,
        webhook_payload: Any = None,
        resource_handle_id: str | None = None,
        specs_override: dict[str, Any] | str | None = None,
        result_formats: Sequence[str] = ("csv",),
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 10.0,
        timeout: float | timedelta | str | None = None,
        cancel_on_kill: bool = True,
        retry_failed_runs: bool = True,
        durable: bool = True,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.webhook_payload = webhook_payload
        self.resource_handle_id = resource_handle_id
        self.specs_override = specs_override
        self.result_formats = result_formats
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.cancel_on_kill = cancel_on_kill
        self.retry_failed_runs = retry_failed_runs
        self.durable = durable
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._json_files = json_file_parameters(self, webhook_payload=webhook_payload, specs_override=specs_override)
        inputs = {"webhook_payload": webhook_payload, "resource_handle_id": resource_handle_id}
        self._given = tuple(name for name, value in inputs.items() if value is not None)
        check_run(self, SixtyfourRunWorkflowOperator)

    def execute(self, context: Context) -> str:
        """Start or adopt the run, then wait for it here or in the triggerer."""
        with self._final_errors(context):
            body, formats = self._checked_input(context)
            rows, wait = payloads.count_rows(body), self._wait_options(context)
            self._rows = rows
            with self._running(context, wait):
                job_id = self._started(context, partial(self._start, context, body, formats))
                if not self.wait_for_completion:
                    self._control.over()
                    return job_id
                ended = self._waited_for(job_id, wait, carried={"rows": rows})
                return self._completed(context, ended, rows)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None, rows: int | None = None) -> str:
        """
        Conclude what the trigger found.

        :param rows: how many rows were sent; ``None`` if they are in a file.
        """
        drop_run_link(self)
        self._rows = rows
        with self._final_errors(context), self._concluding(context):
            return self._completed(context, self._control.conclude(event), rows)

    def _sent(self, base_url: str) -> tuple[Dataset, ...]:
        from airflow_provider_sixtyfour.tasks.landing_lineage import upload_uri
        from airflow_provider_sixtyfour.tasks.lineage import Dataset

        return () if self.resource_handle_id is None else (Dataset(upload_uri(base_url, self.resource_handle_id)),)

    def _completed(self, context: Context, ended: RunOutcome, rows: int | None) -> str:
        from airflow_provider_sixtyfour.tasks import summary
        from airflow_provider_sixtyfour.tasks.landing_lineage import run_uri
        from airflow_provider_sixtyfour.tasks.lineage import Dataset, record_hook_lineage

        ended = self._measured(ended._replace(workflow_id=self.workflow_id))
        self._metrics.ended(ended, rows)
        base_url = self._control.client.base_url
        record_hook_lineage(self._hook, self._sent(base_url), [Dataset(run_uri(base_url, ended.job_id))])
        self.log.info("%s", summary.completed(ended, context, rows_in=rows))
        return ended.job_id

    def _start(self, context: Context, body: dict[str, Any], formats: tuple[str, ...]) -> str:
        from airflow_provider_sixtyfour.runs.idempotency import Request

        request, digest = Request(self.workflow_id, formats, body), payloads.digest(self.workflow_id, body, formats)
        submission = self._submission(request, digest, check=partial(self._check_before_start, context, body))
        return (
            submission.start_or_adopt(context, context.get("task_state_store")) if self.durable else submission.start()
        )

    def _check_before_start(self, context: Context, body: dict[str, Any]) -> None:
        from airflow_provider_sixtyfour.tasks.downstream import check_landing
        from airflow_provider_sixtyfour.tasks.workflow_source import source_block

        first = source_block(self._control.client, self.workflow_id, body, self.log)
        payloads.check_fit(body, first, self.workflow_id)
        check_landing(self, context)

    def _checked_input(self, context: Context) -> tuple[dict[str, Any], tuple[str, ...]]:
        calls.identifier(self.workflow_id, "workflow_id")
        check_given(self, self._given)
        payload = read_json(self, "webhook_payload", context, self._json_files)
        override = read_json(self, "specs_override", context, self._json_files, may_be_null=True)
        body = payloads.run_body(payload, self.resource_handle_id, override)
        return body, payloads.check_formats(self.result_formats)
