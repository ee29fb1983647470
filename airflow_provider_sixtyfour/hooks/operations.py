"""
A method for each operation of the API, for a ``@task``, a notebook or an operator of one's own.

Sources of what is said of the API: its OpenAPI text of June 2026 (https://api.sixtyfour.ai/openapi.json) and the pages
of https://docs.sixtyfour.ai; where neither says it, the docstring does not either.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourNotFoundError, SixtyfourTimeoutError
from airflow_provider_sixtyfour.hooks.job_operations import JobOperations, new_key

if TYPE_CHECKING:
    from datetime import timedelta

    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.models import (
        BlockType,
        ListedRun,
        LiveStatus,
        ResultFile,
        StartedRun,
        Workflow,
    )
    from airflow_provider_sixtyfour.api.settings import Settings
    from airflow_provider_sixtyfour.hooks.sources import Source
    from airflow_provider_sixtyfour.runs.status import RunOutcome


class Operations(JobOperations):
    """
    The operations of `SixtyfourHook`; all block.

    Each raises `SixtyfourInputError` for what can't be sent, `SixtyfourRefusedError` if the API refuses it (404:
    `SixtyfourNotFoundError`), and `SixtyfourUnavailableError` if no try gets an answer. What is safe to send twice is
    retried.
    """

    log: Any

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """What the connection says."""

    @abstractmethod
    def reconnected(self) -> SixtyfourClient | None:
        """Return another client if the connection says something else by now."""

    def list_workflows(self) -> tuple[Workflow, ...]:
        """Return all workflows, without their graphs (``GET /workflows``)."""
        return self.client.send(calls.list_workflows())

    def get_workflow(self, workflow_id: str) -> Workflow:
        """
        Return a workflow with its graph (``GET /workflows/{id}``).

        :param workflow_id: its id.
        """
        return self.client.send(calls.get_workflow(workflow_id))

    def create_workflow(self, workflow: Mapping[str, Any]) -> Workflow:
        """
        Create a workflow (``POST /workflows/create_workflow``), which is not retried: it could create two.

        :param workflow: the request's body: ``workflow_name``, ``workflow_description``, ``workflow_definition`` and
            maybe ``id``, a UUID that is not taken (409).
        """
        return self.client.send(calls.create_workflow(workflow))

    def update_workflow(self, workflow_id: str, workflow: Mapping[str, Any]) -> Workflow:
        """
        Save a workflow as it is given (``POST /workflows/update_workflow``); creates it if there is none.

        :param workflow_id: its id.
        :param workflow: the request's body, as for `create_workflow`; what it lacks stays as it is stored.
        """
        return self.client.send(calls.update_workflow(workflow_id, workflow))

    def deploy_workflow(self, workflow_id: str, workflow: Mapping[str, Any] | str) -> Workflow:
        """
        Make a workflow what a definition says; nothing is saved if it is so already.

        :param workflow_id: its id.
        :param workflow: a dict, or its JSON text, in the shape that the workflow editor copies out.
        :return: the stored workflow.
        """
        from airflow_provider_sixtyfour.workflows import definition

        wanted = definition.parse(workflow, workflow_id)
        definition.check(wanted, ())  # its shape; the API checks the specs before it saves
        try:
            stored = self.get_workflow(workflow_id)
        except SixtyfourNotFoundError:
            return self.update_workflow(workflow_id, wanted.as_body())
        if not definition.changes(wanted, definition.stored(stored), self.list_blocks(), self.client.cleaner):
            return stored
        return self.update_workflow(workflow_id, wanted.as_body())

    def delete_workflow(self, workflow_id: str) -> Workflow:
        """
        Delete a workflow (``POST /workflows/delete_workflow``); its runs stay.

        :param workflow_id: its id.
        """
        return self.client.send(calls.delete_workflow(workflow_id))

    def list_blocks(self) -> tuple[BlockType, ...]:
        """Return the kinds of blocks, with the JSON Schemas of their ``specs`` (``GET /workflows/blocks``)."""
        return self.client.send(calls.list_blocks())

    def run_workflow(
        self,
        workflow_id: str,
        *,
        webhook_payload: Any = None,
        resource_handle_id: str | None = None,
        specs_override: Mapping[str, Any] | None = None,
        result_formats: Sequence[str] = ("csv",),
        idempotency_key: str | None = None,
    ) -> StartedRun:
        """
        Start a run, which costs credits (``POST /workflows/run``).

        A retry of the task starts, and pays for, another run unless it passes the same ``idempotency_key``;
        `SixtyfourRunWorkflowOperator` sees to that itself.

        :param workflow_id: the workflow.
        :param webhook_payload: rows (a list of objects, or one object) for a workflow whose source is ``webhook``.
        :param resource_handle_id: what `upload_file` returned, for a workflow whose source is ``read_csv``.
        :param specs_override: specs that differ from the stored ones in this run.
        :param result_formats: of ``csv``, ``json``, ``ndjson``; CSV is always made.
        :param idempotency_key: the API starts one run for a key, and answers with it from then on; made up if ``None``,
            so that the call itself can be retried. How long a key is remembered is not documented.
        :return: its ``job_id``, and whether it is a run that the key has started before.
        """
        from airflow_provider_sixtyfour.inputs import payload

        body = payload.run_body(webhook_payload, resource_handle_id, specs_override)
        formats = payload.check_formats(result_formats)
        key = idempotency_key or new_key()
        return self.client.send(calls.run_workflow(workflow_id, body, result_formats=formats, idempotency_key=key))

    def get_run_status(self, job_id: str) -> LiveStatus:
        """
        Return how far a run is (``GET /workflows/runs/{run_id}/live_status``).

        :param job_id: what `run_workflow` returned.
        """
        return self.client.send(calls.live_status(job_id))

    def list_runs(
        self, *, status: str | None = None, workflow_id: str | None = None, limit: int = 100
    ) -> tuple[ListedRun, ...]:
        """
        Return the organisation's runs, newest first (``GET /workflows/runs``); there are no further pages.

        :param status: ``running``, ``completed``, ``cancelled`` or ``active`` (queued and running); all if ``None``.
        :param workflow_id: only the runs of this workflow; 404 if there is none.
        :param limit: 1 to 500.
        """
        return self.client.send(calls.list_runs(status=status, workflow_id=workflow_id, limit=limit))

    def wait_for_run(
        self, job_id: str, *, poll_interval: float = 10.0, timeout: float | timedelta | None = None
    ) -> RunOutcome:
        """
        Wait until a run has completed. Outages of the API are waited out; nothing cancels the run if the wait ends.

        Occupies the worker all the while: where runs take long, use `SixtyfourRunSensor`, which can be deferred.

        :param job_id: what `run_workflow` returned.
        :param poll_interval: seconds between two status checks; the vendor advises 5 to 10.
        :param timeout: when to give up, in seconds from now; never if ``None``.
        :return: how it completed, with its ``status`` and ``workflow_id``.
        :raises SixtyfourRunFailedError: if it has failed, was cancelled or timed out at Sixtyfour.
        :raises SixtyfourTimeoutError: if the timeout passes first; the run continues.
        :raises SixtyfourWaitError: if the API keeps refusing to report the run.
        """
        import time

        from airflow_provider_sixtyfour.polling.blocking import wait
        from airflow_provider_sixtyfour.polling.run_watch import NEW_RUN_PERIOD, RunWatch
        from airflow_provider_sixtyfour.runs import deadline as deadlines

        interval, limit = deadlines.check_poll_interval(poll_interval), deadlines.seconds(timeout, "timeout")
        deadline = None if limit is None else time.time() + limit
        watch = RunWatch(job_id, poll_interval=interval, deadline=deadline, log=self.log, may_be_unknown=NEW_RUN_PERIOD)
        try:
            ended = wait(self.client, job_id, watch, reconnect=self.reconnected)
        except SixtyfourTimeoutError as error:
            raise SixtyfourTimeoutError(f"{error} The run keeps running. Run {job_id}.") from None
        ended.raise_if_failed()
        return ended

    def cancel_run(self, job_id: str) -> None:
        """
        Cancel a run (``POST /workflows/cancel``).

        :param job_id: what `run_workflow` returned.
        :raises SixtyfourRefusedError: if it has ended already (400).
        """
        self.client.send(calls.cancel_run(job_id))

    def list_result_files(self, job_id: str, format: str = "csv") -> tuple[ResultFile, ...]:
        """
        Return a run's files, each with a signed link (``GET /workflows/runs/{run_id}/results/download-links``).

        :param job_id: the run.
        :param format: ``csv``, ``json`` or ``ndjson``: one that the run was started with.
        :return: one file for each block that has made one. A link is a secret, and good for 15 minutes.
        """
        return self.client.send(calls.result_files(job_id, format))

    def download_result(
        self,
        job_id: str,
        destination: str | os.PathLike[str] | ObjectStoragePath,
        *,
        format: str = "csv",
        files: str | int = "final",
        on_mismatch: str = "warn",
    ) -> dict[str, Any]:
        """
        Download one result file of a run that has ended, whole or not at all.

        A broken download is resumed, an expired link refreshed. What is at the destination is replaced when all has
        arrived and was compared with what the API announced.

        :param job_id: the run.
        :param destination: the file to write: a local path, a URL such as ``s3://conn_id@bucket/leads.csv``, or an
            ``ObjectStoragePath``.
        :param format: ``csv``, ``json`` or ``ndjson``: one that the run was started with.
        :param files: ``final`` for what the last block made, or the number of a block.
        :param on_mismatch: what to do when the file has other rows, or more bytes, than announced: ``warn`` or
            ``fail``.
        :return: ``path`` (a URL), ``rows``, ``bytes``, ``sha256``, ``block_number`` and ``filename``.
        :raises SixtyfourTransferError: if the run has not ended, or its file can't be had whole.
        """
        from airflow_provider_sixtyfour.results.landing_one import land_file
        from airflow_provider_sixtyfour.results.options import LandingOptions
        from airflow_provider_sixtyfour.storage.object_paths import local_or_object_path

        landing = LandingOptions(format=format, files=files, on_mismatch=on_mismatch, manifest=None)
        path = local_or_object_path(destination, "destination")
        return land_file(self, job_id, path, landing, log=self.log).as_dict()

    def upload_file(self, source: Source, *, filename: str | None = None) -> str:
        """
        Upload a file as the input of a run (``POST /storage/csv/upload``).

        :param source: a local path, a URL such as ``s3://conn_id@bucket/leads.csv``, an ``ObjectStoragePath``, or an
            open binary file that can seek.
        :param filename: its name at Sixtyfour, with an ending of ``.csv``, ``.json``, ``.jsonl`` or ``.ndjson``; that
            of the source if ``None``.
        :return: the handle, for ``run_workflow(resource_handle_id=…)``.
        """
        from airflow_provider_sixtyfour.hooks.sources import opened

        with opened(source, filename) as (stream, name):
            return self.client.send(calls.upload_file(stream, name))
