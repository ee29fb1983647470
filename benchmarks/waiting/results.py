"""
The results of a measurement: the outcomes compared with the true ones, and the table.

Invariant: nothing is left out that went wrong. A run without an outcome counts as a wrong one, and an outcome counts as
early by the clock of the machine that both processes run on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

NAMES = {
    "sixtyfour": "`SixtyfourRunTrigger`",
    "dbt-cloud": "`DbtCloudRunJobTrigger`",
}
HEADINGS = (
    "subject",
    "runs",
    "ends",
    "requests a minute (worst)",
    "429s",
    "connections",
    "CPU ms per run-minute",
    "memory a run",
    "delay p50 / p95 / max",
    "longest turn of the loop (CPU)",
    "wrong outcomes",
)


@dataclass(frozen=True, slots=True)
class Result:
    """
    One measurement. Times are in seconds, memory in bytes.

    :param cpu: per minute that a run was waited for.
    :param turn: the longest that the event loop was busy before it looked for news again.
    :param work: the most CPU time that it spent in one such turn.
    :param delays: from each run's end to its event, sorted.
    :param faults: what was wrong with each wrong outcome.
    """

    subject: str
    runs: int
    ends: str
    requests_per_minute: float
    worst_minute: int
    refused: int
    connections: int
    cpu: float
    memory: float
    turn: float
    work: float
    delays: Sequence[float]
    faults: Sequence[str]

    def delay(self, percent: int) -> float:
        """Return the delay that so many percent of the runs with an outcome kept below."""
        if not self.delays:
            return float("nan")
        return self.delays[min(len(self.delays) - 1, len(self.delays) * percent // 100)]

    def row(self) -> list[str]:
        """Return the cells of its row."""
        return [
            NAMES[self.subject],
            f"{self.runs:,}",
            self.ends,
            f"{self.requests_per_minute:,.0f} ({self.worst_minute:,})",
            str(self.refused) if self.subject == "sixtyfour" else "no limit there",
            f"{self.connections:,}",
            f"{self.cpu * 1000:.2f}",
            f"{self.memory / 1024:.1f} KiB",
            " / ".join(f"{self.delay(percent):.1f}" for percent in (50, 95, 100)) + " s",
            f"{self.turn * 1000:.0f} ms ({self.work * 1000:.0f})",
            str(len(self.faults)),
        ]


def result(
    subject: str, ends: str, truth: Sequence[Mapping[str, Any]], seen: Mapping[str, Any], counts: Mapping[str, Any]
) -> Result:
    """Compare what the measured process received with the true outcomes."""
    events = list(zip(truth, seen["events"], strict=True))
    waited = sum((event[1] - event[0]) if event else (seen["ended"] - seen["began"]) for _, event in events)
    return Result(
        subject=subject,
        runs=len(truth),
        ends=ends,
        requests_per_minute=counts["requests"] / (seen["ended"] - seen["began"]) * 60,
        worst_minute=counts["worst_minute"],
        refused=counts["refused"],
        connections=counts["connections"],
        cpu=seen["cpu"] / waited * 60,
        memory=seen["memory"] / len(truth),
        turn=seen["turn"],
        work=seen["work"],
        delays=sorted(event[1] - run["ends_at"] for run, event in events if event),
        faults=[problem for problem in (fault(run, event) for run, event in events) if problem],
    )


def fault(run: Mapping[str, Any], event: Sequence[Any] | None) -> str | None:
    """Return what is wrong with the outcome of a run, if anything is."""
    if event is None:
        return f"run {run['id']}: none"
    _, at, status, message = event
    if status != run["status"]:
        return f"run {run['id']}: {status} instead of {run['status']}"
    if at < run["ends_at"]:
        return f"run {run['id']}: {run['ends_at'] - at:.3f} s too early"
    if run["message"] != message and run["message"] is not None:
        return f"run {run['id']}: message {message!r} instead of {run['message']!r}"
    return None


def table(results: Iterable[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(result.row() for result in results)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
