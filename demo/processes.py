"""
Processes that end with the block that started them.

What holds: when ``with Processes(...) as processes`` is left, whether by its end, an exception, SIGINT, SIGTERM
or SIGHUP, no process started through it is alive, nor any that those started. Nothing else on the machine is signalled.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil

STOP_GRACE = 15.0  # seconds from SIGTERM to SIGKILL; an idle Airflow needs about 7


class ProcessDiedError(RuntimeError):
    """A process that should have kept running has ended; the message ends with the last lines of its log."""


def free_ports(count: int) -> list[int]:
    """Return ``count`` different ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Processes:
    """Starts processes, each with its output in ``<log_dir>/<name>.log``, and stops them all together."""

    def __init__(self, log_dir: Path) -> None:
        self.log_dir = log_dir
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Processes:
        self.log_dir.mkdir(parents=True, exist_ok=True)
        # By default these end Python on the spot, without leaving the block.
        self._handlers_before = {n: signal.signal(n, _interrupt) for n in (signal.SIGTERM, signal.SIGHUP)}
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._handlers_before.items():
                signal.signal(number, handler)

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> int:
        """Start ``command`` without a terminal or input and return its process id."""
        with self.log_path(name).open("wb") as log, _signals_held():
            self._started[name] = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C in the terminal reaches us alone, so that we decide in which order
                # things end, and whatever the process starts can be identified by that session's id.
                start_new_session=True,
            )
        return self._started[name].pid

    def finish(self, name: str, limit: float) -> None:
        """Wait at most ``limit`` seconds for a process to end by itself; raise ``ProcessDiedError`` if it failed."""
        if self._started[name].wait(limit) != 0:
            self.require_alive()
        del self._started[name]

    def log_path(self, name: str) -> Path:
        """Return where the output of ``name`` goes."""
        return self.log_dir / f"{name}.log"

    def require_alive(self) -> None:
        """Raise ``ProcessDiedError`` if any process has ended."""
        for name, process in self._started.items():
            if process.poll() is not None:
                tail = self.log_path(name).read_text(errors="replace").splitlines()[-30:]
                lines = "\n  ".join(tail)
                raise ProcessDiedError(f"{name} ended with code {process.returncode}; its last lines:\n  {lines}")

    def stop(self) -> None:
        """End everything: SIGTERM, a bounded wait, then SIGKILL to what is left, grandchildren included."""
        with _signals_held():
            for process in self._started.values():
                process.terminate()
            deadline = time.monotonic() + STOP_GRACE
            for process in self._started.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.0, deadline - time.monotonic()))
            # An orphan keeps its session's id, and the kernel gives out no pid that is still in use as one.
            for process in self._started.values():
                for pid in _session_members(process.pid):
                    _kill(pid)
                process.wait()
            self._started.clear()


def _session_members(session: int) -> list[int]:
    """Return the ids of the processes in ``session``, zombies aside."""
    members = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getsid(process.pid) == session and process.info["status"] != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
        except OSError:  # ended meanwhile, or not ours to inspect
            continue
    return members


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


@contextmanager
def _signals_held() -> Iterator[None]:
    """
    Put off the signals that ask us to end to the end of the block.

    Between the fork and the note of its id a process could escape us, and a second Ctrl-C must not cut the stopping
    short. Handlers rather than a signal mask: a child would inherit the mask.
    """
    arrived: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: arrived.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for held, handler in before.items():
            signal.signal(held, handler)
        for number in arrived:
            signal.raise_signal(number)
