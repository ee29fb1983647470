"""What a save of a workflow does beyond storing it: ids that the server has written in, and credits it may cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow_provider_sixtyfour.workflows.definition import Definition

_PLACEHOLDER = re.compile(r"__\w+__")  # such as "__create_new__": the server writes what it has created in its place


def keep_server_ids(wanted: Definition, existing: Definition) -> Definition:
    """
    Return the wanted workflow with the ids that the server has written into the specs of its stored blocks.

    Without them each deployment would find a difference, and each save would create, say, another notebook. Kept is
    a spec named ``…_id`` that only the stored block has, and any spec for which the wanted block has a placeholder
    such as ``"__create_new__"``. Everything else that only the stored side has is a difference: it was removed.
    """
    blocks = {
        block_id: {**block, "specs": _kept(block["specs"], existing.blocks[block_id]["specs"])}
        if block_id in existing.blocks and existing.blocks[block_id]["block_name"] == block["block_name"]
        else block
        for block_id, block in wanted.blocks.items()
    }
    return replace(wanted, blocks=blocks)


def blocks_run_by_a_save(wanted: Definition) -> list[str]:
    """Return the names of the blocks that the server runs, and may bill, when the workflow is saved."""
    return [str(block["block_name"]) for block in wanted.blocks.values() if block["specs"].get("auto_execute") is True]


def _kept(wanted: Mapping[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    written = {
        name: value
        for name, value in stored.items()
        if (name.endswith("_id") and name not in wanted) or _is_placeholder(wanted.get(name))
    }
    return {**wanted, **written}


def _is_placeholder(value: Any) -> bool:
    return isinstance(value, str) and _PLACEHOLDER.fullmatch(value) is not None
