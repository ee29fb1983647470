"""Work in the background: in order and bounded; its error is raised, and it ends promptly."""

import threading

import pytest

from airflow_provider_sixtyfour.results.background_worker import QUEUE_LIMIT, BackgroundWorker

LIMIT = 10.0  # seconds


@pytest.fixture
def gate():
    return threading.Event()


def test_chunks_are_worked_on_in_their_order():
    done = []
    worker = BackgroundWorker(done.append)
    for number in range(100):
        worker.feed(bytes([number]))
    worker.finish()

    assert b"".join(done) == bytes(range(100))


def test_a_producer_that_is_too_fast_waits(gate):
    worker = BackgroundWorker(lambda _: gate.wait(LIMIT))
    producer = threading.Thread(
        target=lambda: [worker.feed(b"x") for _ in range(QUEUE_LIMIT + 2)], daemon=True
    )  # one is worked on
    producer.start()
    producer.join(0.2)
    assert producer.is_alive()

    gate.set()
    producer.join(LIMIT)
    assert not producer.is_alive()
    worker.finish()


def test_an_error_is_raised_and_nobody_waits_for_room():
    def fail(chunk):
        raise ZeroDivisionError

    worker = BackgroundWorker(fail)

    def produce():
        for _ in range(QUEUE_LIMIT * 3):
            worker.feed(b"x")

    with pytest.raises(ZeroDivisionError):
        produce()
    with pytest.raises(ZeroDivisionError):
        worker.finish()
    worker.close()


def test_closing_drops_what_waits(gate):
    done = []

    def work(chunk):
        done.append(chunk)
        gate.wait(LIMIT)

    worker = BackgroundWorker(work)
    for _ in range(4):
        worker.feed(b"x")
    threading.Timer(0.2, gate.set).start()
    worker.close()

    assert len(done) <= 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("sixtyfour-background-worker")]
