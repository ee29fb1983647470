"""
The calls of Bulk Intelligence, jobs without a workflow, and of the balance that they are paid from.

Sources: the vendor's OpenAPI text of June 2026 and https://docs.sixtyfour.ai/api-reference/endpoint/bulk-intelligence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Literal
from urllib.parse import quote

from airflow_provider_sixtyfour.api.call import LONGEST_OBJECT, Call, Upload, format_flags, identifier, json_body
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api import job_models

LONGEST_CONFIG = 300_000  # characters of a job's configuration as JSON

CostUnits = Literal["cents", "credits"]
Struct = Mapping[str, str | Mapping[str, Any]]


def check_balance() -> Call[float]:
    """``GET /check-balance``: the credits that are left. 404 on a server that does not have the call yet."""
    from airflow_provider_sixtyfour.api import job_models

    return Call("reading the balance", "GET", "/check-balance", job_models.read_credits, longest_answer=LONGEST_OBJECT)


def start_bulk_people(
    stream: BinaryIO,
    filename: str,
    *,
    struct: Struct | None = None,
    tier: str | None = None,
    research_plan: str | None = None,
    field_confidence: bool | None = None,
    columns: Sequence[str] | None = None,
    result_formats: Sequence[str] = ("csv",),
    webhook_url: str | None = None,
    cost_units: CostUnits = "cents",
    idempotency_key: str | None = None,
) -> Call[job_models.StartedJob]:
    """
    ``POST /bulk-intelligence/people``: start a job on a file of people, which costs credits.

    :param stream: the file, seekable: at most 100 MB and 100,000 rows.
    :param filename: its ending names its format: ``.csv``, ``.json``, ``.jsonl`` or ``.ndjson``.
    :param struct: the fields to find, each with a description or ``{"description": …, "type": …}``.
    :param tier: how deep to research, which sets the price of a row: ``micro``, ``low`` (the API's default),
        ``medium``, ``high``; for people also ``xhigh`` and ``scout``.
    :param research_plan: how to research, in words.
    :param field_confidence: whether each field comes with a confidence.
    :param columns: those of the file to use; all if ``None``.
    :param result_formats: of ``csv``, ``json``, ``ndjson``; CSV is always made.
    :param webhook_url: https; the API calls it once the job has ended.
    :param cost_units: in what the estimate comes: ``cents`` or ``credits``.
    :param idempotency_key: a replay under the same key answers with the first job and starts nothing.
    :raises SixtyfourInputError: for a ``struct`` of another form, or a configuration that is too long.
    """
    config = _config(struct, tier, research_plan, field_confidence, columns, result_formats, webhook_url)
    return _start("people", stream, filename, config, cost_units, idempotency_key)


def start_bulk_company(
    stream: BinaryIO,
    filename: str,
    *,
    struct: Struct,
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
) -> Call[job_models.StartedJob]:
    """
    ``POST /bulk-intelligence/company``: start a job on a file of companies, which costs credits.

    Parameters as `start_bulk_people`, but for ``struct``, which is required, and these:

    :param find_people: whether to find people of each company; costs more than the estimate says.
    :param people_focus_prompt: which people, in words.
    :param lead_struct: the fields to find of each of them, in the form of ``struct``.
    :param full_org_chart: whether to find the whole organisation.
    :raises SixtyfourInputError: as `start_bulk_people`; also if ``struct`` is empty.
    """
    if not struct:
        raise SixtyfourInputError("struct is empty: a company job needs the fields to find.")
    config = _config(struct, tier, research_plan, field_confidence, columns, result_formats, webhook_url)
    config["find_people"] = find_people or None
    config["people_focus_prompt"] = people_focus_prompt
    config["lead_struct"] = check_struct(lead_struct, "lead_struct")
    config["full_org_chart"] = full_org_chart or None
    return _start("company", stream, filename, config, cost_units, idempotency_key)


def get_job_status(task_id: str, *, cost_units: CostUnits = "cents") -> Call[job_models.Job]:
    """``GET /job-status/{task_id}``: how far a job is, and its result files with fresh links once it has completed."""
    from airflow_provider_sixtyfour.api import job_models

    task_id = identifier(task_id, "task_id")
    return Call(
        f"polling job {task_id}",
        "GET",
        f"/job-status/{quote(task_id)}",
        job_models.Job.read,
        query=(("cost_units", cost_units),),
    )


def _config(
    struct: Struct | None,
    tier: str | None,
    research_plan: str | None,
    field_confidence: bool | None,
    columns: Sequence[str] | None,
    result_formats: Sequence[str],
    webhook_url: str | None,
) -> dict[str, Any]:
    listed, flags = format_flags(result_formats)
    return {
        "struct": check_struct(struct, "struct"),
        "tier": tier,
        "research_plan": research_plan,
        "field_confidence": field_confidence,
        "columns": None if columns is None else list(columns),
        "result_formats": listed,
        **dict.fromkeys(flags, True),
        "webhook_url": webhook_url,
    }


def check_struct(struct: Struct | None, name: str) -> dict[str, Any] | None:
    """
    Return the fields to find, checked: each has a description, or an object with ``description`` and ``type``.

    :param name: the parameter, for a message.
    :raises SixtyfourInputError: naming the field of another form.
    """
    if struct is None:
        return None
    if not isinstance(struct, Mapping):
        raise SixtyfourInputError(f"{name} should map fields to descriptions, not be a {type(struct).__name__}.")
    for field, value in struct.items():
        described = value.get("description") if isinstance(value, Mapping) else value
        kind = value.get("type", "str") if isinstance(value, Mapping) else "str"
        if not (isinstance(field, str) and field.strip() and isinstance(described, str) and isinstance(kind, str)):
            raise SixtyfourInputError(
                f'{name}[{str(field)[:60]!r}] is invalid: give a description, or {{"description": "…", "type": "str"}}.'
            )
    return dict(struct)


def _start(
    kind: str,
    stream: BinaryIO,
    filename: str,
    config: Mapping[str, Any],
    cost_units: CostUnits,
    idempotency_key: str | None,
) -> Call[job_models.StartedJob]:
    from airflow_provider_sixtyfour.api import job_models

    # The API refuses members that it does not know, so that one which is newer than a server is sent only if it is set.
    given = {name: value for name, value in config.items() if value is not None}
    try:
        text = json_body(given).decode()
    except (TypeError, ValueError) as error:
        raise SixtyfourInputError(f"The configuration of the job cannot be sent as JSON: {error}.") from None
    if len(text) > LONGEST_CONFIG:
        raise SixtyfourInputError(f"The configuration of the job has {len(text)} characters; {LONGEST_CONFIG} at most.")
    return Call(
        f"starting a bulk job ({kind}) on {filename}",
        "POST",
        f"/bulk-intelligence/{kind}",
        job_models.StartedJob.read,
        query=(("cost_units", cost_units),),
        form={"config": text},
        upload=Upload(stream, filename),
        idempotency_key=idempotency_key,
        repeatable=idempotency_key is not None,
        longest_answer=LONGEST_OBJECT,
    )
