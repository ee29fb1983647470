"""
What the processes of an Airflow take while something runs on it: the most memory of one, and CPU time.

The memory is what the kernel notes as the most that a process has had resident (``VmHWM``), pages that it shares with
others included; it is sampled every second, and so misses what a process that ends between two samples adds in its
last one. CPU time is exact: it includes what ended processes have handed on to those that started them.
"""

from __future__ import annotations

import re
import threading
from collections import Counter, defaultdict
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil

PAUSE = 1.0  # seconds between two samples
TASK = "a task"
EXECUTOR = "an executor's process"
_ROLES = {
    TASK: re.compile(r"airflow worker -- [0-9a-f]{8}-"),
    EXECUTOR: re.compile(r"airflow worker -- LocalExecutor"),
    "API server": re.compile(r"airflow api[_-]server"),
    "scheduler": re.compile(r"airflow scheduler"),
    "triggerer": re.compile(r"airflow triggerer"),
    "Dag processor": re.compile(r"airflow dag-processor"),
    "PostgreSQL": re.compile(r"postgres"),
    "emulator": re.compile(r"airflow_provider_sixtyfour\.emulator"),
}


class Watch:
    """
    Looks at what this process has started, for as long as the block lasts.

    ``memory`` has the bytes of the largest process of each role, ``cpu`` the seconds of all of its processes; of the
    executor's, those of the tasks that they ran are included.
    """

    def __init__(self) -> None:
        self.memory: Counter[str] = Counter()
        self.cpu: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)

    def __enter__(self) -> Watch:
        for _, process in _processes():
            with suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # resets the peak
        self._cpu_before = _cpu()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.cpu = {role: seconds - self._cpu_before[role] for role, seconds in _cpu().items()}

    def _look_on(self) -> None:
        while not self._ended.wait(PAUSE):
            for role, process in _processes():
                self.memory[role] = max(self.memory[role], _most(process.pid))


def _processes() -> list[tuple[str, psutil.Process]]:
    """Return the processes below this one that have a role."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            role = next((role for role, pattern in _ROLES.items() if pattern.search(command)), None)
            if role is not None:
                found.append((role, process))
    return found


def _cpu() -> defaultdict[str, float]:
    """Return the seconds of CPU by role, so far."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for role, process in _processes():
        with suppress(psutil.Error):
            # Its own, in user and system mode, and the same of the ended processes that it had started.
            seconds[role] += sum(process.cpu_times()[:4])
    return seconds


def _most(pid: int) -> int:
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0
