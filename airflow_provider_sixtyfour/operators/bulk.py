"""Bulk Intelligence: one file in, one billed job, files out; no stored workflow is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from airflow.providers.common.compat.sdk import conf

from airflow_provider_sixtyfour.api.job_kinds import BULK_JOB, CHARGE, ESTIMATE, JobKind
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION
from airflow_provider_sixtyfour.inputs.file import MAX_ROWS
from airflow_provider_sixtyfour.links.sixtyfour import drop_run_link
from airflow_provider_sixtyfour.operators._landing import LandingOperator
from airflow_provider_sixtyfour.tasks.bulk_request import BulkRequest, bulk_config
from airflow_provider_sixtyfour.tasks.literals import can_check, is_literal

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, ObjectStoragePath

    from airflow_provider_sixtyfour.inputs.file import InputFile
    from airflow_provider_sixtyfour.results.manifest import Manifest
    from airflow_provider_sixtyfour.runs.status import RunOutcome
    from airflow_provider_sixtyfour.tasks.batch_input import Work
    from airflow_provider_sixtyfour.tasks.submission import Submission

_LIMIT = ("max_cost_cents", "cents")  # the parameter, and what it counts
_CONFIG = (
    "struct",
    "tier",
    "columns",
    "research_plan",
    "field_confidence",
    "find_people",
    "people_focus_prompt",
    "lead_struct",
    "full_org_chart",
)


def check_bulk(given: Mapping[str, Any]) -> None:
    """
    Check what is literal of the parameters of `SixtyfourBulkEnrichOperator`.

    :param given: some of them, or all, by name.
    :raises SixtyfourInputError: naming the one that can't be right.
    """
    from airflow_provider_sixtyfour.inputs.limits import read_limit

    config = {name: given.get(name) for name in _CONFIG}
    if all(is_literal(value) for value in config.values()):
        bulk_config(given.get("kind"), **config)
    if is_literal(limit := given.get("max_cost_cents")):
        read_limit(limit, *_LIMIT)


def check_way(workflow_id: Any, bulk: Mapping[str, Any] | None) -> None:
    """
    Check that a task group enriches by a workflow or by bulk jobs, and what is literal of the latter's parameters.

    :raises SixtyfourInputError: if it does neither, or both, or a parameter can't be right.
    """
    if (workflow_id is None) == (bulk is None):
        raise SixtyfourInputError("Give workflow_id or bulk, and not both: a batch is enriched in one way.")
    if bulk is not None:
        check_bulk(bulk)


class SixtyfourBulkEnrichOperator(LandingOperator):
    """
    Enrich one file by Bulk Intelligence: start a job, wait, and land its result files with a manifest.

    As ``SixtyfourEnrichOperator``, but the file and what is to be found are all that a job needs. What has been done is
    not paid for again; a retry reattaches to the job that an earlier try has started; a user's act, and a deadline,
    cancel it. It can be mapped over the batches of ``SixtyfourSplitInputOperator``.

    The API takes 10 submissions a minute for an organisation. Beyond, it answers 429, and the task tries again with
    growing pauses; a pool of 10 slots keeps the tasks that do so few.

    :param kind: ``people`` or ``company``: what a row of the file is.
    :param source: the file, a URL such as ``s3://conn_id@bucket/leads.csv`` (``.csv``, ``.json``, ``.jsonl``,
        ``.ndjson``; 100 MB and 100,000 rows at most), which is read through before it is sent; or one batch, as
        ``SixtyfourSplitInputOperator`` returns it. (templated)
    :param struct: the fields to find: each name with a description, or with ``{"description": …, "type": …}``. Required
        for ``company``. (templated)
    :param destination: the folder to write to, as for ``SixtyfourEnrichOperator``. (templated)
    :param tier: how deep to research, which sets the price of a row: ``micro``, ``low``, ``medium``, ``high``; for
        people also ``xhigh`` and ``scout``. (templated)
    :param research_plan: how to research, in words. (templated)
    :param columns: those of the file to use; all by default. (templated)
    :param field_confidence: whether each field comes with a confidence.
    :param find_people: of a company job: whether to find people of each company; can cost more than the estimate.
    :param people_focus_prompt: of a company job: which people, in words. (templated)
    :param lead_struct: of a company job: the fields to find of each of them, in the form of ``struct``. (templated)
    :param full_org_chart: of a company job: whether to find the whole organisation.
    :param max_cost_cents: cancel the job at once, and fail, if the API estimates that it costs more than this. The
        estimate is rows times the price of the tier: a floor. (templated)
    :param delimiter: what separates the cells of ``source``, a CSV file, if it isn't commas. (templated)
    :param format: of the result files: ``csv``, ``json`` or ``ndjson``. (templated)
    :param files: which to land: ``final``, ``all``, or block numbers, as for ``SixtyfourToObjectStorageOperator``.
        (templated)
    :param on_mismatch: what to do when a file has other rows, or more bytes, than the API announced: ``warn`` or
        ``fail``.
    :param output_format: ``parquet`` to write the files as Parquet. (templated)
    :param parquet_schema: for Parquet, types of columns by their names.
    :param poll_interval: seconds between two status checks.
    :param timeout: seconds (or a ``timedelta``) after the task's start at which the job is cancelled and the task
        fails; ``None`` for no limit but ``execution_timeout``. (templated)
    :param deferrable: whether to wait in the triggerer and give the worker slot back. Default: the setting
        ``[operators] default_deferrable``.
    :param cancel_on_kill: whether to cancel the job when the task is killed, marked, cleared, or times out.
    :param retry_failed_runs: whether a retry starts another run after one that failed, was cancelled at Sixtyfour or
        stopped by its time limit. It is paid for again, so a failure that lasts is paid for at each retry. ``False``
        fails the task at once, whatever its ``retries``; these still serve what costs nothing: an outage, a lost
        worker.
    :param overwrite: whether to run and land again what has been done.
    :param max_rows: how many rows the input may have.
    :param check_destination: whether to check that the destination can be written to before a job is started.
    :param validate_only: whether to only check the input and log what would be sent. Asks the API for nothing.
    :param sixtyfour_conn_id: the connection. (templated)

    :returns: as ``SixtyfourEnrichOperator``, with ``workflow_id`` ``None``, and ``kind``, ``estimated_cost_cents`` and
        ``charge_cents`` (``None`` where the API didn't give it). Both are among ``metrics`` too, in the manifest and in
        the events of its ``outlets``.
    :raises AirflowFailException: if the input can't be sent, the API refuses it (402: the balance does not cover the
        estimate, nothing is charged), or the estimate exceeds ``max_cost_cents``.
    :raises SixtyfourRunFailedError: if the job failed, was cancelled or timed out; a retry starts a new one.
    :raises SixtyfourTimeoutError: at ``timeout`` or ``execution_timeout``.
    :raises SixtyfourTransferError: if a file can't be fetched whole; a retry lands the same job.
    """

    template_fields: Sequence[str] = (
        "source",
        "struct",
        "destination",
        "tier",
        "research_plan",
        "columns",
        "people_focus_prompt",
        "lead_struct",
        "max_cost_cents",
        "delimiter",
        "format",
        "files",
        "output_format",
        "timeout",
        "sixtyfour_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"source": "json", "struct": "json", "lead_struct": "json"}
    job_kind: ClassVar[JobKind] = BULK_JOB
    workflow_id: str | None = None

    def __init__(
        self,
        *,
        kind: Literal["people", "company"],
        source: str | ObjectStoragePath | Mapping[str, Any],
        destination: str | ObjectStoragePath,
        struct: Mapping[str, Any] | None = None,
        tier: str | None = "low",
        research_plan: str | None = None,
        columns: Sequence[str] | None = None,
        field_confidence: bool = False,
        find_people: bool = False,
        people_focus_prompt: str | None = None,
        lead_struct: Mapping[str, Any] | None = None,
        full_org_chart: bool = False,
        max_cost_cents: float | str | None = None,
        delimiter: str | None = None,
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
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.source = source
        self.destination = destination
        self.struct = struct
        self.tier = tier
        self.research_plan = research_plan
        self.columns = columns
        self.field_confidence = field_confidence
        self.find_people = find_people
        self.people_focus_prompt = people_focus_prompt
        self.lead_struct = lead_struct
        self.full_org_chart = full_org_chart
        self.max_cost_cents = max_cost_cents
        self.delimiter = delimiter
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
        self.sixtyfour_conn_id = sixtyfour_conn_id
        if can_check(self, SixtyfourBulkEnrichOperator):
            check_bulk(vars(self))

    def execute(self, context: Context) -> dict[str, Any]:
        """Do the work, unless it is done; wait here or in the triggerer."""
        from airflow_provider_sixtyfour.tasks.bulk_costs import with_estimate

        with self._final_errors(context):
            work = self._checked_work(context)
            if (result := self._without_run(context, work)) is not None:
                return result
            self._rows = work.given.rows
            with self._request(work) as request, self._running(context, work.wait):
                submission = self._bulk_submission(context, work, request)
                job_id = self._started(context, partial(self._start, context, work, submission))
                estimate = submission.estimated_cost_cents
                carried = {"digest": work.digest, "estimate": estimate, "rows": work.given.rows}
                ended = with_estimate(self._waited_for(job_id, work.wait, carried=carried), estimate)
                return self._landed(context, work.folder, ended, work.digest, work.given.rows)

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        digest: str | None = None,
        estimate: float | None = None,
        rows: int | None = None,
    ) -> dict[str, Any]:
        """
        Conclude what the trigger found, and land the files.

        :param digest: of the input that the job was started for, which by now may have changed.
        :param estimate: of what it costs, in cents.
        :param rows: how many that input has.
        """
        from airflow_provider_sixtyfour.tasks.bulk_costs import with_estimate
        from airflow_provider_sixtyfour.tasks.submission_records import recorded, records_of

        drop_run_link(self)
        self._rows = rows
        with self._final_errors(context), self._concluding(context):
            ended = self._control.conclude(event)
            folder = self._folder(context)
            if digest is None:  # `dag.test()` forgets what a deferral carries
                record = recorded(records_of(context, folder), ended.job_id)
                digest, estimate = (record.digest, record.estimated_cost_cents) if record else (None, None)
            return self._landed(context, folder, with_estimate(ended, estimate), digest, rows)

    def _checked_work(self, context: Context) -> Work:
        from airflow_provider_sixtyfour.inputs.limits import read_limit
        from airflow_provider_sixtyfour.tasks.batch_input import Work, enrich_input

        wait = self._wait_options(context)
        config = bulk_config(self.kind, **{name: getattr(self, name) for name in _CONFIG})
        read_limit(self.max_cost_cents, *_LIMIT)
        folder, formats = self._folder(context), self._landing(None).run_formats
        given = enrich_input(
            source=self.source, rows=None, specs_override=None, max_rows=self.max_rows, delimiter=self.delimiter
        )._replace(body={"config": config})
        return Work(given, formats, given.digest(f"bulk-intelligence/{self.kind}", formats), folder, wait)

    def _request(self, work: Work) -> BulkRequest:
        file = cast("InputFile", work.given.file)  # of a source there always is one
        return BulkRequest(self.kind, work.given.body["config"], work.formats, file)

    def _bulk_submission(self, context: Context, work: Work, request: BulkRequest) -> Submission:
        check = partial(self._check_writable, context, work.folder)
        return self._submission(request, work.digest, check=check, clear_pays_again=self.overwrite)

    def _start(self, context: Context, work: Work, submission: Submission) -> str:
        from airflow_provider_sixtyfour.inputs.limits import read_limit
        from airflow_provider_sixtyfour.tasks.bulk_costs import hold_to_limit
        from airflow_provider_sixtyfour.tasks.submission_records import records_of

        job_id = submission.start_or_adopt(context, records_of(context, work.folder))
        limit = read_limit(self.max_cost_cents, *_LIMIT)
        estimate = submission.estimated_cost_cents
        hold_to_limit(self._control, job_id, estimate, limit, self.log, is_new_job=submission.is_new_run)
        return job_id

    def _with_usage(self, ended: RunOutcome) -> RunOutcome:
        from airflow_provider_sixtyfour.tasks.bulk_costs import with_charge

        return with_charge(self._hook.client, ended, self.log)

    def _returned(self, folder: ObjectStoragePath, manifest: Manifest) -> dict[str, Any]:
        return self._with_costs(super()._returned(folder, manifest), manifest.metrics)

    def _with_costs(self, returned: dict[str, Any], metrics: Mapping[str, float]) -> dict[str, Any]:
        return {**returned, "kind": self.kind, ESTIMATE: metrics.get(ESTIMATE), CHARGE: metrics.get(CHARGE)}

    def _dry_run(self, work: Work) -> dict[str, Any]:
        from airflow_provider_sixtyfour.tasks.batch_result import nothing_sent

        config: Mapping[str, Any] = work.given.body["config"]
        work.given.check_file()
        self.log.info(
            "Nothing was sent: a dry run. Input: %s. Kind: %s, tier: %s. Fields: %s. Destination: %s.",
            work.given,
            self.kind,
            config.get("tier"),
            ", ".join(config.get("struct", {})) or "what the API finds by default",
            work.folder,
        )
        return self._with_costs(nothing_sent(self.source, None), {})
