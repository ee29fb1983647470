"""Files are published while the next ones are written: a few at a time, and none is left out."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_sixtyfour.batches import split
from airflow_provider_sixtyfour.batches.limits import Limits
from airflow_provider_sixtyfour.formats import records
from tests.unit.batches import folders
from tests.unit.batches.folders import MemoryFile, Split


class Commits:
    """What has been committed, how many files there were under way at a time, and which of them fails."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.held = self.most = 0
        self.failing = self.unwritable = ""
        self.writes: list[int] = []
        self.lock = threading.Lock()


@pytest.fixture
def commits(monkeypatch):
    """Slow commits."""
    commits = Commits()

    class SlowFile(MemoryFile):
        def write(self, chunk):
            if self._name == commits.unwritable:
                raise OSError("the disk failed")
            commits.writes.append(len(chunk))
            return super().write(chunk)

        def commit(self):
            with commits.lock:
                commits.names.append(self._name)
                commits.held += 1
                commits.most = max(commits.most, commits.held)
            time.sleep(0.02)
            with commits.lock:
                commits.held -= 1
            if self._name == commits.failing:
                raise OSError("the disk is full")
            super().commit()

    monkeypatch.setattr(folders, "MemoryFile", SlowFile)
    return commits


CONTENT = b"a\n" + b"x\n" * 20


def test_several_files_are_under_way_at_a_time_but_not_all(commits):
    done = Split(CONTENT, limits=Limits(rows=1))

    assert done.rows == [1] * 20
    assert len(commits.names) == 20
    assert 2 <= commits.most <= split.UNDER_WAY


def test_large_files_are_under_way_one_at_a_time(commits, monkeypatch):
    monkeypatch.setattr(split, "UNDER_WAY_BYTES", 3)

    Split(CONTENT, limits=Limits(rows=1))

    assert commits.most == 1


@pytest.mark.parametrize("failing", ["leads-00000.csv", "leads-00010.csv", "leads-00019.csv"])
def test_a_file_that_cannot_be_published_fails_the_split(commits, failing, monkeypatch):
    commits.failing = failing
    folder = folders.MemoryFolder()
    monkeypatch.setattr(folders, "MemoryFolder", lambda: folder)

    with pytest.raises(OSError, match="the disk is full"):
        Split(CONTENT, limits=Limits(rows=1))

    assert failing not in folder.files
    assert folder.open == 0


@pytest.mark.parametrize("held", [1, 1_000_000])
def test_a_file_that_cannot_be_written_fails_the_split(commits, held, monkeypatch):
    commits.unwritable = "leads-00010.csv"
    folder = folders.MemoryFolder()
    monkeypatch.setattr(folders, "MemoryFolder", lambda: folder)
    monkeypatch.setattr(split, "HELD", held)

    with pytest.raises(OSError, match="the disk failed"):
        Split(CONTENT, limits=Limits(rows=1))

    assert commits.unwritable not in folder.files
    assert folder.open == 0


@pytest.mark.parametrize("block", [1, 10])
def test_no_more_than_some_pieces_of_a_large_file_are_held(commits, block, monkeypatch):
    monkeypatch.setattr(split, "HELD", 10)
    monkeypatch.setattr(records, "BLOCK", block)

    done = Split(CONTENT, limits=Limits(rows=15))

    assert done.contents == [b"a\n" + b"x\n" * 15, b"a\n" + b"x\n" * 5]
    assert done.rows == [15, 5]
    assert max(commits.writes) <= 10
