"""
Atomic writes by a multipart upload: sent in parallel while the object is still being written, completed last.

Invariant: memory is bounded by what a `PartSenders` lets be under way, however large the object is and however slow
the store; parts that were sent are gone after ``discard`` or ``start_over``, or are those of a store that drops them
itself. An object that fits in one part is sent in one request, at the end.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, wait
from typing import Protocol

from airflow_provider_sixtyfour.storage.bounded_threads import BoundedThreads

log = logging.getLogger(__name__)

MIB = 1024 * 1024  # bytes
PART = 8 * MIB
UNDER_WAY = 4  # parts at a time, of all objects that share the senders


class PartStore(Protocol):
    """The multipart upload of one object. A part's number begins at 0."""

    most_parts: int
    in_order: bool  # whether a part may be sent only when the one before it has arrived
    version: object  # of what was published, as `current_version` gives it; ``None`` before, and where it isn't known

    def remove_leftovers(self) -> None:
        """Remove the parts that an earlier process has left for this object."""

    def put(self, data: bytes) -> None:
        """Publish a whole object in one request."""

    def begin(self) -> None:
        """Begin a multipart upload."""

    def send(self, number: int, data: bytes) -> None:
        """Send a part, never the last one; called from several threads unless ``in_order``."""

    def complete(self, count: int, last: bytes) -> None:
        """Publish the ``count`` parts that were sent and, if it isn't empty, a last one."""

    def abort(self) -> None:
        """Drop the upload, if one was begun, with all of its parts."""

    def current_version(self) -> object:
        """
        Return what identifies the object that is there; ``None`` if nothing does.

        :raises FileNotFoundError: if there is none.
        """

    def probe(self) -> None:
        """Do the least that shows whether an object can be written; leave nothing that a reader sees."""


class PartSenders(BoundedThreads):
    """
    The threads that send parts, and the bound on how many parts are in memory for it.

    :param under_way: that bound; each object that is being written holds one more part.
    """

    def __init__(self, under_way: int = UNDER_WAY) -> None:
        super().__init__(under_way, under_way, "sixtyfour-part")


class MultipartUpload:
    """
    An object that is uploaded in parts.

    :param size: bytes, where it is known; an object of more than ``PART`` times the store's number of parts gets
        larger ones.
    """

    def __init__(self, store: PartStore, senders: PartSenders, *, size: int | None) -> None:
        self._store = store
        self._senders = senders
        needed = -(-(size or 0) // store.most_parts)
        self._part_size = max(PART, -(-needed // MIB) * MIB)
        self._collected: list[bytes] = []
        self._collected_bytes = 0
        self._sent = 0
        self._under_way: set[Future[None]] = set()
        store.remove_leftovers()

    def write(self, chunk: bytes) -> None:
        """Take in a chunk; sends a part when there is more than one."""
        while (
            self._collected_bytes >= self._part_size
        ):  # not before there is more: the last part goes with the completion
            self._send_part()
        self._collected.append(chunk)
        self._collected_bytes += len(chunk)

    @property
    def version(self) -> object:
        """What identifies the object that was committed among all at its path; ``None`` if nothing does."""
        return self._store.version

    def start_over(self) -> None:
        """Drop what was sent."""
        self._stop()
        self._abort()
        self._sent = 0

    def commit(self) -> None:
        """Send what is left and complete the upload."""
        while self._collected_bytes > self._part_size:  # a chunk may be larger than a part
            self._send_part()
        if not self._sent:
            self._store.put(self._take(self._collected_bytes))
            return
        self._raise_errors(wait(self._under_way).done)
        self._under_way.clear()
        self._store.complete(self._sent, self._take(self._collected_bytes))

    def discard(self) -> None:
        """Drop what was sent."""
        self._stop()
        self._abort()

    def _abort(self) -> None:
        try:
            self._store.abort()
        except Exception as error:
            # No reason to give up: the error that brought us here is the one to see, or the file can be written all
            # the same. The next try removes what is left.
            log.warning("Parts of an upload may be left in the store: %s: %s", type(error).__name__, error)

    def _send_part(self) -> None:
        done = {sending for sending in self._under_way if sending.done()}
        self._under_way -= done
        self._raise_errors(done)
        if not self._sent:
            self._store.begin()
        elif self._store.in_order:
            self._raise_errors(wait(self._under_way).done)
        if self._sent + 1 >= self._store.most_parts:
            raise OSError(f"More than {self._store.most_parts} parts of {self._part_size} bytes can't be uploaded.")
        self._under_way.add(self._senders.submit(self._store.send, self._sent, self._take(self._part_size)))
        self._sent += 1

    def _take(self, size: int) -> bytes:
        whole = b"".join(self._collected)
        taken, rest = (whole, b"") if len(whole) == size else (whole[:size], whole[size:])
        self._collected = [rest] if rest else []
        self._collected_bytes = len(rest)
        return taken

    def _stop(self) -> None:
        """Wait for what is under way: a part that arrives after the upload was dropped would be left behind."""
        self._collected.clear()
        self._collected_bytes = 0
        for sending in self._under_way:
            sending.cancel()
        wait(self._under_way)
        self._under_way.clear()

    @staticmethod
    def _raise_errors(sendings: set[Future[None]]) -> None:
        for sending in sendings:
            sending.result()
