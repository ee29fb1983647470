"""
A workflow's graph: checked, its ids made UUIDs, its blocks put in the order of execution.

Invariant: a :class:`Graph` has exactly one source, which is a block that takes input; no cycle; ids that are
unique UUIDs; edges between its own blocks; blocks that the catalogue knows, with specs that fit their schema.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.engine import blocks as catalogue
from airflow_provider_sixtyfour.emulator.engine.block_kind import Kind
from airflow_provider_sixtyfour.emulator.schemas import GraphBody

_CREATE_NEW = "__create_new__"  # the service makes a notebook and stores its id instead


@dataclass(frozen=True, slots=True)
class Block:
    """One step, with its specs as they were sent."""

    block_id: str
    sequence_number: int
    block_type: str
    block_name: str
    specs: Mapping[str, Any]

    @property
    def kind(self) -> Kind:
        """What the catalogue says of this block."""
        return catalogue.KINDS[self.block_name]

    @property
    def label(self) -> str:
        """Its number and name, as messages have them."""
        return f"Block {self.sequence_number} ({self.block_name})"

    @property
    def settings(self) -> dict[str, Any]:
        """Its specs with the defaults of what they leave out."""
        return self.kind.settings(self.specs)


@dataclass(frozen=True, slots=True)
class Edge:
    """A connection of two blocks."""

    from_block_id: str
    to_block_id: str
    condition: str | None


@dataclass(frozen=True, slots=True)
class Graph:
    """A valid workflow definition."""

    blocks: tuple[Block, ...]  # as they were sent
    edges: tuple[Edge, ...]
    order: tuple[Block, ...]  # as they run; the source is the first
    previous: Mapping[str, tuple[str, ...]]  # the ids that feed a block
    row_types: Mapping[str, str | None]  # LEAD or COMPANY, of what a block gives; None: not known

    @property
    def source(self) -> Block:
        """The block that takes the input."""
        return self.order[0]

    def notes(self) -> list[str]:
        """Return what the emulator does otherwise than the service would, for the run's log."""
        found = []
        for block in self.order:
            unread = sorted(set(block.specs) - set(block.kind.specs))
            if not block.kind.imitated:
                what = "gives invented rows" if block.kind.source else "passes its rows through"
                found.append(f"{block.label} is not imitated: it {what}")
            elif unread:
                found.append(f"{block.label} ignores specs that the emulator doesn't know: {', '.join(unread)}")
        return found

    def with_source_specs(self, specs: Mapping[str, Any]) -> Graph:
        """Return the graph as one run has it: other specs in its first block."""
        old = self.source
        new = Block(old.block_id, old.sequence_number, old.block_type, old.block_name, specs)
        blocks = tuple(new if block is old else block for block in self.blocks)
        order = (new, *self.order[1:])
        return Graph(blocks, self.edges, order, self.previous, _row_types(order, self.previous))

    def document(self) -> dict[str, Any]:
        """Return the definition as the API shows it."""
        return {
            "blocks": [
                {
                    "sequence_number": block.sequence_number,
                    "block_type": block.block_type,
                    "block_name": block.block_name,
                    "specs": dict(block.specs),
                    "block_id": block.block_id,
                }
                for block in self.blocks
            ],
            "edges": [
                {
                    "from_block_id": edge.from_block_id,
                    "to_block_id": edge.to_block_id,
                    "condition": edge.condition,
                }
                for edge in self.edges
            ],
        }


def accept(body: GraphBody, *, fill_defaults: bool = False) -> Graph:
    """Return the graph that the API would save, or raise the 400 that it would answer."""
    if not body.blocks:
        raise _refused("The workflow has no blocks")
    given = [block.block_id for block in body.blocks if block.block_id]
    twice = sorted(block_id for block_id, count in Counter(given).items() if count > 1)
    if twice:
        raise _refused(f"Duplicate block_id: {', '.join(twice)}")
    final = {block_id: _as_uuid(block_id) for block_id in given}
    blocks = tuple(
        Block(
            block_id=final[block.block_id] if block.block_id else str(uuid.uuid4()),
            sequence_number=block.sequence_number,
            block_type=block.block_type,
            block_name=block.block_name,
            specs=checked_specs(block.sequence_number, block.block_name, block.specs, fill_defaults),
        )
        for block in body.blocks
    )
    for edge in body.edges:
        for end in (edge.from_block_id, edge.to_block_id):
            if end not in final:
                raise _refused(f"An edge names a block that doesn't exist: {end}")
    edges = tuple(Edge(final[edge.from_block_id], final[edge.to_block_id], edge.condition) for edge in body.edges)
    previous = _previous(blocks, edges)
    order = _order(blocks, previous)
    _check_inputs(order, previous)
    return Graph(blocks, edges, order, previous, _row_types(order, previous))


def checked_specs(
    number: int, block_name: str, specs: Mapping[str, Any], fill_defaults: bool = False
) -> dict[str, Any]:
    """Return the specs, or raise the 400 for a block that is unknown or doesn't take them."""
    kind = catalogue.KINDS.get(block_name)
    if kind is None:
        raise _refused(f"Unknown block type: {block_name}")
    fault = kind.fault_in(specs)
    if fault:
        raise _refused(f"Block {number} ({block_name}): {fault}")
    known = {name: str(uuid.uuid4()) if value == _CREATE_NEW else value for name, value in specs.items()}
    return {**kind.defaults, **known} if fill_defaults else known


def _refused(message: str) -> errors.ApiError:
    return errors.coded(400, "invalid_workflow", message)


def _as_uuid(block_id: str) -> str:
    try:
        uuid.UUID(block_id)
    except ValueError:
        return str(uuid.uuid4())
    return block_id


def _previous(blocks: Iterable[Block], edges: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {block.block_id: {} for block in blocks}
    for edge in edges:
        found[edge.to_block_id][edge.from_block_id] = None
    return {block_id: tuple(ids) for block_id, ids in found.items()}


def _order(blocks: tuple[Block, ...], previous: Mapping[str, tuple[str, ...]]) -> tuple[Block, ...]:
    """Sort the blocks so that each comes after those that feed it; of two that may run, the lower number first."""
    waiting = sorted(blocks, key=lambda block: block.sequence_number)
    done: dict[str, Block] = {}
    while waiting:
        ready = next((block for block in waiting if all(id_ in done for id_ in previous[block.block_id])), None)
        if ready is None:
            names = ", ".join(f"{block.sequence_number} ({block.block_name})" for block in waiting)
            raise _refused(f"The graph has a cycle through blocks {names}")
        waiting.remove(ready)
        done[ready.block_id] = ready
    return tuple(done.values())


def _check_inputs(order: tuple[Block, ...], previous: Mapping[str, tuple[str, ...]]) -> None:
    sources = [block for block in order if not previous[block.block_id]]
    if len(sources) != 1:
        names = ", ".join(f"{block.sequence_number} ({block.block_name})" for block in sources)
        raise _refused(f"The graph must have exactly one source block, it has {len(sources)}: {names}")
    for block in order:
        if block is sources[0] and not block.kind.source:
            raise _refused(f"{block.label} can't be the first: a workflow starts with an input block, such as webhook")
        if block is not sources[0] and block.kind.source:
            raise _refused(f"{block.label} takes the workflow's input, so no edge may lead to it")


def _row_types(order: tuple[Block, ...], previous: Mapping[str, tuple[str, ...]]) -> dict[str, str | None]:
    """Follow the types of the rows along the edges, or raise the 400 for a block that can't work on what it gets."""
    found: dict[str, str | None] = {}
    for block in order:
        incoming = {found[feed] for feed in previous[block.block_id]} - {None}
        takes = block.kind.takes
        if takes and incoming - {takes}:
            other = ", ".join(sorted(str(one) for one in incoming - {takes}))
            remedy = "company_to_leads" if takes == "LEAD" else "leads_to_company"
            raise _refused(
                f"{block.label}: type mismatch: it works on {takes} rows, not {other}; use {remedy} before it"
            )
        only = incoming.pop() if len(incoming) == 1 else None
        own = block.settings.get("dataframe_type") if block.kind.source else None
        found[block.block_id] = block.kind.gives or own or takes or only
    return found
