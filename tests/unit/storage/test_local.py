from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_sixtyfour.storage.local import LocalFile

ROOT = Path(__file__).resolve().parents[3]
WRITER = """
import sys
from airflow_provider_sixtyfour.storage.local import LocalFile
writing = LocalFile(sys.argv[1])
writing.write(b"half")
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "out.csv"


def names(path: Path) -> list[str]:
    return sorted(os.listdir(path.parent))


def publish(path: Path, data: bytes) -> None:
    writing = LocalFile(str(path))
    writing.write(data)
    writing.commit()


def test_a_file_appears_when_it_is_committed(path: Path):
    writing = LocalFile(str(path))
    writing.write(b"one ")
    writing.write(b"two")
    assert not path.exists()
    [temporary] = names(path)
    assert temporary.startswith(".")
    writing.commit()
    assert path.read_bytes() == b"one two"
    assert names(path) == ["out.csv"]


def test_a_discarded_one_leaves_the_old_file(path: Path):
    publish(path, b"old")
    writing = LocalFile(str(path))
    writing.write(b"new")
    writing.discard()
    assert path.read_bytes() == b"old"
    assert names(path) == ["out.csv"]


def test_discarding_after_the_commit_does_nothing(path: Path):
    writing = LocalFile(str(path))
    writing.commit()
    writing.discard()
    assert path.read_bytes() == b""


def test_starting_over(path: Path):
    writing = LocalFile(str(path))
    writing.write(b"a long beginning")
    writing.start_over()
    writing.write(b"short")
    writing.commit()
    assert path.read_bytes() == b"short"


def test_its_permissions_are_those_of_any_new_file(path: Path):
    mask = os.umask(0o027)
    try:
        publish(path, b"")
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_name_as_long_as_the_file_system_takes(path: Path):
    publish(path.with_name("n" * 251 + ".csv"), b"x")
    assert names(path) == ["n" * 251 + ".csv"]


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(path: Path):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"written\n"
        assert len(names(path)) == 2
        os.kill(writers[0].pid, signal.SIGKILL)
        writers[0].wait()
        publish(path.with_name("other.csv"), b"another name's leftovers stay")
        assert len(names(path)) == 3

        publish(path, b"whole")

        assert path.read_bytes() == b"whole"
        assert len(names(path)) == 3  # the two files, and the other writer's
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
