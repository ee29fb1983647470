from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from demo.processes import Processes
from tests.stores.servers import BUCKET, STARTS, StoreServer
from tests.unit.conftest import (  # noqa: F401 - fixtures
    _nothing_masked_yet,
    emulator,
    emulator_process,
    keys,
    logs,
    no_pauses,
    until,
)

_running: dict[str, StoreServer] = {}


@pytest.fixture(scope="session")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    with Processes(tmp_path_factory.mktemp("logs")) as processes:
        yield processes


@dataclass(frozen=True)
class Place:
    """A folder in a store, for one test."""

    server: StoreServer
    url: str

    @property
    def path(self) -> ObjectStoragePath:
        return ObjectStoragePath(self.url)

    @property
    def fs(self) -> Any:
        return self.path.fs

    def names(self) -> list[str]:
        """Return what a reader sees there, freshly listed."""
        self.fs.invalidate_cache()
        below = self.path.path.rstrip("/") + "/"
        return sorted(found.removeprefix(below) for found in self.fs.find(self.path.path))

    def read(self, name: str) -> bytes:
        content: bytes = self.fs.cat_file(f"{self.path.path.rstrip('/')}/{name}")
        return content

    def unfinished(self) -> int:
        """Return how many uploads in parts (S3) or temporary files (disk) there are below it."""
        if self.server.name == "s3":
            listed = self.fs.call_s3("list_multipart_uploads", Bucket=BUCKET)
            prefix = self.path.path.removeprefix(f"{BUCKET}/")
            return sum(upload["Key"].startswith(prefix) for upload in listed.get("Uploads") or ())
        if self.server.name == "disk":
            folder = Path(self.path.path)
            return len(list(folder.glob(".*"))) if folder.exists() else 0
        return 0  # Azure and Google hide theirs, charge nothing for them and drop them


@pytest.fixture(params=["disk", "s3", "azure", "gcs"])
def place(
    request: pytest.FixtureRequest,
    processes: Processes,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Place:
    """An empty folder in each store in turn."""
    name = request.param
    if name == "disk":
        return Place(StoreServer("disk", {}, "file://"), f"file://{tmp_path}/landed")
    if name not in _running:
        _running[name] = STARTS[name](processes, tmp_path_factory.mktemp(name))
        os.environ.update(_running[name].environment)
        store = ObjectStoragePath(_running[name].url).fs
        if name == "s3":
            until(lambda: _has_bucket(store))  # it makes its bucket a moment after it answers
        else:
            store.mkdir(BUCKET)
    return Place(_running[name], f"{_running[name].url}/{uuid.uuid4().hex}")


def _has_bucket(s3: Any) -> bool:
    with contextlib.suppress(FileNotFoundError):
        s3.call_s3("head_bucket", Bucket=BUCKET)
        return True
    return False
