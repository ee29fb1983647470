"""
The cluster, once for the session, and tests that run at the same time.

A test that is marked ``together`` takes the fixture ``cluster`` alone, besides its parameters. The first one of a group
starts them all, each in a thread; then each reports what came of it. So a group takes as long as its slowest test, and
no other test runs before all of them have ended: others kill what these run on. A test with many tasks begins ``after``
so many seconds, when the tasks of the others have started: two cores can't start them all at once.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from demo.processes import Processes
from tests.cluster.case import Case
from tests.cluster.cluster import FLEET, Cluster, start_cluster
from tests.cluster.dag_ids import DAYS_CONNECTION, MODES, WATCHED_CONNECTION, usual
from tests.cluster.fleet import Replaceable
from tests.cluster.services import Services, require_installed, start_services
from tests.emulator_process import EmulatorProcess

ROOT = Path(__file__).resolve().parents[2]
OUTAGES = ("down", "broken", "busy")  # each with an API of its own, so that nobody else is disturbed
EMULATOR = ("--run-seconds", "1", "--queue-seconds", "0.1", "--requests-per-minute", "0")
AT_ONCE = 40  # tests of a group
PAUSE = 0.7  # seconds between the starts of two: a task takes that much of a processor to start


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "together(group, after=0): all tests of the group run at the same time, this one from `after` s on"
    )
    config.stash[_RUNNING] = {}


_RUNNING = pytest.StashKey[dict[str, Future[None]]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First the tests with an Airflow of their own, then each group's side by side, then those that run alone."""

    def place(item: pytest.Item) -> tuple[bool, bool, str]:
        needs_cluster = isinstance(item, pytest.Function) and "cluster" in item.fixturenames
        return needs_cluster, _group(item) is None, _group(item) or ""

    items.sort(key=place)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is marked ``together`` along with its group; ``None`` lets pytest run any other."""
    group = _group(pyfuncitem)
    if group is None:
        return None
    running = pyfuncitem.config.stash[_RUNNING]
    if pyfuncitem.nodeid not in running:
        executor = ThreadPoolExecutor(AT_ONCE)
        for item in pyfuncitem.session.items:
            if isinstance(item, pytest.Function) and _group(item) == group:
                parameters = item.callspec.params if hasattr(item, "callspec") else {}
                arguments: dict[str, Any] = {"cluster": pyfuncitem.funcargs["cluster"], **parameters}
                running[item.nodeid] = executor.submit(_run, _after(item), item.obj, **arguments)
                time.sleep(PAUSE)
    running[pyfuncitem.nodeid].result()
    return True


def _run(after: float, test: Callable[..., None], **arguments: Any) -> None:
    time.sleep(after)
    test(**arguments)


def _after(item: pytest.Item) -> float:
    marker = item.get_closest_marker("together")
    return float(marker.kwargs.get("after", 0)) if marker else 0.0


def _group(item: pytest.Item) -> str | None:
    marker = item.get_closest_marker("together")
    return None if marker is None else str(marker.args[0])


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A temporary folder outside the clone, which the user that PostgreSQL runs as may not enter."""
    path = Path(tempfile.mkdtemp(prefix="sixtyfour-cluster-", dir="/tmp"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def services(folder: Path) -> Iterator[Services]:
    """PostgreSQL and Redis."""
    require_installed()
    with Processes(folder / "services") as processes:
        yield start_services(processes, folder)


@pytest.fixture(scope="session")
def cluster(services: Services, folder: Path) -> Iterator[Cluster]:
    """The cluster, healthy, with its Dags unpaused."""
    with ExitStack() as stack:
        emulators = {"sixtyfour_default": stack.enter_context(EmulatorProcess(*EMULATOR))}
        for name in (*(f"sixtyfour_{outage}" for outage in OUTAGES), DAYS_CONNECTION, WATCHED_CONNECTION):
            emulators[name] = stack.enter_context(EmulatorProcess(*EMULATOR))
        processes = stack.enter_context(Replaceable(folder / "airflow" / "processes"))
        running = start_cluster(processes, services, folder / "airflow", emulators)
        warm_up(running)
        yield running


def warm_up(cluster: Cluster) -> None:
    """Run a few tasks: the first ones in a process load what takes half a minute on a busy machine."""
    cases = [Case(cluster, usual(mode), 10.0).start() for mode in MODES for _ in range(FLEET)]
    for case in cases:
        assert case.wait_for_end() == "success", case.explain()
