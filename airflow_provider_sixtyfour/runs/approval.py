"""Whether somebody has to agree before credits are spent: an estimate against limits, and the text that is asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError

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

        :raises SixtyfourInputError: if one is neither; and if both are missing, so that nobody would ever be asked.
        """
        if rows is None and cost is None:
            raise SixtyfourInputError("Give approve_above_rows or approve_above_credits: else nobody is ever asked.")
        return cls(_number(rows, "approve_above_rows"), _number(cost, "approve_above_credits"))


class Spending(NamedTuple):
    """
    What would be spent, by an estimate.

    :param rows: that would be paid for.
    :param cost: the median, ``None`` if no run says so.
    :param lowest: of it, and ``highest``.
    :param metric: in what it is counted.
    :param runs: how many runs say so.
    :param balance: what is left, where the API gives it.
    """

    rows: int
    cost: float | None
    lowest: float | None
    highest: float | None
    metric: str
    runs: int
    balance: float | None

    @classmethod
    def read(cls, estimate: Any) -> Spending:
        """
        Read what `SixtyfourEstimateCostOperator` returned.

        :raises SixtyfourInputError: if it is something else.
        """
        match estimate:
            case {"rows": int(rows), "cost": cost, "metric": str(metric), "runs": int(runs)}:
                balance = estimate.get("balance")
                match cost:
                    case None:
                        return cls(rows, None, None, None, metric, runs, balance)
                    case {"median": float() | int(), "lowest": float() | int(), "highest": float() | int()}:
                        found = cost["median"], cost["lowest"], cost["highest"]
                        return cls(rows, *found, metric, runs, balance)
        raise SixtyfourInputError(
            f"estimate should be what SixtyfourEstimateCostOperator returns, not {estimate!r:.120}."
        )

    def exceeds(self, limits: Limits) -> str | None:
        """Say which limit is exceeded; ``None`` if none is. An unknown cost exceeds any limit of it."""
        if self.rows == 0:
            return None
        if limits.rows is not None and self.rows > limits.rows:
            return f"{self.rows:,} rows are more than approve_above_rows ({limits.rows:,.0f})"
        if limits.cost is None:
            return None
        if self.cost is None:
            return f"the cost is unknown, and approve_above_credits is {limits.cost:,g}"
        if self.cost > limits.cost:
            return f"about {self.cost:,.2f} {self.metric} are more than approve_above_credits ({limits.cost:,g})"
        return None

    def question(self) -> str:
        """Return what is asked, in one line."""
        cost = "an unknown cost" if self.cost is None else f"about {self.cost:,.2f} {self.metric}"
        return f"Enrich {self.rows:,} rows for {cost}?"

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
                f"Estimated from {self.runs:,} completed runs of the workflow: {self.lowest:,.2f} to "
                f"{self.highest:,.2f} {self.metric}."
            )
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


def _number(value: Any, name: str) -> float | None:
    if value is None or value in ("", "None"):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 <= number < float("inf"):
        raise SixtyfourInputError(f"{name} should be a number, 0 or more, not {value!r:.60}.")
    return number
