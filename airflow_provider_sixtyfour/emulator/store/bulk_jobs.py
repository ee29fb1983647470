"""
Bulk Intelligence: one file in, one billed job, which is a run of the workflow engine without a stored workflow.

Invariant: what the API would refuse leaves nothing behind, neither a file nor a charge.
"""

from __future__ import annotations

import itertools
import json
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from airflow_provider_sixtyfour.emulator import errors, strict_json
from airflow_provider_sixtyfour.emulator.engine.graph import Graph, accept
from airflow_provider_sixtyfour.emulator.engine.prices import EXAMPLE_FOUND_PERSON_CENTS, EXAMPLE_TIER_CENTS
from airflow_provider_sixtyfour.emulator.schemas import BlockBody, EdgeBody, GraphBody

LONGEST_CONFIG = 300_000  # characters
MOST_ROWS = 100_000
MOST_BYTES = 100_000_000
_GATED = frozenset({"high", "xhigh"})
Struct = dict[str, str | dict[str, Any]]


class Config(BaseModel):
    """What both kinds of job have in common."""

    model_config = ConfigDict(extra="forbid")

    struct: Struct | None = None
    tier: str | None = None
    research_plan: str | None = None
    field_confidence: bool | None = None
    columns: list[str] | None = None
    result_formats: list[Literal["csv", "ndjson"]] | None = None
    save_json: bool = False
    webhook_url: Annotated[str, StringConstraints(min_length=1, max_length=2083, pattern="^https?://")] | None = None

    @property
    def cents(self) -> int:
        """The example price of one row, by its tier; a floor of what is charged."""
        return EXAMPLE_TIER_CENTS[self.tier or "low"]

    @property
    def more_cents(self) -> int:
        """What is charged for each row in addition."""
        return 0

    @property
    def formats(self) -> frozenset[str]:
        """The formats of the result files."""
        return frozenset({"csv", *(self.result_formats or ()), *(["json"] if self.save_json else [])})


class PeopleConfig(Config):
    """``POST /bulk-intelligence/people``."""

    tier: Literal["low", "micro", "medium", "high", "xhigh", "scout"] | None = None


class CompanyConfig(Config):
    """``POST /bulk-intelligence/company``."""

    tier: Literal["low", "micro", "medium", "high"] | None = None
    struct: Struct = Field(min_length=1)
    find_people: bool = False
    people_focus_prompt: str | None = None
    lead_struct: Struct | None = None
    full_org_chart: bool = False

    @property
    def more_cents(self) -> int:
        """What is charged for the people that are found."""
        return EXAMPLE_FOUND_PERSON_CENTS if self.find_people else 0


KINDS: Mapping[str, type[Config]] = {"people": PeopleConfig, "company": CompanyConfig}


def read_config(kind: str, text: str) -> Config:
    """Return the configuration of a job, or raise 400, 403 or 422."""
    if len(text) > LONGEST_CONFIG:
        raise errors.detailed(400, f"config is longer than {LONGEST_CONFIG} characters")
    try:
        document = strict_json.parse(text)
    except json.JSONDecodeError as error:
        raise errors.detailed(400, f"config is not JSON: {error.msg}") from error
    try:
        config = KINDS[kind].model_validate(document)
    except ValidationError as error:
        found = [
            {"type": one["type"], "loc": ["body", "config", *one["loc"]], "msg": one["msg"]} for one in error.errors()
        ]
        raise errors.ApiError(422, {"detail": found}) from error
    if config.tier in _GATED:
        tier = str(config.tier).capitalize()
        text = f"{tier} tier is not enabled for this org. Contact sales to request access."
        raise errors.detailed(403, text)
    return config


def graph_of(kind: str, config: Config) -> Graph:
    """Return the pipeline of a job: its file, the research, and the webhook where one is asked for."""
    row_type, name = ("LEAD", "lead_enrichment") if kind == "people" else ("COMPANY", "company_enrichment")
    specs: dict[str, Any] = {"return_fields": config.struct} if config.struct else {}
    steps: list[tuple[str, dict[str, Any]]] = [("read_csv", {"dataframe_type": row_type}), (name, specs)]
    if config.webhook_url:
        steps.append(("outgoing_webhook", {"url": config.webhook_url}))
    ids = [str(uuid.uuid4()) for _ in steps]
    blocks = [
        BlockBody(sequence_number=number, block_type="bulk", block_name=step, specs=found, block_id=block_id)
        for number, ((step, found), block_id) in enumerate(zip(steps, ids, strict=True), start=1)
    ]
    edges = [EdgeBody(from_block_id=a, to_block_id=b) for a, b in itertools.pairwise(ids)]
    return accept(GraphBody(blocks=blocks, edges=edges))
