"""The hook's methods for Bulk Intelligence, jobs without a workflow, and for the balance that all is paid from."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourNotFoundError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.client import SixtyfourClient
    from airflow_provider_sixtyfour.api.job_calls import CostUnits, Struct
    from airflow_provider_sixtyfour.api.job_models import Job, StartedJob
    from airflow_provider_sixtyfour.hooks.sources import Source


class JobOperations:
    """
    A part of `Operations`, which says what they raise.

    Sources: the API's OpenAPI text of June 2026, and https://docs.sixtyfour.ai/api-reference/endpoint/bulk-intelligence.
    """

    @property
    @abstractmethod
    def client(self) -> SixtyfourClient:
        """The blocking client."""

    def check_balance(self) -> float | None:
        """
        Return the credits that are left to the credential's organisation (``GET /check-balance``).

        :return: ``None`` where the server does not know the call (404): it came in June 2026.
        """
        try:
            return self.client.send(calls.check_balance())
        except SixtyfourNotFoundError:
            return None

    def start_bulk_people(
        self,
        source: Source,
        *,
        filename: str | None = None,
        struct: Struct | None = None,
        tier: str | None = None,
        research_plan: str | None = None,
        field_confidence: bool | None = None,
        columns: Sequence[str] | None = None,
        result_formats: Sequence[str] = ("csv",),
        webhook_url: str | None = None,
        cost_units: CostUnits = "cents",
        idempotency_key: str | None = None,
    ) -> StartedJob:
        """
        Start a bulk job on a file of people, which costs credits (``POST /bulk-intelligence/people``).

        :param source: the file, as for `upload_file`: at most 100 MB and 100,000 rows.
        :param filename: as for `upload_file`.
        :param struct: the fields to find, each with a description or ``{"description": …, "type": …}``.
        :param tier: how deep to research, which sets the price of a row: ``micro``, ``low`` (the API's default),
            ``medium``, ``high``, ``xhigh`` or ``scout``.
        :param research_plan: how to research, in words.
        :param field_confidence: whether each field comes with a confidence.
        :param columns: those of the file to use; all if ``None``.
        :param result_formats: of ``csv``, ``json``, ``ndjson``; CSV is always made.
        :param webhook_url: https; the API calls it once the job has ended.
        :param cost_units: in what the estimate comes: ``cents`` or ``credits``.
        :param idempotency_key: the API starts one job for a key, and answers with it from then on; made up if ``None``,
            so that the call itself can be retried.
        :return: its ``task_id`` and the estimate of its cost, which is a floor.
        :raises SixtyfourRefusedError: 402 if the balance doesn't cover the estimate: nothing was charged; 403 if the
            tier is not enabled.
        :raises SixtyfourUnavailableError: also 429 if the organisation starts more than 10 jobs in a minute.
        """
        from airflow_provider_sixtyfour.hooks.sources import opened

        with opened(source, filename) as (stream, name):
            call = calls.start_bulk_people(
                stream,
                name,
                struct=struct,
                tier=tier,
                research_plan=research_plan,
                field_confidence=field_confidence,
                columns=columns,
                result_formats=result_formats,
                webhook_url=webhook_url,
                cost_units=cost_units,
                idempotency_key=idempotency_key or new_key(),
            )
            return self.client.send(call)

    def start_bulk_company(
        self,
        source: Source,
        *,
        struct: Struct,
        filename: str | None = None,
        tier: str | None = None,
        research_plan: str | None = None,
        field_confidence: bool | None = None,
        columns: Sequence[str] | None = None,
        result_formats: Sequence[str] = ("csv",),
        webhook_url: str | None = None,
        find_people: bool = False,
        people_focus_prompt: str | None = None,
        lead_struct: Struct | None = None,
        full_org_chart: bool = False,
        cost_units: CostUnits = "cents",
        idempotency_key: str | None = None,
    ) -> StartedJob:
        """
        Start a bulk job on a file of companies, which costs credits (``POST /bulk-intelligence/company``).

        Parameters, result and errors as for `start_bulk_people`, but for ``struct``, which is required, ``tier``, which
        ends at ``high``, and these:

        :param find_people: whether to find people of each company; costs more than the estimate says.
        :param people_focus_prompt: which people, in words.
        :param lead_struct: the fields to find of each of them, in the form of ``struct``.
        :param full_org_chart: whether to find the whole organisation.
        """
        from airflow_provider_sixtyfour.hooks.sources import opened

        with opened(source, filename) as (stream, name):
            call = calls.start_bulk_company(
                stream,
                name,
                struct=struct,
                tier=tier,
                research_plan=research_plan,
                field_confidence=field_confidence,
                columns=columns,
                result_formats=result_formats,
                webhook_url=webhook_url,
                find_people=find_people,
                people_focus_prompt=people_focus_prompt,
                lead_struct=lead_struct,
                full_org_chart=full_org_chart,
                cost_units=cost_units,
                idempotency_key=idempotency_key or new_key(),
            )
            return self.client.send(call)

    def get_job_status(self, task_id: str, *, cost_units: CostUnits = "cents") -> Job:
        """
        Return how far a bulk job is, and its files once it has completed (``GET /job-status/{task_id}``).

        :param task_id: what `start_bulk_people` or `start_bulk_company` returned.
        :param cost_units: in what the charge comes: ``cents`` or ``credits``.
        """
        return self.client.send(calls.get_job_status(task_id, cost_units=cost_units))


def new_key() -> str:
    """Return a new ``Idempotency-Key``."""
    return str(uuid.uuid4())
