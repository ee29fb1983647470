"""Work beside: in order, bounded, its error told, its end prompt."""

import threading

import pytest

from airflow_provider_sixtyfour.results.background_worker import QUEUE_LIMIT, BackgroundWorker

LIMIT = 10.0  # seconds


@pytest.fixture
def gate():
    return threading.Event()


def test_pieces_are_worked_on_in_their_order():
    done = []
    beside = BackgroundWorker(done.append)
    for number in range(100):
        beside.feed(bytes([number]))
    beside.finish()

    assert b"".join(done) == bytes(range(100))


def test_who_brings_too_much_waits(gate):
    beside = BackgroundWorker(lambda _: gate.wait(LIMIT))
    bringing = threading.Thread(
        target=lambda: [beside.feed(b"x") for _ in range(QUEUE_LIMIT + 2)], daemon=True
    )  # one is worked on
    bringing.start()
    bringing.join(0.2)
    assert bringing.is_alive()

    gate.set()
    bringing.join(LIMIT)
    assert not bringing.is_alive()
    beside.finish()


def test_an_error_is_told_and_nobody_waits_for_room():
    def fail(chunk):
        raise ZeroDivisionError

    beside = BackgroundWorker(fail)

    def bring():
        for _ in range(QUEUE_LIMIT * 3):
            beside.feed(b"x")

    with pytest.raises(ZeroDivisionError):
        bring()
    with pytest.raises(ZeroDivisionError):
        beside.finish()
    beside.close()


def test_closing_drops_what_waits(gate):
    done = []

    def work(chunk):
        done.append(chunk)
        gate.wait(LIMIT)

    beside = BackgroundWorker(work)
    for _ in range(4):
        beside.feed(b"x")
    threading.Timer(0.2, gate.set).start()
    beside.close()

    assert len(done) <= 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sixtyfour-background-worker")]
