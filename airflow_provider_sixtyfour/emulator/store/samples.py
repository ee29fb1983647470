"""
The workflows that an emulator has from its start, so that the first run needs no upload of a definition.

Invariant: their ids never change, and the example Dags name them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

WEBHOOK_ID = "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64"
READ_CSV_ID = "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d65"
SEARCH_ID = "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d66"

_LEAD = ("lead_enrichment", {"return_fields": {"title": "string", "linkedin_url": "string"}})
_EMAIL: tuple[str, dict[str, Any]] = ("find_email", {"mode": "PROFESSIONAL"})
_SEARCH = {"query": "Engineers at Acme", "dataframe_type": "LEAD", "max_results": 10, "auto_execute": False}


def _workflow(workflow_id: str, name: str, steps: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    blocks = [
        {
            "block_id": f"{workflow_id[:-4]}{workflow_id[-2:]}{number:02}",
            "sequence_number": number,
            "block_type": "sample",
            "block_name": block_name,
            "specs": specs,
        }
        for number, (block_name, specs) in enumerate(steps, start=1)
    ]
    edges = [{"from_block_id": a["block_id"], "to_block_id": b["block_id"]} for a, b in pairwise(blocks)]
    return {
        "id": workflow_id,
        "workflow_name": name,
        "workflow_description": "A sample of the emulator",
        "workflow_definition": {"blocks": blocks, "edges": edges},
    }


SAMPLES = (
    _workflow(WEBHOOK_ID, "Sample: rows of the call", [("webhook", {}), _LEAD, _EMAIL]),
    _workflow(READ_CSV_ID, "Sample: rows of a file", [("read_csv", {}), _LEAD, _EMAIL]),
    _workflow(SEARCH_ID, "Sample: people search", [("search", _SEARCH), _LEAD, _EMAIL]),
)
"""The bodies that would create them."""
