"""
The blocks that a workflow can have: current names first, those of an older generation after them.

Invariant: one table feeds ``GET /workflows/blocks``, the check of a graph, the run of a block, its price and the
choice of files, so they cannot drift apart. A block that no public text describes takes any specs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_sixtyfour.emulator.engine import conditions, fields, steps
from airflow_provider_sixtyfour.emulator.engine.block_kind import Kind, Schema, Settings

_STRINGS: Schema = {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "default": []}
_ROW_TYPE: Schema = {"enum": ["LEAD", "COMPANY", None]}


def _text(default: str | None = None, **more: Any) -> Schema:
    return {"type": "string", **({} if default is None else {"default": default}), **more}


def _fields(**default: str) -> Schema:
    return {**fields.SCHEMA, "default": default}


def _plus(*names: str) -> Any:
    return lambda settings, incoming: [*incoming, *names]


def _only(*names: str) -> Any:
    return lambda settings, incoming: list(names)


def _without(settings: Settings, incoming: Sequence[str]) -> list[str]:
    return [name for name in incoming if name not in settings["columns"]]


def _transformed(settings: Settings, incoming: Sequence[str]) -> list[str]:
    kept = [settings["rename"].get(name, name) for name in incoming if name not in settings["drop"]]
    return [*kept, *settings["set"]]


def _unknown(title: str, **more: Any) -> Kind:
    """Return a block that the API has, of which nothing more is public."""
    return Kind(title=title, act=steps.passes_through, open_specs=True, **more)


_CURRENT: Mapping[str, Kind] = {
    "webhook": Kind(
        title="Rows that come with the call",
        act=steps.unchanged,
        source="webhook",
        makes_file=False,
        specs={"input_schema": {"type": ["object", "null"]}, "dataframe_type": _ROW_TYPE, "webhook_input": _text()},
    ),
    "read_csv": Kind(
        title="Rows of an uploaded file",
        act=steps.unchanged,
        source="upload",
        makes_file=False,
        specs={"resource_handle_id": {"type": ["string", "null"]}, "dataframe_type": _ROW_TYPE},
        open_specs=True,
    ),
    "search": Kind(
        title="Rows found by a search",
        act=steps.unchanged,
        source="invented",
        makes_file=False,
        specs={
            "query": _text(minLength=1),
            "dataframe_type": {**_ROW_TYPE, "default": "LEAD"},
            "max_results": {"type": "integer", "minimum": 1, "default": 10},
            "auto_execute": {"type": "boolean", "default": False},
        },
        required=("query",),
        open_specs=True,
    ),
    "read_notebook": _unknown("Rows of a notebook", source="invented", makes_file=False),
    "hubspot_import": _unknown("Rows of HubSpot", source="invented", makes_file=False),
    "yc_batches": _unknown("Batches of Y Combinator", source="invented", makes_file=False),
    "yc_companies": _unknown("Companies of Y Combinator", source="invented", makes_file=False, gives="COMPANY"),
    "lead_enrichment": Kind(
        title="Find out about a person",
        act=steps.enrich,
        takes="LEAD",
        specs={"return_fields": _fields(title="string", linkedin_url="string")},
        aliases=("enrich_lead", "enrich_person"),
    ),
    "company_enrichment": Kind(
        title="Find out about a company",
        act=steps.enrich,
        takes="COMPANY",
        specs={
            "return_fields": _fields(industry="string", website="string"),
            "find_people": {"type": "boolean"},
            "people_focus_prompt": _text(),
        },
        aliases=("enrich_company",),
    ),
    "linkedin_enrichment": _unknown("Find out about a LinkedIn profile"),
    "find_email": Kind(
        title="Find an e-mail address",
        act=steps.enrich,
        takes="LEAD",
        specs={
            "mode": {"enum": ["PROFESSIONAL", "PERSONAL"], "default": "PROFESSIONAL"},
            "return_fields": _fields(email="string", email_status="string"),
        },
    ),
    "find_phone": Kind(
        title="Find a telephone number",
        act=steps.enrich,
        takes="LEAD",
        specs={"return_fields": _fields(phone="string")},
    ),
    "verify_email": Kind(
        title="Check an e-mail address",
        act=steps.verify_email,
        takes="LEAD",
        specs={"email_field": _text("email")},
        columns=_plus("email_status"),
        aliases=("validate_email",),
    ),
    "reverse_email": Kind(
        title="Find the person of an e-mail address",
        act=steps.enrich,
        takes="LEAD",
        specs={"return_fields": _fields(name="string", company="string")},
    ),
    "reverse_phone": Kind(
        title="Find the person of a telephone number",
        act=steps.enrich,
        takes="LEAD",
        specs={"return_fields": _fields(name="string", company="string")},
    ),
    "company_to_leads": Kind(
        title="People of each company",
        act=steps.company_to_leads,
        takes="COMPANY",
        gives="LEAD",
        keeps_rows=False,
        columns=_only("name", "company", "title"),
        open_specs=True,
    ),
    "leads_to_company": Kind(
        title="Companies of the people",
        act=steps.leads_to_company,
        takes="LEAD",
        gives="COMPANY",
        keeps_rows=False,
        columns=_only("company_name", "website"),
        open_specs=True,
    ),
    "github_find_people": _unknown("Find people on GitHub"),
    "google_maps_search": _unknown("Find businesses on Google Maps"),
    "scrape_web": _unknown("Read a web page"),
    "backlinks_referring_domains": _unknown("Domains that link to a page"),
    "find_subdomains": _unknown("Subdomains of a domain"),
    "x_search": _unknown("Search X"),
    "tiktok_get_following": _unknown("Whom a TikTok account follows"),
    "kaggle_leaderboard": _unknown("Leaderboard of a Kaggle competition"),
    "llm_openai": _unknown("Ask a language model about each row"),
    "qa_agent": _unknown("Check and score each row"),
    "research_agent": _unknown("Research each row"),
    "transform_data": _unknown("Change columns"),
    "filter": Kind(
        title="Keep the rows that meet the conditions",
        act=steps.keep,
        keeps_rows=False,
        specs={"filters": conditions.SCHEMA},
    ),
    "deduplicate": Kind(
        title="Keep the first of rows that are equal, in the columns named or, where none is, in all",
        act=steps.deduplicate,
        keeps_rows=False,
        specs={"columns": _STRINGS},
    ),
    "deduplicate_wrt_notebook": _unknown("Drop the rows that a notebook has"),
    "group_by": _unknown("Group rows by a column"),
    "remove_columns": Kind(
        title="Drop columns",
        act=steps.remove_columns,
        specs={"columns": _STRINGS},
        columns=_without,
        open_specs=True,  # no public text names the member
    ),
    "append_to_notebook": Kind(
        title="Add the rows to a notebook",
        act=steps.unchanged,
        specs={"notebook_id": {"type": ["string", "null"]}, "notebook_name": {"type": ["string", "null"]}},
    ),
    "send_slack_message": _unknown("Send the rows to Slack"),
    "outgoing_webhook": Kind(
        title="Deliver the rows to a URL when the run has completed",
        act=steps.deliver,
        columns=_plus(steps.DELIVERY_COLUMN),
        specs={
            "url": _text(pattern="^https?://"),
            "timeout_seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 60, "default": 10},
        },
        required=("url",),
    ),
}
_OLDER: Mapping[str, Kind] = {
    "validate_phone": Kind(
        title="Check a telephone number",
        act=steps.validate_phone,
        takes="LEAD",
        specs={"phone_field": _text("phone")},
        columns=_plus("phone_valid"),
    ),
    "transform": Kind(
        title="Rename, drop and set columns",
        act=steps.transform,
        specs={
            "rename": {"type": "object", "additionalProperties": {"type": "string"}, "default": {}},
            "drop": _STRINGS,
            "set": {"type": "object", "default": {}},
        },
        columns=_transformed,
    ),
    "merge": Kind(
        title="Join branches: the rows made from one input row into one, or one after the other",
        act=steps.merge,
        keeps_rows=False,
        specs={"how": {"enum": ["combine", "append"], "default": "combine"}},
    ),
    "export": Kind(title="Hand the rows on as a file", act=steps.unchanged, specs={"file_name": _text()}),
}


def _named() -> dict[str, Kind]:
    found = {name: replace(kind, name=name) for name, kind in _CURRENT.items()}
    # Prices and rows are those of the current name; what specs the older one took is known only in part.
    aliases = {alias: replace(kind, open_specs=True) for kind in found.values() for alias in kind.aliases}
    older = {name: replace(kind, name=name, open_specs=True) for name, kind in _OLDER.items()}
    return {**found, **aliases, **older}


KINDS: Mapping[str, Kind] = _named()
"""Each kind by the names that a block may have; an older name has the ``name`` of the current one."""
