"""
Processes that are there in numbers and can be lost: killed, stopped, frozen, and replaced.

What holds: a signal goes to a process that was started here and to what that one started, and to nothing else.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psutil

from demo.processes import Processes
from tests.cluster.waiting import eventually

TERMINATION_LIMIT = 60.0  # seconds for a process to end after SIGTERM


class Replaceable(Processes):
    """Processes of which single ones may end before the others."""

    def kill(self, name: str) -> None:
        """End a process and all that it started with SIGKILL, as a machine that loses its power does."""
        process = self._started.pop(name)
        process.send_signal(signal.SIGSTOP)  # so that it starts no other meanwhile
        while members := _session(process.pid):
            for pid in members:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()

    def terminate(self, name: str) -> None:
        """End a process with SIGTERM, as a rolling update does, and wait until it has ended."""
        process = self._started[name]
        process.terminate()
        eventually(f"{name} ends after SIGTERM", lambda: process.poll() is not None, TERMINATION_LIMIT)
        self.kill(name)  # what it may have left behind

    def is_under(self, name: str, pid: int) -> bool:
        """Whether a process is this one or was started by it."""
        return os.getsid(pid) == self._started[name].pid

    def freeze(self, name: str) -> None:
        """Stop a process and all that it started where they are, as a machine that hangs does."""
        for pid in _session(self._started[name].pid):
            os.kill(pid, signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process continue."""
        for pid in _session(self._started[name].pid):
            os.kill(pid, signal.SIGCONT)


class Single:
    """A process of which there is one at a time."""

    def __init__(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], processes: Replaceable
    ) -> None:
        self._name = name
        self._command = command
        self._environment = environment
        self._processes = processes

    def start(self) -> None:
        """Start it, for the first time or again."""
        self._processes.start(self._name, self._command, self._environment)

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._processes.kill(self._name)


class Fleet:
    """
    Processes that run the same command, each under a name of its own, which replaces ``{name}`` in it.

    ``labels`` is for whoever uses the fleet: a name's job id.
    """

    def __init__(
        self, kind: str, command: Sequence[str], environment: Mapping[str, str], processes: Replaceable
    ) -> None:
        self.labels: dict[str, int] = {}
        self.names: list[str] = []
        self._kind = kind
        self._command = command
        self._environment = environment
        self._processes = processes
        self._started = 0

    def start_one(self) -> str:
        """Start another and return its name."""
        self._started += 1
        name = f"{self._kind}-{self._started}"
        self._processes.start(name, [part.format(name=name) for part in self._command], self._environment)
        self.names.append(name)
        return name

    def kill(self, name: str) -> None:
        """End one with SIGKILL."""
        self._processes.kill(name)
        self.names.remove(name)

    def terminate(self, name: str) -> None:
        """End one with SIGTERM."""
        self._processes.terminate(name)
        self.names.remove(name)

    def freeze(self, name: str) -> None:
        """Stop one where it is."""
        self._processes.freeze(name)

    def thaw(self, name: str) -> None:
        """Let a frozen one continue."""
        self._processes.thaw(name)

    def labelled(self, label: int) -> str:
        """Return the name of the living one with this label."""
        return next(name for name in self.names if self.labels.get(name) == label)

    def running(self, pid: int) -> str:
        """Return the name of the one that started a process."""
        return next(name for name in self.names if self._processes.is_under(name, pid))


def _session(leader: int) -> list[int]:
    """Return the ids of the processes in a session, zombies aside."""
    members = []
    for process in psutil.process_iter(["status"]):
        with suppress(OSError):
            if os.getsid(process.pid) == leader and process.info["status"] != psutil.STATUS_ZOMBIE:
                members.append(process.pid)
    return members
