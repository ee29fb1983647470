"""
Rows for the sources that find them by themselves, like ``search``: invented ones.

Invariant: the same specs always give the same rows, and never more than a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_sixtyfour.emulator import enrichment
from airflow_provider_sixtyfour.emulator.inputs import SentRows

_MOST = 1_000


def found(settings: Mapping[str, Any], row_type: str | None) -> SentRows:
    """Return the rows of such a source."""
    wanted = settings.get("max_results")
    count = min(wanted, _MOST) if isinstance(wanted, int) else 10
    identity = enrichment.digest(settings)
    make = _company if row_type == "COMPANY" else _lead
    return SentRows([make(enrichment.number(identity, f"row {place}")) for place in range(count)])


def _lead(seed: int) -> dict[str, Any]:
    name, company = enrichment.person({}, seed), enrichment.company({}, seed)
    return {"name": name, "company": company, "title": enrichment.title(seed)}


def _company(seed: int) -> dict[str, Any]:
    row = {"company_name": enrichment.company({}, seed)}
    return {**row, "website": f"https://{enrichment.domain(row, seed)}"}
