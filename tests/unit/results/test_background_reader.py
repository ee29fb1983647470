"""A reader in the background: all chunks in their order, bounded, its error raised, its end prompt."""

import threading

import pytest

from airflow_provider_sixtyfour.results.background_reader import QUEUE_LIMIT, BackgroundReader

LIMIT = 10.0  # seconds


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "sixtyfour-background-reader"]


def test_chunks_are_read_in_their_order():
    reader = BackgroundReader(b"".join)
    for number in range(100):
        reader.feed(bytes([number]))
        reader.feed(b"")

    assert reader.finish() == bytes(range(100))
    reader.close()
    assert threads() == []


def test_without_a_chunk_there_is_a_result():
    assert BackgroundReader(b"".join).finish() == b""


def test_whoever_feeds_too_much_waits():
    gate = threading.Event()

    def read(chunks):
        gate.wait(LIMIT)
        return sum(map(len, chunks))

    reader = BackgroundReader(read)
    feeding = threading.Thread(target=lambda: [reader.feed(b"x") for _ in range(QUEUE_LIMIT + 1)], daemon=True)
    feeding.start()
    feeding.join(0.2)
    assert feeding.is_alive()

    gate.set()
    feeding.join(LIMIT)
    assert not feeding.is_alive()
    assert reader.finish() == QUEUE_LIMIT + 1


@pytest.mark.parametrize("fails", [True, False], ids=["that fails", "that returns early"])
def test_nobody_waits_for_a_reader(fails):
    def read(chunks):
        first = next(chunks)
        if fails:
            raise ZeroDivisionError
        return first

    reader = BackgroundReader(read)
    for _ in range(3 * QUEUE_LIMIT):
        reader.feed(b"x")

    if fails:
        with pytest.raises(ZeroDivisionError):
            reader.finish()
    else:
        assert reader.finish() == b"x"
    assert threads() == []


def test_closing_drops_what_waits():
    gate = threading.Event()
    read = []

    def slowly(chunks):
        for chunk in chunks:
            read.append(chunk)
            gate.wait(LIMIT)

    reader = BackgroundReader(slowly)
    for _ in range(4):
        reader.feed(b"x")
    threading.Timer(0.2, gate.set).start()
    reader.close()

    assert len(read) <= 1
    assert threads() == []
