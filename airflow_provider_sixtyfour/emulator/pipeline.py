"""
The passage of rows through a graph.

Invariant: input rows pass one at a time, in order, through every block, so that memory doesn't grow with the input
(but for what ``deduplicate`` remembers), and the same rows and graph always give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_sixtyfour.emulator import steps
from airflow_provider_sixtyfour.emulator.graph import Block, Graph
from airflow_provider_sixtyfour.emulator.inputs import Row, Rows


@dataclass(frozen=True, slots=True)
class Count:
    """How many rows a block gets and gives."""

    rows_in: int
    rows_out: int


def passes(graph: Graph, rows: Rows) -> Iterator[list[Sequence[Row]]]:
    """Give for each input row what each block, in the order of execution, makes of it."""
    plan = _plan(graph)
    for row in rows:
        made: list[Sequence[Row]] = [[row]]
        for step, feeds in plan:
            made.append(step([made[index] for index in feeds]))
        yield made


def counts(graph: Graph, rows: Rows) -> list[Count]:
    """Count the rows in and out of each block, in the order of execution; passes them only where it must."""
    if _keeps_rows(graph):
        return [Count(rows.count, rows.count) for _ in graph.order]
    feeds = [[0], *(inputs for _, inputs in _plan(graph))]
    into, out = [0] * len(graph.order), [0] * len(graph.order)
    for made in passes(graph, rows):
        for index, given in enumerate(made):
            out[index] += len(given)
            into[index] += sum(len(made[feed]) for feed in feeds[index])
    return [Count(*pair) for pair in zip(into, out, strict=True)]


def columns(graph: Graph, rows: Rows) -> list[list[str]]:
    """Return the columns of each block's rows, in the order of execution."""
    found: dict[str, list[str]] = {graph.source.block_id: list(rows.columns)}
    for block in graph.order[1:]:
        incoming = dict.fromkeys(name for feed in graph.previous[block.block_id] for name in found[feed])
        found[block.block_id] = steps.columns(block.block_name, block.specs, list(incoming))
    return [found[block.block_id] for block in graph.order]


def price(blocks: Sequence[Block], row_count: int) -> int:
    """Return the credits that a run costs: each block's price for each input row."""
    return row_count * sum(block.kind.credits for block in blocks)


def with_source_specs(graph: Graph, specs: Mapping[str, Any]) -> Graph:
    """Return the graph as one run has it: other specs in its first block."""
    old = graph.source
    new = Block(old.block_id, old.sequence_number, old.block_type, old.block_name, specs)
    blocks = tuple(new if block is old else block for block in graph.blocks)
    return Graph(blocks, graph.edges, (new, *graph.order[1:]), graph.previous)


def _plan(graph: Graph) -> list[tuple[steps.Step, list[int]]]:
    place = {block.block_id: index for index, block in enumerate(graph.order)}
    return [
        (
            steps.step(block.block_name, block.specs),
            [place[feed] for feed in graph.previous[block.block_id]],
        )
        for block in graph.order[1:]
    ]


def _keeps_rows(graph: Graph) -> bool:
    return all(block.kind.keeps_rows and len(graph.previous[block.block_id]) <= 1 for block in graph.order)
