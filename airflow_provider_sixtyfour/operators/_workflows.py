"""Operators of stored workflows and of runs that others have started: deploy, cancel, delete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourDifferenceError, SixtyfourNotFoundError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION, SixtyfourHook
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, SixtyfourWorkflowLink, show_run, show_workflow
from airflow_provider_sixtyfour.tasks.errors import non_retryable_errors
from airflow_provider_sixtyfour.tasks.json_params import json_file_parameters, read_json
from airflow_provider_sixtyfour.tasks.run_checks import check_job, check_workflow

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperatorLink, Context


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
        the path of a ``.json`` file, absolute or next to the Dag, written here without a template. (templated, the
        file's content too)
    :param check_only: whether to only look: a difference fails the task and nothing is saved.
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
        check_only: bool = False,
        validate_specs: bool = False,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.workflow = workflow
        self.check_only = check_only
        self.validate_specs = validate_specs
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._json_files = json_file_parameters(self, workflow=workflow)
        check_workflow(self, SixtyfourDeployWorkflowOperator)

    def execute(self, context: Context) -> str:
        """Compare, and save if something differs."""
        from airflow_provider_sixtyfour.workflows import saving

        with non_retryable_errors(self.log):
            calls.identifier(self.workflow_id, "workflow_id")
            workflow = read_json(self, "workflow", context, self._json_files)
            client = (hook := SixtyfourHook(self.sixtyfour_conn_id)).client
            found = saving.compare(
                client,
                self.workflow_id,
                workflow,
                validate_specs=self.validate_specs,
                on_warning=lambda warning: self.log.warning("Differs from the API's published schema: %s", warning),
            )
            if found.is_stored:
                show_workflow(self, context, hook, self.workflow_id)
            if not found.changes:
                self.log.info("The stored workflow is up to date; nothing was saved. Workflow %s.", self.workflow_id)
                return self.workflow_id
            diff = "\n".join(found.changes)
            if self.check_only:
                raise SixtyfourDifferenceError(f"The stored workflow differs:\n{diff}\nWorkflow {self.workflow_id}.")
            if found.paid_blocks:
                blocks = ", ".join(found.paid_blocks)
                self.log.warning("This save may cost credits: %s has auto_execute and runs now.", blocks)
            saving.save(client, found)
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
        from airflow_provider_sixtyfour.runs.cancel import cancel
        from airflow_provider_sixtyfour.tasks.run_metrics import RunMetrics

        with non_retryable_errors(self.log):
            client = (hook := SixtyfourHook(self.sixtyfour_conn_id)).client
            show_run(self, context, hook, self.job_id, is_brief=True)
            outcome = cancel(client, self.job_id)
            workflow_id = outcome.ended.workflow_id if outcome.ended else None
            RunMetrics(self.sixtyfour_conn_id, workflow_id).cancelled(outcome)
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
        with non_retryable_errors(self.log):
            try:
                SixtyfourHook(self.sixtyfour_conn_id).client.send(calls.delete_workflow(self.workflow_id))
            except SixtyfourNotFoundError:
                if not self.ignore_missing:
                    raise
                self.log.info("There is no such workflow; nothing was deleted. Workflow %s.", self.workflow_id)
                return
            self.log.info("Deleted the workflow. Workflow %s.", self.workflow_id)
