"""A file's bytes, rows and SHA-256 are counted in one place, while it is written or read."""

from __future__ import annotations

import ast
import hashlib
from io import BytesIO
from pathlib import Path

import airflow_provider_sixtyfour
from airflow_provider_sixtyfour.storage.file_stats import FileStats, HashingReader, HashingWriter

PACKAGE = Path(airflow_provider_sixtyfour.__file__).parent
CONTENT = b"name\nAda\nGrace\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()
REFERENCE = {"path": "s3://b/leads.csv", "rows": 2, "bytes": len(CONTENT), "sha256": SHA256}


def test_what_is_written_is_counted():
    file = BytesIO()
    written = HashingWriter(file)
    written.write(b"name\n")
    written.write(b"Ada\nGrace\n", rows=2)

    assert file.getvalue() == CONTENT
    assert written.reference("s3://b/leads.csv") == REFERENCE


def test_what_is_read_is_counted():
    read = HashingReader(BytesIO(CONTENT))
    assert read.read(5) + read.read() == CONTENT
    assert (read.bytes, read.sha256, read.tell()) == (len(CONTENT), SHA256, len(CONTENT))


def test_a_stream_that_is_read_again_is_counted_once():
    read = HashingReader(BytesIO(CONTENT))
    read.read(7)
    assert read.seek(0) == 0
    read.read()
    assert (read.bytes, read.sha256) == (len(CONTENT), SHA256)


def test_the_rest_of_a_stream_is_counted():
    stats, stream = FileStats(), BytesIO(CONTENT)
    stats.add(stream.read(3), rows=2)
    stats.add_rest(stream)
    assert stats.reference("s3://b/leads.csv") == REFERENCE


def test_started_over_it_has_counted_nothing():
    stats = FileStats()
    stats.add(b"name\nEve\n", rows=1)
    stats.start_over()
    assert (stats.bytes, stats.rows, stats.sha256) == (0, 0, hashlib.sha256().hexdigest())


def hashes_step_by_step(path: Path) -> bool:
    """Return whether a module begins a SHA-256 without anything in it: that is a file's."""
    return any(
        isinstance(node, ast.Call) and not node.args and ast.unparse(node.func).endswith("sha256")
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_no_other_module_hashes_files():
    package = [path for path in PACKAGE.rglob("*.py") if "emulator" not in path.parts]
    assert [path.name for path in package if hashes_step_by_step(path)] == ["file_stats.py"]
