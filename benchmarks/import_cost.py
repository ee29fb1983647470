"""
Measure what a Dag file that imports every operator adds to ``import airflow.sdk``, in milliseconds.

Each import runs in an interpreter of its own, timed from the moment when ``airflow.sdk`` is there, so that the seconds
which that takes, and their noise, stay outside. The candidates take turns, so that a change in the machine's load
meets all of them alike. Printed is the median over the rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from airflow_provider_sixtyfour.get_provider_info import get_provider_info

GOAL = 30.0  # ms that this provider may add
ROUNDS = 11
INFO = get_provider_info()
# Its base class is Airflow's and loads Airflow's human-in-the-loop modules, which only Dags that ask for approval need.
APPROVAL = "airflow_provider_sixtyfour.operators.approval"
HUMAN_IN_THE_LOOP = "airflow.providers.standard.operators.hitl"
MODULES = [
    *(
        module
        for kind in ("operators", "sensors")
        for each in INFO[kind]
        for module in each["python-modules"]
        if module != APPROVAL
    ),
    *(each["python-module"] for each in INFO["transfers"]),
    "airflow_provider_sixtyfour.task_groups.enrichment",
]
OURS = "this provider: operators, sensors, transfers, task group"
WITH_APPROVAL = "the same and the approval operator"
CANDIDATES = {
    OURS: MODULES,
    WITH_APPROVAL: [*MODULES, APPROVAL],
    HUMAN_IN_THE_LOOP: [HUMAN_IN_THE_LOOP],
    "requests": ["requests"],
    "airflow.providers.standard.operators.bash": ["airflow.providers.standard.operators.bash"],
}
CLOCK = "import time, airflow.sdk; began = time.perf_counter(); import {}; print((time.perf_counter() - began) * 1000)"


def milliseconds(modules: list[str], airflow_home: str) -> float:
    """Return how long it takes a new interpreter that has ``airflow.sdk`` to import ``modules``."""
    command = [sys.executable, "-c", CLOCK.format(", ".join(modules))]
    # An installed package has its bytecode next to it, so this one may write its own.
    environment = {**os.environ, "AIRFLOW_HOME": airflow_home, "PYTHONDONTWRITEBYTECODE": ""}
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def measure(rounds: int) -> dict[str, list[float]]:
    """Return each candidate's milliseconds, one number a round; the first round compiles and warms the disk cache."""
    with tempfile.TemporaryDirectory() as home:
        taken = [{name: milliseconds(modules, home) for name, modules in CANDIDATES.items()} for _ in range(rounds + 1)]
    return {name: [each[name] for each in taken[1:]] for name in CANDIDATES}


def main() -> int:
    """Print the table; return 1 if this provider is over its goal."""
    parser = argparse.ArgumentParser(description="Measure what importing this provider adds to `import airflow.sdk`.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    print(f"added to `import airflow.sdk`: median of {rounds} rounds (quartiles)")
    medians = {}
    for name, values in measure(rounds).items():
        low, medians[name], high = statistics.quantiles(values, n=4)
        print(f"  {name:<46} {medians[name]:6.1f} ms  ({low:.1f} to {high:.1f})")
    print(f"goal for this provider: {GOAL:.0f} ms at most")
    return 0 if medians[OURS] <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
