"""
The passage of rows through a graph.

Invariant: input rows pass one at a time, in order, through every block, so that memory doesn't grow with the input
(but for what ``deduplicate`` remembers), and the same rows and graph always give the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_provider_sixtyfour.emulator.engine import steps
from airflow_provider_sixtyfour.emulator.engine.graph import Block, Graph
from airflow_provider_sixtyfour.emulator.engine.inputs import Row, Rows


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
        found[block.block_id] = list(dict.fromkeys(block.kind.columns(block.settings, list(incoming))))
    return [found[block.block_id] for block in graph.order]


def row_cents(blocks: Sequence[Block]) -> int:
    """Return the cents that a run costs for each input row: the sum of its blocks' prices."""
    return sum(block.kind.cents(block.specs) for block in blocks)


def _plan(graph: Graph) -> list[tuple[steps.Step, list[int]]]:
    place = {block.block_id: index for index, block in enumerate(graph.order)}
    return [
        (
            block.kind.act(block.settings),
            [place[feed] for feed in graph.previous[block.block_id]],
        )
        for block in graph.order[1:]
    ]


def _keeps_rows(graph: Graph) -> bool:
    return all(block.kind.keeps_rows and len(graph.previous[block.block_id]) <= 1 for block in graph.order)
