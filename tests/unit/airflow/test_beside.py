"""Work beside: in order, bounded, its error told, its end prompt."""

import threading

import pytest

from airflow_provider_sixtyfour.transfers.beside import WAITING, Beside

LIMIT = 10.0  # seconds


@pytest.fixture
def gate():
    return threading.Event()


def test_pieces_are_worked_on_in_their_order():
    done = []
    beside = Beside(done.append)
    for number in range(100):
        beside.feed(bytes([number]))
    beside.finish()

    assert b"".join(done) == bytes(range(100))


def test_who_brings_too_much_waits(gate):
    beside = Beside(lambda _: gate.wait(LIMIT))
    bringing = threading.Thread(
        target=lambda: [beside.feed(b"x") for _ in range(WAITING + 2)], daemon=True
    )  # one is worked on
    bringing.start()
    bringing.join(0.2)
    assert bringing.is_alive()

    gate.set()
    bringing.join(LIMIT)
    assert not bringing.is_alive()
    beside.finish()


def test_an_error_is_told_and_nobody_waits_for_room():
    def fail(piece):
        raise ZeroDivisionError

    beside = Beside(fail)

    def bring():
        for _ in range(WAITING * 3):
            beside.feed(b"x")

    with pytest.raises(ZeroDivisionError):
        bring()
    with pytest.raises(ZeroDivisionError):
        beside.finish()
    beside.close()


def test_closing_drops_what_waits(gate):
    done = []

    def work(piece):
        done.append(piece)
        gate.wait(LIMIT)

    beside = Beside(work)
    for _ in range(4):
        beside.feed(b"x")
    threading.Timer(0.2, gate.set).start()
    beside.close()

    assert len(done) <= 1
    assert not [thread for thread in threading.enumerate() if thread.name == "sixtyfour-beside"]
