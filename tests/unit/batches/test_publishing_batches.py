"""Files are brought to their places while the next ones are filled: a few at a time, and none is forgotten."""

from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_sixtyfour.batches import splitting
from airflow_provider_sixtyfour.batches.cutting import Limits
from tests.unit.batches import folders
from tests.unit.batches.folders import MemoryFile, Split


class Commits:
    """What has been committed, how many files there were under way at a time, and which of them fails."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.held = self.most = 0
        self.failing = ""
        self.lock = threading.Lock()


@pytest.fixture
def commits(monkeypatch):
    """Slow commits."""
    commits = Commits()

    class SlowFile(MemoryFile):
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
    assert 2 <= commits.most <= splitting.UNDER_WAY


def test_large_files_are_under_way_one_at_a_time(commits, monkeypatch):
    monkeypatch.setattr(splitting, "UNDER_WAY_BYTES", 3)

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
