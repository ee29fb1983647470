"""
What the Dag runs of the benchmark come to, as tables, and whether that is as good as its goals.

Invariant: nothing is left out that went wrong: a task that failed, a run too many, a row that didn't land.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PER_MINUTE = 500  # requests that the API allows
GOAL_RATIO = 1.3  # of the later of the two floors
GOAL_REQUESTS = 6.0  # of a batch
MIB = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Ran:
    """
    One Dag run.

    :param seconds: from its start to its end.
    :param states: of its mapped tasks, counted.
    :param rows: how many lie at the destination.
    :param requests: what the emulator received, by route.
    :param refused: how many of these were answered with a 429.
    :param runs: how many the emulator was asked for.
    :param memory: bytes of the largest process, by role.
    :param cpu: seconds, by role.
    """

    seconds: float
    states: Mapping[str, int]
    rows: int
    requests: Mapping[str, int]
    refused: int
    runs: int
    memory: Mapping[str, int]
    cpu: Mapping[str, float]

    @property
    def asked(self) -> int:
        """All requests."""
        return sum(self.requests.values())

    @property
    def limit_floor(self) -> float:
        """Seconds in which the limit allows the requests that it has let through."""
        return (self.asked - self.refused) / PER_MINUTE * 60

    @property
    def failed(self) -> int:
        """Tasks that have not succeeded."""
        return sum(count for state, count in self.states.items() if state != "success")


def report(bare: Ran, floor: Ran, ours: Ran, batches: int, rows: int) -> tuple[list[str], bool]:
    """
    Return the tables, and whether all goals are reached.

    :param bare: tasks that only defer, without arguments.
    :param floor: tasks that only defer, with the arguments of those that enrich.
    :param ours: tasks that enrich.
    """
    later = max(floor.seconds, ours.limit_floor)
    ratio, each, let_through = ours.seconds / later, ours.asked / batches, ours.asked - ours.refused
    lines = [
        "| | seconds | tasks that failed |",
        "|---|---|---|",
        f"| floor of the limit: {let_through:,} requests, {PER_MINUTE} a minute | {ours.limit_floor:.0f} | |",
        f"| floor of Airflow: the same Dag, {batches} empty tasks that defer | {floor.seconds:.0f} | {floor.failed} |",
        f"| tasks that defer, without references and templates | {bare.seconds:.0f} | {bare.failed} |",
        f"| {batches} batches enriched | {ours.seconds:.0f} | {ours.failed} |",
        "",
        f"- {ratio:.2f} times the later floor (goal: {GOAL_RATIO:g} at most), "
        f"{ours.seconds / max(bare.seconds, ours.limit_floor):.2f} times where the bare Dag is the floor",
        f"- {ours.runs} runs for {batches} batches, {ours.rows:,} rows landed of {rows:,}",
        f"- {each:.1f} requests a batch (goal: {GOAL_REQUESTS:g} at most), {ours.refused} of all answered with a 429",
        "",
        "| request | times |",
        "|---|---|",
        *(f"| `{route}` | {count:,} |" for route, count in sorted(ours.requests.items(), key=lambda item: -item[1])),
        "",
        "| processes | MiB of the largest: floor | batches | seconds of CPU: floor | batches |",
        "|---|---|---|---|---|",
    ]
    for role in ours.memory:
        memory = (f"{ran.memory.get(role, 0) / MIB:.0f}" for ran in (floor, ours))
        # A task's CPU time is in that of the process that ran it.
        cpu = (f"{ran.cpu[role]:.0f}" if ran.cpu.get(role) else "" for ran in (floor, ours))
        lines.append(f"| {role} | {' | '.join(memory)} | {' | '.join(cpu)} |")
    is_whole = (bare.failed, floor.failed, ours.failed, ours.runs, ours.rows) == (0, 0, 0, batches, rows)
    return lines, is_whole and ratio <= GOAL_RATIO and each <= GOAL_REQUESTS
