"""
Rows for the sources that find them by themselves, like ``search``: invented ones.

Invariant: the same specs always give the same rows, and never more than a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_sixtyfour.emulator.engine import fake_values
from airflow_provider_sixtyfour.emulator.engine.inputs import SentRows

_MOST = 1_000


def found(settings: Mapping[str, Any], row_type: str | None) -> SentRows:
    """Return the rows of such a source."""
    wanted = settings.get("max_results")
    count = min(wanted, _MOST) if isinstance(wanted, int) else 10
    identity = fake_values.digest(settings)
    make = _company if row_type == "COMPANY" else _lead
    return SentRows([make(fake_values.number(identity, f"row {place}")) for place in range(count)])


def _lead(seed: int) -> dict[str, Any]:
    name, company = fake_values.person({}, seed), fake_values.company({}, seed)
    return {"name": name, "company": company, "title": fake_values.title(seed)}


def _company(seed: int) -> dict[str, Any]:
    row = {"company_name": fake_values.company({}, seed)}
    return {**row, "website": f"https://{fake_values.domain(row, seed)}"}
