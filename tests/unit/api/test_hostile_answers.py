"""One hostile answer affects one wait: the other 300 end, the loop keeps running and memory doesn't grow."""

from __future__ import annotations

import pytest

from tests.unit.api.hostile import MIB, TIMES, TRICKLING, WAITS, kinds, measured


@pytest.mark.parametrize("kind", kinds())
def test_a_hostile_answer_costs_little(kind: str):
    cost = measured(kind)
    assert cost.ended == WAITS
    if kind != "none":
        assert cost.timed_out == TRICKLING
        # What passes the bounds of a list is read as one, and is over those of a live status.
        assert cost.unreadable == (TIMES if kind == "wide" else 2 * TIMES)
    assert cost.stall < 0.25
    assert cost.parsing < 0.25
    assert cost.grown < 64 * MIB
