"""Whether somebody has to agree before credits are spent: an estimate against limits, and the text that is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.inputs.limits import read_limit
from airflow_provider_sixtyfour.runs.pilot import described

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&])")


class Limits(NamedTuple):
    """
    Above what somebody is asked; ``None`` for no limit.

    :param rows: that would be paid for.
    :param cost: of the median estimate, in the metric that it is made of.
    """

    rows: float | None
    cost: float | None

    @classmethod
    def read(cls, rows: Any, cost: Any) -> Limits:
        """
        Read them, numbers or their text.

        :raises SixtyfourInputError: if one is neither; and if there is none, also after templates are rendered, so
            that nobody would be asked.
        """
        limits = cls(
            read_limit(rows, "approve_above_rows", "rows"), read_limit(cost, "approve_above_credits", "credits")
        )
        if limits == (None, None):
            raise SixtyfourInputError("Give approve_above_rows or approve_above_credits: else nobody is ever asked.")
        return limits


class Spending(NamedTuple):
    """
    What would be spent, by an estimate.

    :param rows: that would be paid for.
    :param cost: the median, ``None`` if no run says so.
    :param lowest: of it, and ``highest``.
    :param metric: in what it is counted.
    :param runs: how many runs say so.
    :param balance: what is left, where the API gives it.
    :param pilot: the fill rates of the pilot's results, as people read them; ``None`` if there was none.
    """

    rows: int
    cost: float | None
    lowest: float | None
    highest: float | None
    metric: str
    runs: int
    balance: float | None
    pilot: str | None = None

    @classmethod
    def read(cls, estimate: Any) -> Spending:
        """
        Read what `SixtyfourEstimateCostOperator` returned.

        :raises SixtyfourInputError: if it is something else.
        """
        match estimate:
            case {"rows": int(rows), "cost": cost, "metric": str(metric), "runs": int(runs)} if rows >= 0:
                [balance] = _finite(estimate, "balance")
                median, lowest, highest = _finite(cost, "median", "lowest", "highest")
                if lowest is None or highest is None:
                    median = None  # not an estimate of ours: an unknown cost, which exceeds any limit
                return cls(rows, median, lowest, highest, metric, runs, balance, _of_pilot(estimate.get("pilot")))
        raise SixtyfourInputError(
            f"estimate should be what SixtyfourEstimateCostOperator returns, not {estimate!r:.120}."
        )

    def __str__(self) -> str:
        cost = "an unknown cost" if self.cost is None else f"about {self.cost:,.2f} {self.metric}"
        return f"{_count(self.rows, 'row')} for {cost}"

    def exceeds(self, limits: Limits) -> str | None:
        """Return which limit is exceeded; ``None`` if none is. An unknown cost exceeds any limit of it."""
        if self.rows == 0:
            return None
        if limits.rows is not None and self.rows > limits.rows:
            return f"{_count(self.rows, 'row')} would be paid for, above approve_above_rows ({limits.rows:,g})"
        if limits.cost is None:
            return None
        if self.cost is None:
            return f"the cost is unknown, and approve_above_credits is {limits.cost:,g}"
        if self.cost > limits.cost:
            return (
                f"about {self.cost:,.2f} {self.metric} would be spent, above approve_above_credits ({limits.cost:,g})"
            )
        return None

    def question(self) -> str:
        """Return what is asked, in one line."""
        return f"Enrich {self}?"

    def explanation(self, reason: str) -> str:
        """
        Return what is shown to whoever decides, as Markdown in which no name can be markup.

        :param reason: which limit is exceeded.
        """
        lines = [f"Asked since {reason}."]
        if self.cost is None:
            lines.append(f"No completed run of the workflow says what a row costs in {self.metric}.")
        else:
            lines.append(
                f"Estimated from {_count(self.runs, 'completed run')} of the workflow: {self.lowest:,.2f} to "
                f"{self.highest:,.2f} {self.metric}."
            )
        if self.pilot is not None:
            lines.append(self.pilot)
        if self.balance is not None:
            lines.append(f"Balance: {self.balance:,.2f} credits.")
        lines.append("Rows whose results are at the destination are not counted: they are not paid for again.")
        return "\n\n".join(_MARKDOWN.sub(r"\\\1", line) for line in lines)

    def decided(self, *, approved: bool, asked: bool, by: Any = None, at: Any = None) -> dict[str, Any]:
        """Return what was decided, at which price and by whom, as JSON types."""
        user = by.get("name") or by.get("id") if isinstance(by, Mapping) else by
        return {
            "approved": approved,
            "asked": asked,
            "by": None if user is None else str(user),
            "at": None if at is None else at.isoformat() if hasattr(at, "isoformat") else str(at),
            "rows": self.rows,
            "cost": self.cost,
            "metric": self.metric,
        }


def _finite(values: Any, *names: str) -> list[float | None]:
    """Return the numbers of these names; ``None`` for each that is missing, no number, or absurdly large."""
    found = [values.get(name) if isinstance(values, Mapping) else None for name in names]
    return [each if isinstance(each, int | float) and abs(each) < 2**63 else None for each in found]


def _of_pilot(pilot: Any) -> str | None:
    match pilot:
        case {"rows": int(rows), "fill_rates": Mapping() as rates}:
            shares = {str(name): share for name, share in rates.items() if isinstance(share, int | float)}
            return f"The pilot has {_count(rows, 'row')}. Values that are filled: {described(shares) or 'unknown'}."
    return None


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
