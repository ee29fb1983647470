"""
What hostile answers cost a triggerer: ``python -m benchmarks.hostile_answers``, without arguments.

300 waits in one event loop, next to six answers that trickle a byte a second and, by turns: a megabyte of gzip
that holds a gigabyte; a list of a million rows (plain, and small enough to be compressed under the bound in bytes);
and the answer that takes the most memory of those that pass all bounds.
"""

from __future__ import annotations

from tests.unit.api.hostile import MIB, WAITS, kinds, measured


def main() -> None:
    """Measure and print one line for each kind."""
    print(f"{WAITS} waits next to:    longest turn  longest parse  loop late by  memory   waits ended")
    for kind in kinds():
        cost = measured(kind)
        figures = f"{cost.stall * 1000:9.0f} ms {cost.parsing * 1000:11.0f} ms {cost.late * 1000:10.0f} ms"
        print(f"{kind:<20}{figures} {cost.grown / MIB:+6.0f} MiB {cost.ended:>10}")


if __name__ == "__main__":
    main()
