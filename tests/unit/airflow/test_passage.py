"""On its way a file is counted once, in pieces that are worth a call; begun anew, all is."""

import hashlib
import threading

import pytest

from airflow_provider_sixtyfour.api.errors import SixtyfourTransferError
from airflow_provider_sixtyfour.transfers.passage import PIECE, Passage
from airflow_provider_sixtyfour.transfers.progress import Progress
from airflow_provider_sixtyfour.transfers.tally import Tally


class Goal:
    def __init__(self):
        self.pieces = []

    def write(self, piece):
        self.pieces.append(piece)

    def start_over(self):
        self.pieces.clear()


class Way:
    def __init__(self):
        self.goal, self.tally, self.stop = Goal(), Tally("csv"), threading.Event()
        self.passage = Passage(self.goal, self.tally, Progress("x", None, print), self.stop)

    def bring(self, content, step):
        for start in range(0, len(content), step):
            self.passage.write(content[start : start + step])

    def end(self):
        self.passage.flush()
        self.tally.finish()


@pytest.fixture
def way():
    made = Way()
    yield made
    made.tally.close()


CONTENT = b"name\n" + b"A\n" * PIECE


@pytest.mark.parametrize("step", [1000, PIECE, 3 * PIECE])
def test_all_of_it_arrives_and_is_counted(way, step):
    way.bring(CONTENT, step)
    way.end()

    assert b"".join(way.goal.pieces) == CONTENT
    assert len(way.goal.pieces) <= 4
    assert (way.tally.bytes, way.tally.rows) == (len(CONTENT), PIECE)
    assert way.tally.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_begun_anew_nothing_of_the_first_time_counts(way):
    way.bring(CONTENT, 1000)
    way.passage.start_over()
    way.bring(b"name\nB\n", 3)
    way.end()

    assert b"".join(way.goal.pieces) == b"name\nB\n"
    assert (way.tally.bytes, way.tally.rows) == (7, 1)
    assert way.tally.sha256 == hashlib.sha256(b"name\nB\n").hexdigest()


def test_stopped_it_takes_no_more(way):
    way.stop.set()

    with pytest.raises(SixtyfourTransferError, match="Stopped"):
        way.passage.write(b"x")
