from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from airflow_provider_sixtyfour.storage.multipart import MIB, PART, MultipartUpload, PartSenders

LIMIT = 10.0  # seconds


class FakeStore:
    """A store that records its calls; it fails or waits where a test sets that."""

    def __init__(self, *, most_parts: int = 10_000, in_order: bool = False) -> None:
        self.most_parts = most_parts
        self.in_order = in_order
        self.events: list[str] = []
        self.parts: dict[int, bytes] = {}
        self.published: bytes | None = None
        self.version: object = None
        self.fails_at: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.most_at_once = self._now = 0
        self._lock = threading.Lock()

    def remove_leftovers(self) -> None:
        self.events.append("remove leftovers")

    def put(self, data: bytes) -> None:
        self.events.append("put")
        self.published = data

    def begin(self) -> None:
        self.events.append("begin")
        self.parts = {}

    def send(self, number: int, data: bytes) -> None:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            assert self.gate.wait(LIMIT)
            if number == self.fails_at:
                raise OSError("no space")
            self.parts[number] = data
        finally:
            with self._lock:
                self._now -= 1

    def complete(self, count: int, last: bytes) -> None:
        self.events.append("complete")
        assert sorted(self.parts) == list(range(count))
        self.published = b"".join(self.parts[number] for number in range(count)) + last

    def abort(self) -> None:
        self.events.append("abort")

    def current_version(self) -> object:
        return self.version

    def probe(self) -> None:
        self.events.append("probe")


@pytest.fixture
def senders() -> Iterator[PartSenders]:
    made = PartSenders(under_way=3)
    yield made
    made.close()


def content(size: int) -> bytes:
    return bytes(range(251)) * (size // 251) + b"x" * (size % 251)


def write(publication: MultipartUpload, data: bytes, chunk: int = MIB) -> None:
    for start in range(0, len(data), chunk):
        publication.write(data[start : start + chunk])


@pytest.mark.parametrize("chunk", [MIB, 999_983, 3 * PART + 1])
@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART, 4 * PART + 17])
@pytest.mark.parametrize("in_order", [False, True])
def test_what_is_written_is_published(senders: PartSenders, size: int, chunk: int, in_order: bool):
    store, data = FakeStore(in_order=in_order), content(size)
    publication = MultipartUpload(store, senders, size=None)
    write(publication, data, chunk)
    assert store.published is None
    publication.commit()
    assert store.published == data
    assert {len(part) for part in store.parts.values()} <= {PART}
    assert store.events == (["remove leftovers", "put"] if size <= PART else ["remove leftovers", "begin", "complete"])


def test_parts_are_sent_while_more_is_written_and_in_parallel(senders: PartSenders):
    store = FakeStore()
    store.gate.clear()
    publication = MultipartUpload(store, senders, size=None)
    write(publication, content(3 * PART + 1))
    until(lambda: store.most_at_once == 3)
    store.gate.set()
    publication.commit()
    assert len(store.parts) == 3


def test_who_is_faster_than_the_store_waits(senders: PartSenders):
    store = FakeStore()
    store.gate.clear()
    publication = MultipartUpload(store, senders, size=None)
    writer = threading.Thread(target=write, args=[publication, content(9 * PART)], daemon=True)
    writer.start()
    until(lambda: store.most_at_once == 3)
    writer.join(0.2)
    assert writer.is_alive()
    store.gate.set()
    writer.join(LIMIT)
    publication.commit()
    assert store.most_at_once == 3
    assert store.published == content(9 * PART)


def test_in_order_the_next_part_waits_for_the_last(senders: PartSenders):
    store = FakeStore(in_order=True)
    publication = MultipartUpload(store, senders, size=None)
    write(publication, content(5 * PART))
    publication.commit()
    assert store.most_at_once == 1


def test_a_part_that_fails_is_raised_and_the_rest_is_dropped(senders: PartSenders):
    store = FakeStore()
    store.fails_at = 1
    publication = MultipartUpload(store, senders, size=None)
    with pytest.raises(OSError, match="no space"):
        write(publication, content(50 * PART), PART)
    publication.discard()
    assert store.events == ["remove leftovers", "begin", "abort"]
    assert store.published is None


def test_a_last_part_that_fails_is_raised(senders: PartSenders):
    store = FakeStore()
    store.fails_at = 0
    publication = MultipartUpload(store, senders, size=None)
    write(publication, content(PART + 1))
    with pytest.raises(OSError, match="no space"):
        publication.commit()
    assert "complete" not in store.events


def test_nothing_is_dropped_while_a_part_is_under_way(senders: PartSenders):
    """A part that arrived after the end of its upload would stay in the store for good."""
    store = FakeStore()
    store.gate.clear()
    publication = MultipartUpload(store, senders, size=None)
    write(publication, content(2 * PART + 1))
    until(lambda: store.most_at_once == 2)
    discarding = threading.Thread(target=publication.discard, daemon=True)
    discarding.start()
    discarding.join(0.2)
    assert "abort" not in store.events
    store.gate.set()
    discarding.join(LIMIT)
    assert store.events[-1] == "abort"


def test_starting_over(senders: PartSenders):
    store = FakeStore()
    publication = MultipartUpload(store, senders, size=None)
    write(publication, content(3 * PART))
    publication.start_over()
    write(publication, content(PART + 5))
    publication.commit()
    assert store.published == content(PART + 5)
    assert store.events == ["remove leftovers", "begin", "abort", "begin", "complete"]


def test_a_large_object_gets_larger_parts(senders: PartSenders):
    store = FakeStore(most_parts=4)
    publication = MultipartUpload(store, senders, size=5 * PART)
    write(publication, content(5 * PART))
    publication.commit()
    assert store.published == content(5 * PART)
    assert len(store.parts) < 4
    assert {len(part) % MIB for part in store.parts.values()} == {0}


def test_more_parts_than_the_store_takes_are_an_error(senders: PartSenders):
    store = FakeStore(most_parts=2)
    publication = MultipartUpload(store, senders, size=None)
    with pytest.raises(OSError, match="More than 2 parts"):
        write(publication, content(4 * PART))


def test_an_abort_that_fails_hides_no_error(senders: PartSenders, caplog: pytest.LogCaptureFixture):
    class Stubborn(FakeStore):
        def abort(self) -> None:
            raise OSError("not now")

    publication = MultipartUpload(Stubborn(), senders, size=None)
    publication.discard()
    assert "may be left in the store: OSError: not now" in caplog.text


def test_an_abort_that_fails_keeps_nothing_from_starting_over(senders: PartSenders):
    class Stubborn(FakeStore):
        def abort(self) -> None:
            raise PermissionError("not allowed")

    store = Stubborn()
    publication = MultipartUpload(store, senders, size=None)
    write(publication, content(3 * PART))
    publication.start_over()
    write(publication, content(2 * PART + 5))
    publication.commit()
    assert store.published == content(2 * PART + 5)


def until(condition: object) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
