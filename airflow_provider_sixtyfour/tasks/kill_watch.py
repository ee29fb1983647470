"""
The thread that deals with a run once its task is killed.

A signal handler runs while the task is in the middle of something, which may hold any lock, that of the log included.
So the handler only wakes a thread, which asks Airflow, cancels and logs; and the task doesn't end before that is done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from airflow_provider_sixtyfour.runs.lifecycle import KILL_TRANSITIONS, KillEvent, KillState, next_state


class KillWatch:
    """Whether a task was killed, by the states of `runs.lifecycle`, and what is done about its run then."""

    def __init__(self) -> None:
        self.state = KillState.ALIVE
        self.is_watching = False
        self._wakes: SimpleQueue[bool] = SimpleQueue()  # its `put` is safe in a signal handler
        self._is_done = threading.Event()

    @contextmanager
    def watching(self, deal_with_it: Callable[[], KillEvent]) -> Iterator[None]:
        """
        Have a thread wait for a kill for as long as the block runs.

        :param deal_with_it: is called in that thread, once, and returns what became of the run.
        """
        # There before it is needed: a signal handler had better not start one.
        threading.Thread(target=self._follow, args=[deal_with_it], name="sixtyfour-kill", daemon=True).start()
        self.is_watching = True
        try:
            yield
        finally:
            self.is_watching = False
            self._wakes.put(False)
            self.until_decided()

    def on(self, event: KillEvent) -> bool:
        """Take in an event; return whether it has changed the state. Safe in a signal handler."""
        before, self.state = self.state, next_state(KILL_TRANSITIONS, self.state, event)
        return self.state is not before

    def wake(self) -> None:
        """Wake the thread, after a kill."""
        self._wakes.put(True)

    def until_decided(self) -> None:
        """Wait for the thread, if a kill has woken it."""
        if self.state is KillState.DECIDING:
            self._is_done.wait()

    def _follow(self, deal_with_it: Callable[[], KillEvent]) -> None:
        if not self._wakes.get():
            return
        try:
            self.on(deal_with_it())
        finally:
            self._is_done.set()


def sleep_in_steps(pause: float, *, check: Callable[[], object]) -> None:
    """
    Sleep, with a check at least each second.

    :param check: raises to end the sleep.
    """
    until = time.monotonic() + pause
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(1.0, left))
    check()
