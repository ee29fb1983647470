"""A file is counted once while it is fetched, in large chunks; after a restart, counting restarts too."""

import hashlib
import threading

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.results.download_stats import DownloadStats
from airflow_provider_sixtyfour.results.pipeline import CHUNK, DownloadPipeline
from airflow_provider_sixtyfour.results.progress import Progress


class Goal:
    def __init__(self):
        self.chunks = []

    def write(self, chunk):
        self.chunks.append(chunk)

    def start_over(self):
        self.chunks.clear()


class Way:
    def __init__(self):
        self.goal, self.stats, self.stop = Goal(), DownloadStats("csv"), threading.Event()
        self.passage = DownloadPipeline(self.goal, self.stats, Progress("x", None, print), self.stop)

    def bring(self, content, step):
        for start in range(0, len(content), step):
            self.passage.write(content[start : start + step])

    def end(self):
        self.passage.flush()
        self.stats.finish()


@pytest.fixture
def way():
    made = Way()
    yield made
    made.stats.close()


CONTENT = b"name\n" + b"A\n" * CHUNK


@pytest.mark.parametrize("step", [1000, CHUNK, 3 * CHUNK])
def test_all_of_it_arrives_and_is_counted(way, step):
    way.bring(CONTENT, step)
    way.end()

    assert b"".join(way.goal.chunks) == CONTENT
    assert len(way.goal.chunks) <= 4
    assert (way.stats.bytes, way.stats.rows) == (len(CONTENT), CHUNK)
    assert way.stats.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_after_a_restart_nothing_of_the_first_time_counts(way):
    way.bring(CONTENT, 1000)
    way.passage.start_over()
    way.bring(b"name\nB\n", 3)
    way.end()

    assert b"".join(way.goal.chunks) == b"name\nB\n"
    assert (way.stats.bytes, way.stats.rows) == (7, 1)
    assert way.stats.sha256 == hashlib.sha256(b"name\nB\n").hexdigest()


def test_stopped_it_takes_no_more(way):
    way.stop.set()

    with pytest.raises(SixtyfourTransferError, match="Stopped"):
        way.passage.write(b"x")
