"""Threads that take a bounded amount of work: who has more of it waits, so that memory is bounded too."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class BoundedThreads:
    """
    Threads to submit work to; call `close` in the end.

    :param threads: how many there are. One works in the order in which it was submitted.
    :param under_way: how many pieces of work are waiting or being worked on at most.
    :param name: what the threads' names begin with.
    """

    def __init__(self, threads: int, under_way: int, name: str) -> None:
        self._slots = threading.BoundedSemaphore(under_way)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)

    def submit(self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> Future[T]:
        """Have a function called as soon as a thread is free; wait here while there is enough under way."""
        self._slots.acquire()
        try:
            submitted = self._threads.submit(work, *args, **options)
        except BaseException:
            self._slots.release()
            raise
        submitted.add_done_callback(lambda _: self._slots.release())
        return submitted

    def close(self) -> None:
        """End the threads, once all that was submitted is done."""
        self._threads.shutdown()
