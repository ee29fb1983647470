"""One batch, one task: an input goes in, the result files of its run come out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import conf

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourRefusedError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION
from airflow_provider_sixtyfour.inputs.file import MAX_ROWS
from airflow_provider_sixtyfour.links.sixtyfour import drop_run_link
from airflow_provider_sixtyfour.operators._landing import LandingOperator
from airflow_provider_sixtyfour.tasks.json_params import check_given, json_file_parameters, read_json
from airflow_provider_sixtyfour.tasks.run_checks import check_enrich

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.tasks.batch_input import EnrichInput, Work


class SixtyfourEnrichOperator(LandingOperator):
    """
    Enrich one batch: send its input, run the workflow, wait, and land the result files with a manifest.

    Made to be mapped over the batches of ``SixtyfourSplitInputOperator``:
    ``.partial(…).expand(source=split.output)``. Each batch has a folder of its own.

    What has been done is not paid for again: a batch whose manifest names the same work (the same content of the input,
    workflow, specs and formats), and whose files are there, starts no run, in whatever Dag run; and after a Clear, a
    run that has completed is landed. Otherwise as ``SixtyfourRunWorkflowOperator``: a retry reattaches to the run that
    an earlier try has started; a user's act, and a deadline, cancel it.

    :param workflow_id: the stored workflow. (templated)
    :param source: a file, for a workflow that begins with a ``read_csv`` block: a URL such as
        ``s3://conn_id@bucket/leads.csv``, which is read through before it is sent; or one batch, as
        ``SixtyfourSplitInputOperator`` returns it, which is sent at once. (templated)
    :param rows: instead, rows, for a workflow that begins with a ``webhook`` block: a list of objects or one object,
        JSON text, or the path of a ``.json`` file next to the Dag, which is read only if it is written here as it is,
        without a template. (templated)
    :param delimiter: what separates the cells of ``source``, a CSV file, if it isn't commas: one character, such as
        ``";"``, or ``"tab"``. It is sent with commas. Batches of a split have commas already. (templated)
    :param destination: the folder to write to, as a URL. A batch of a split gets the folder there that is named like
        its file without the extension, any other mapped task one with its number (``00003``); else it is the folder
        itself. No two tasks may share one. (templated)
    :param specs_override: other ``specs`` for the first block, in this run only. (templated)
    :param format: of the result files: ``csv``, ``json`` or ``ndjson``. (templated)
    :param files: which to land: ``final``, ``all``, or block numbers, as for ``SixtyfourToObjectStorageOperator``.
        (templated)
    :param on_mismatch: what to do when a file has other rows, or more bytes, than the API announced: ``warn`` or
        ``fail``. A file that falls short of its announced size, or is an error page, fails in any case.
    :param output_format: ``parquet`` to write the files as Parquet; the run makes NDJSON for it. (templated)
    :param parquet_schema: for Parquet, types of columns by their names.
    :param poll_interval: target seconds between status checks. Deferred tasks share one poller, which checks long runs
        less often, and runs above 90 % up to four times as often.
    :param timeout: seconds (or a ``timedelta``) after the task's start at which the run is cancelled and the task
        fails; ``None`` for no limit but ``execution_timeout``. (templated)
    :param deferrable: whether to wait in the triggerer and give the worker slot back. Default: the setting
        ``[operators] default_deferrable``.
    :param cancel_on_kill: whether to cancel the run when the task is killed, marked, cleared, or times out.
    :param retry_failed_runs: whether a retry starts another run after one that failed, was cancelled at Sixtyfour or
        stopped by its time limit. It is paid for again, so a failure that lasts is paid for at each retry. ``False``
        fails the task at once, whatever its ``retries``; these still serve what costs nothing: an outage, a lost
        worker.
    :param overwrite: whether to run and land again what has been done. A retry reattaches to its run all the same.
    :param max_rows: how many rows the input may have.
    :param check_destination: whether to check that the destination can be written to before a run is started, which
        takes two or three small requests to its store and leaves nothing there.
    :param validate_only: whether to only check the input and log what would be sent. Asks the API for nothing.
    :param max_credits: what the run may be expected to cost, by what a row cost in the workflow's completed runs (its
        ``credits_used`` by ``rows_in``); if it is more, or no run says so, none is started. (templated)
    :param budget: for batches of a ``SixtyfourBudgetOperator``, its XCom ``budget``: a run is started only if it is
        within the limit, by what the batches before it have really used. (templated)
    :param sixtyfour_conn_id: the connection. (templated)

    The events of its ``outlets`` get the same ``extra`` as those of ``SixtyfourToObjectStorageOperator``.

    :returns: ``job_id``, ``workflow_id``, ``source`` (the input's URL; ``None`` for rows), ``rows`` and ``bytes`` that
        came back, ``files`` (a list with ``path``, ``rows``, ``bytes``, ``sha256``, ``block_number`` and ``filename``
        each), ``manifest`` (its URL), ``metrics`` (what the run has used, as the API counts it; empty if it doesn't
        tell) and ``quality`` (by column: in how many rows it is ``filled`` and in how many ``empty``, how many
        ``distinct`` values it has, and the ``values`` of a status column; empty if that isn't known). Of a dry run,
        ``job_id`` and ``manifest`` are ``None``. ``SixtyfourRepairInputOperator`` and
        ``SixtyfourCollectBatchesOperator`` take it as ``results``.
    :raises AirflowFailException: if the input can't be sent, or the API refuses it: no retry can help.
    :raises SixtyfourRunFailedError: if the run failed, was cancelled or timed out; a retry starts a new one.
    :raises SixtyfourTimeoutError: at ``timeout`` or ``execution_timeout``.
    :raises SixtyfourTransferError: if a file can't be fetched whole; a retry lands the same run.
    """

    template_fields: Sequence[str] = (
        "workflow_id",
        "source",
        "rows",
        "delimiter",
        "destination",
        "specs_override",
        "format",
        "files",
        "output_format",
        "timeout",
        "max_credits",
        "budget",
        "sixtyfour_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"source": "json", "rows": "json", "specs_override": "json"}
    unknown_cost_passes = False  # where `max_credits` is given, and no run says what a row costs

    def __init__(
        self,
        *,
        workflow_id: str,
        destination: str | ObjectStoragePath,
        source: str | ObjectStoragePath | Mapping[str, Any] | None = None,
        rows: Any = None,
        delimiter: str | None = None,
        specs_override: dict[str, Any] | str | None = None,
        format: str = "csv",
        files: str | int | Sequence[int] = "final",
        on_mismatch: str = "warn",
        output_format: str | None = None,
        parquet_schema: Mapping[str, str] | None = None,
        poll_interval: float = 10.0,
        timeout: float | timedelta | str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        cancel_on_kill: bool = True,
        retry_failed_runs: bool = True,
        overwrite: bool = False,
        max_rows: int = MAX_ROWS,
        check_destination: bool = True,
        validate_only: bool = False,
        max_credits: float | str | None = None,
        budget: Any = None,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.workflow_id = workflow_id
        self.destination = destination
        self.source = source
        self.rows = rows
        self.delimiter = delimiter
        self.specs_override = specs_override
        self.format = format
        self.files = files
        self.on_mismatch = on_mismatch
        self.output_format = output_format
        self.parquet_schema = parquet_schema
        self.poll_interval = poll_interval
        self.timeout = timeout
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.retry_failed_runs = retry_failed_runs
        self.overwrite = overwrite
        self.max_rows = max_rows
        self.check_destination = check_destination
        self.validate_only = validate_only
        self.max_credits = max_credits
        self.budget = budget
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._json_files = json_file_parameters(self, rows=rows, specs_override=specs_override)
        self._given = tuple(name for name, value in (("source", source), ("rows", rows)) if value is not None)
        check_enrich(self, SixtyfourEnrichOperator)

    def execute(self, context: Context) -> dict[str, Any]:
        """Do the work, unless it is done; wait here or in the triggerer."""
        with self._final_errors(context):
            work = self._checked_work(context)
            if (result := self._without_run(context, work)) is not None:
                return result
            self._rows = work.given.rows
            with self._running(context, work.wait):
                job_id = self._started(context, partial(self._start, context, work))
                carried = {"digest": work.digest, "rows": work.given.rows}
                ended = self._waited_for(job_id, work.wait, carried=carried)
                return self._landed(context, work.folder, ended, work.digest, work.given.rows)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        digest: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Any]:
        """
        Conclude what the trigger found, and land the files.

        :param digest: of the input that the run was started for, which by now may have changed.
        :param rows: how many that input has; ``None`` if it isn't known.
        """
        from airflow_provider_sixtyfour.tasks.submission_records import recorded_digest, records_of

        drop_run_link(self)
        self._rows = rows
        with self._final_errors(context), self._concluding(context):
            ended = self._control.conclude(event)
            folder = self._folder(context)
            if digest is None:  # `dag.test()` forgets what a deferral carries
                digest = recorded_digest(records_of(context, folder), ended.job_id)
            return self._landed(context, folder, ended, digest, rows)

    def _checked_work(self, context: Context) -> Work:
        from airflow_provider_sixtyfour.tasks.batch_input import Work, enrich_input

        calls.identifier(self.workflow_id, "workflow_id")
        check_given(self, self._given)
        wait = self._wait_options(context)
        folder, formats = self._folder(context), self._landing(None).run_formats
        given = enrich_input(
            source=self.source,
            rows=read_json(self, "rows", context, self._json_files),
            specs_override=read_json(self, "specs_override", context, self._json_files, may_be_null=True),
            max_rows=self.max_rows,
            delimiter=self.delimiter,
        )
        return Work(given, formats, given.digest(self.workflow_id, formats), folder, wait)

    def _start(self, context: Context, work: Work) -> str:
        from airflow_provider_sixtyfour.inputs.file import send
        from airflow_provider_sixtyfour.runs.idempotency import Request
        from airflow_provider_sixtyfour.tasks.submission_records import records_of

        given = work.given
        submission = self._submission(
            Request(self.workflow_id, work.formats, given.body),
            work.digest,
            upload=None if given.file is None else partial(send, self._control.client, given.file),
            check=partial(self._check_before_start, context, work),
            clear_pays_again=self.overwrite,
        )
        try:
            job_id = submission.start_or_adopt(context, records_of(context, work.folder))
        except SixtyfourRefusedError as error:
            if given.is_batch and error.status in (400, 422):
                self._check_fit(given)
            raise
        if self.budget is not None:
            from airflow_provider_sixtyfour.tasks.retrying import with_retries
            from airflow_provider_sixtyfour.tasks.started_runs import note_started_run

            note = partial(note_started_run, work.folder, job_id, work.digest)
            with_retries(note, "note the started run", log=self.log, sleep=self._control.sleep)
        return job_id

    def _check_before_start(self, context: Context, work: Work) -> None:
        if not work.given.is_batch:  # of hundreds, only those that are refused: each look is one of 500 requests
            self._check_fit(work.given)
        self._check_writable(context, work.folder)
        self._check_cost(work)

    def _check_cost(self, work: Work) -> None:
        """
        Check that the run is within the limits of what may be spent.

        :raises SixtyfourInputError: if it isn't.
        """
        if self.max_credits is None and self.budget is None:
            return
        from airflow_provider_sixtyfour.tasks.budget_checks import check_budget, check_cost
        from airflow_provider_sixtyfour.tasks.done_batches import BatchOptions

        client, rows = self._control.client, work.given.rows
        check_cost(client, self.max_credits, rows, self.workflow_id, unknown_passes=self.unknown_cost_passes)
        options = BatchOptions(
            self.workflow_id, self.destination, work.given.body.get("specs_override"), self._landing(None)
        )
        check_budget(client, self.budget, self.source, options, self.log)

    def _check_fit(self, given: EnrichInput) -> None:
        from airflow_provider_sixtyfour.tasks.workflow_source import source_block

        given.check_fit(source_block(self._control.client, self.workflow_id, given.body, self.log), self.workflow_id)

    def _dry_run(self, work: Work) -> dict[str, Any]:
        from airflow_provider_sixtyfour.tasks.batch_result import dry_run_result

        return dry_run_result(work.given, self.source, self.workflow_id, work.formats, work.folder, log=self.log)
