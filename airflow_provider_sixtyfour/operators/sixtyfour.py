"""Operators: run a workflow, deploy one as code, cancel a run, delete a workflow."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, conf

from airflow_provider_sixtyfour.api import calls, payloads
from airflow_provider_sixtyfour.api.deadlines import check_poll_interval
from airflow_provider_sixtyfour.api.errors import SixtyfourDifferenceError, SixtyfourInputError, SixtyfourNotFoundError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, SixtyfourWorkflowLink, show_run, show_workflow
from airflow_provider_sixtyfour.operators.failing import failing_for_good
from airflow_provider_sixtyfour.operators.json_file import check_given, json_files, read_json
from airflow_provider_sixtyfour.operators.run_checks import check_job, check_run, check_workflow

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context

    from airflow_provider_sixtyfour.api.models import BlockType
    from airflow_provider_sixtyfour.api.verdicts import Verdict
    from airflow_provider_sixtyfour.operators.run_control import RunControl


class SixtyfourRunWorkflowOperator(BaseOperator):
    """
    Run a workflow over rows or an uploaded file, and wait until it has ended.

    A retry goes on with the run that an earlier try started, if that run is going or has completed; a Clear
    starts a new one. A user who marks the task or clears it, and a deadline, cancel the run.

    :param workflow_id: the stored workflow. (templated)
    :param webhook_payload: the input rows, for a workflow that begins with a ``webhook`` block: a list of
        objects or one object, JSON text, or the path of a ``.json`` file beside the Dag, which is read only if it is
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
    :param durable: whether a retry may go on with an earlier try's run. Without, each try starts its own.
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
    operator_extra_links: Collection[BaseOperatorLink] = (SixtyfourRunLink(),)
    ui_color = "#e8e4fb"
    run_link: str | None = None

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
        self.durable = durable
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._json_files = json_files(self, webhook_payload=webhook_payload, specs_override=specs_override)
        inputs = {"webhook_payload": webhook_payload, "resource_handle_id": resource_handle_id}
        self._given = tuple(name for name, value in inputs.items() if value is not None)
        check_run(self, SixtyfourRunWorkflowOperator)

    def execute(self, context: Context) -> str:
        """Start or adopt the run, then wait for it here or in the triggerer."""
        from airflow_provider_sixtyfour.api.submissions import Request
        from airflow_provider_sixtyfour.operators import running
        from airflow_provider_sixtyfour.operators.downstream import check_landing
        from airflow_provider_sixtyfour.operators.next_try import has_next_try, next_try
        from airflow_provider_sixtyfour.operators.submission import Submission

        with failing_for_good(self.log):
            body, formats, poll_interval = self._checked_input(context)
            rows = payloads.count_rows(body)
            ends_at = running.ends_at(self, context)
            # A next try reattaches to the run only where tries share it.
            with self._control.running(
                has_next_try=self.durable and has_next_try(context),
                ends_at=ends_at,
                is_tried_again=next_try(context) if self.durable else None,
            ):
                client = self._control.client

                def check() -> None:
                    payloads.check_fit(body, running.source_block(self, client, body), self.workflow_id)
                    check_landing(self, context)

                submission = Submission(
                    client=client,
                    request=Request(self.workflow_id, formats, body),
                    digest=payloads.digest(self.workflow_id, body, formats),
                    log=self.log,
                    supervision=self._control,
                    cancels=self.cancel_on_kill,
                    check=check,
                )
                store = context.get("task_state_store")
                start = partial(submission.start_or_adopt, context, store) if self.durable else submission.start
                job_id = running.started(self, context, self._control, start)
                if self.wait_for_completion:
                    wait = partial(running.waited_for, self, self._control, job_id, carried={"rows": rows})
                    return self._completed(context, wait(poll_interval=poll_interval, ends_at=ends_at), rows)
                self._control.over()
                return job_id

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None, rows: int | None = None) -> str:
        """
        Conclude what the trigger found.

        :param rows: how many rows were sent; ``None`` if they are in a file.
        """
        from airflow_provider_sixtyfour.operators import running
        from airflow_provider_sixtyfour.operators.next_try import has_next_try

        running.resumed(self)
        with failing_for_good(self.log), self._control.running(has_next_try=self.durable and has_next_try(context)):
            return self._completed(context, self._control.conclude(event), rows)

    def _completed(self, context: Context, ended: Verdict, rows: int | None) -> str:
        from airflow_provider_sixtyfour.operators import closing, running

        ended = running.measured(self._control.client, ended._replace(workflow_id=self.workflow_id), self.log)
        self.log.info("%s", closing.completed(ended, context, rows_in=rows))
        return ended.job_id

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after a deferral; see `running.without_event`."""
        from airflow_provider_sixtyfour.operators import running

        if next_method != running.FAIL:
            return super().resume_execution(next_method, next_kwargs, context)
        with running.without_event(self, context, self._control, next_kwargs):
            return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Cancel the run, unless a next try goes on with it; called when a user or Airflow stops the task."""
        self._control.kill()

    @cached_property
    def _control(self) -> RunControl:
        from airflow_provider_sixtyfour.operators.run_control import RunControl

        return RunControl(SixtyfourHook(self.sixtyfour_conn_id), cancels=self.cancel_on_kill, log=self.log)

    def _checked_input(self, context: Context) -> tuple[dict[str, Any], tuple[str, ...], float]:
        calls.identifier(self.workflow_id, "workflow_id")
        check_given(self, self._given)
        payload = read_json(self, "webhook_payload", context, self._json_files)
        override = read_json(self, "specs_override", context, self._json_files)
        body = payloads.run_body(payload, self.resource_handle_id, override)
        return body, payloads.check_formats(self.result_formats), check_poll_interval(self.poll_interval)


class SixtyfourDeployWorkflowOperator(BaseOperator):
    """
    Make the stored workflow what the Dag says it is; do nothing where it already is.

    The graph (edges, cycles, ids) is checked before anything is sent. A difference is logged, value by value. Ids that
    the server has written into specs (``notebook_id``, also in place of ``"__create_new__"``, ``resource_handle_id``)
    are kept and no difference. A save costs credits where a ``search`` block has ``auto_execute: true``: the server
    runs the search when the workflow is saved.

    :param workflow_id: where to store it. (templated)
    :param workflow: the workflow in the shape that the workflow editor copies out (``workflow_name``,
        ``workflow_description``, ``workflow_definition`` with ``blocks`` and ``edges``): a dict, JSON text, or
        the path of a ``.json`` file, absolute or beside the Dag, written here without a template. (templated, the
        file's content too)
    :param check: whether to only look: a difference fails the task and nothing is saved.
    :param validate_specs: whether names and specs of blocks that differ from the schemas which the API publishes are
        errors. By default they are warnings: the server validates before it saves, and accepts more than it publishes.
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: the ``workflow_id``.
    :raises AirflowFailException: if the workflow is not valid, or the API refuses it.
    :raises SixtyfourDifferenceError: with ``check``, if the stored workflow differs.
    """

    template_fields: Sequence[str] = ("workflow_id", "workflow", "sixtyfour_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"workflow": "json"}
    operator_extra_links: Collection[BaseOperatorLink] = (SixtyfourWorkflowLink(),)
    ui_color = "#e8e4fb"
    workflow_link: str | None = None

    def __init__(
        self,
        *,
        workflow_id: str,
        workflow: Mapping[str, Any] | str,
        check: bool = False,
        validate_specs: bool = False,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.workflow = workflow
        self.check = check
        self.validate_specs = validate_specs
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._json_files = json_files(self, workflow=workflow)
        check_workflow(self, SixtyfourDeployWorkflowOperator)

    def execute(self, context: Context) -> str:
        """Compare, and save if something differs."""
        from airflow_provider_sixtyfour.api import definitions, deploying

        with failing_for_good(self.log):
            calls.identifier(self.workflow_id, "workflow_id")
            wanted = definitions.parse(read_json(self, "workflow", context, self._json_files), self.workflow_id)
            client = (hook := SixtyfourHook(self.sixtyfour_conn_id)).client
            kinds: tuple[BlockType, ...] = client.send(calls.list_blocks())
            for found in definitions.check(wanted, kinds, client.cleaner, validate_specs=self.validate_specs):
                self.log.warning("Not as the API's published schema says: %s", found)
            try:
                existing = definitions.stored(client.send(calls.get_workflow(self.workflow_id)))
            except SixtyfourNotFoundError:
                existing = definitions.Definition(None, None, {}, ())
                if wanted.name is None:
                    raise SixtyfourInputError("A workflow that isn't stored yet needs a workflow_name.") from None
            else:
                show_workflow(self, context, hook, self.workflow_id)
            wanted = deploying.keep_server_ids(wanted, existing)
            changes = definitions.changes(wanted, existing, kinds, client.cleaner)
            if not changes:
                self.log.info("The stored workflow is up to date; nothing was saved. Workflow %s.", self.workflow_id)
                return self.workflow_id
            diff = "\n".join(changes)
            if self.check:
                raise SixtyfourDifferenceError(f"The stored workflow differs:\n{diff}\nWorkflow {self.workflow_id}.")
                raise SixtyfourDifferenceError(f"Workflow {self.workflow_id} is not as it should be:\n{diff}")
            if paid := deploying.blocks_run_by_a_save(wanted):
                self.log.warning("This save may cost credits: %s has auto_execute and runs now.", ", ".join(paid))
            client.send(calls.update_workflow(self.workflow_id, wanted.as_body()))
            show_workflow(self, context, hook, self.workflow_id)
            self.log.info("Saved the workflow. What changed:\n%s\nWorkflow %s.", diff, self.workflow_id)
            return self.workflow_id


class SixtyfourCancelRunOperator(BaseOperator):
    """
    Cancel a run. One that has ended already is left as it is, and is no error.

    :param job_id: the run. (templated)
    :param sixtyfour_conn_id: the connection. (templated)

    :raises AirflowFailException: if the API refuses it (401, 403).
    """

    template_fields: Sequence[str] = ("job_id", "sixtyfour_conn_id")
    operator_extra_links: Collection[BaseOperatorLink] = (SixtyfourRunLink(),)
    ui_color = "#e8e4fb"
    run_link: str | None = None

    def __init__(self, *, job_id: str, sixtyfour_conn_id: str = DEFAULT_CONNECTION, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job_id = job_id
        self.sixtyfour_conn_id = sixtyfour_conn_id
        check_job(self, SixtyfourCancelRunOperator)

    def execute(self, context: Context) -> None:
        """Cancel, and log how the run ended."""
        from airflow_provider_sixtyfour.api.cancelling import cancel

        with failing_for_good(self.log):
            client = (hook := SixtyfourHook(self.sixtyfour_conn_id)).client
            show_run(self, context, hook, self.job_id, is_brief=True)
            outcome = cancel(client, self.job_id)
            self.log.info("%s", outcome.describe(client.base_url))


class SixtyfourDeleteWorkflowOperator(BaseOperator):
    """
    Delete a stored workflow; the history of its runs stays.

    :param workflow_id: the workflow. (templated)
    :param ignore_missing: whether a workflow that isn't there counts as deleted.
    :param sixtyfour_conn_id: the connection. (templated)

    :raises AirflowFailException: if the API refuses it; also if it is missing, without ``ignore_missing``.
    """

    template_fields: Sequence[str] = ("workflow_id", "sixtyfour_conn_id")
    ui_color = "#e8e4fb"

    def __init__(
        self,
        *,
        workflow_id: str,
        ignore_missing: bool = True,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.ignore_missing = ignore_missing
        self.sixtyfour_conn_id = sixtyfour_conn_id
        check_workflow(self, SixtyfourDeleteWorkflowOperator)

    def execute(self, context: Context) -> None:
        """Delete it."""
        with failing_for_good(self.log):
            try:
                SixtyfourHook(self.sixtyfour_conn_id).client.send(calls.delete_workflow(self.workflow_id))
            except SixtyfourNotFoundError:
                if not self.ignore_missing:
                    raise
                self.log.info("There is no such workflow; nothing was deleted. Workflow %s.", self.workflow_id)
                return
            self.log.info("Deleted the workflow. Workflow %s.", self.workflow_id)
