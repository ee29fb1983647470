"""What is published appears whole, in one step, and leaves nothing behind otherwise: on each store."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_sixtyfour.storage.atomic import current_version, probe, publishing
from airflow_provider_sixtyfour.storage.multipart import MIB, PART
from tests.stores.conftest import Place

SIZES = [0, 1, PART - 1, PART, PART + 1, 3 * PART, 3 * PART + 12345]


def content(size: int) -> bytes:
    block = os.urandom(min(size, MIB))
    return (block * (size // MIB + 1))[:size]


def pieces(data: bytes, size: int = MIB) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def publish(place: Place, path: str, data: bytes, before_commit: Callable[[], object] = lambda: None) -> None:
    with publishing(place.fs, path) as publication:
        for piece in pieces(data):
            publication.write(piece)
        before_commit()
        publication.commit()


@pytest.mark.parametrize("size", SIZES)
def test_an_object_of_any_size(place: Place, size: int) -> None:
    data = content(size)
    path = place.path / "some.csv"

    with publishing(place.fs, path.path, size=size) as publication:
        for piece in pieces(data, 999_999):
            publication.write(piece)
        assert place.names() == [] or place.server.name == "disk"
        publication.commit()

    assert place.names() == ["some.csv"]
    assert place.read("some.csv") == data
    assert place.unfinished() == 0


@pytest.mark.parametrize("size", [10, 3 * PART])
def test_one_that_is_not_committed_leaves_what_was_there(place: Place, size: int) -> None:
    path = place.path / "some.csv"
    with publishing(place.fs, path.path) as publication:
        publication.write(b"before")
        publication.commit()

    with pytest.raises(ZeroDivisionError):
        publish(place, path.path, content(size), before_commit=lambda: 1 // 0)
    with publishing(place.fs, path.path) as publication:
        publication.write(content(size))

    assert place.names() == ["some.csv"]
    assert place.read("some.csv") == b"before"
    assert place.unfinished() == 0


def test_starting_over_forgets_what_was_sent(place: Place) -> None:
    path = place.path / "some.csv"
    data = content(2 * PART + 5)

    with publishing(place.fs, path.path) as publication:
        for piece in pieces(content(3 * PART)):
            publication.write(piece)
        publication.start_over()
        for piece in pieces(data):
            publication.write(piece)
        publication.commit()

    assert place.read("some.csv") == data
    assert place.unfinished() == 0


def test_an_object_is_replaced(place: Place) -> None:
    for data in (content(PART * 2), b"small", content(PART * 2 + 1)):
        with publishing(place.fs, (place.path / "some.csv").path) as publication:
            publication.write(data)
            publication.commit()
        assert place.read("some.csv") == data


def test_a_bucket_that_is_not_there_is_an_error(place: Place) -> None:
    if place.server.name == "disk":
        Path(place.path.path).write_text("a file where the folder should be")
        path = f"{place.path.path}/some.csv"
    else:
        path = "nosuchbucket/some.csv"

    with pytest.raises(Exception) as error:  # noqa: PT011 - the client's own
        publish(place, path, content(3 * PART))

    assert not isinstance(error.value, AssertionError)


@pytest.mark.parametrize("size", [3, 2 * PART + 5])
def test_a_version_distinguishes_what_was_published_from_what_replaces_it(place: Place, size: int) -> None:
    path = (place.path / "some.csv").path
    versions = []
    for data in (content(size), content(size)):
        with publishing(place.fs, path) as publication:
            for piece in pieces(data):
                publication.write(piece)
            publication.commit()
        versions.append(publication.version)
        assert publication.version == current_version(place.fs, path) is not None

    assert versions[0] != versions[1]
    place.fs.rm_file(path)
    with pytest.raises(FileNotFoundError):
        current_version(place.fs, path)


def test_a_probe_leaves_nothing(place: Place) -> None:
    probe(place.fs, (place.path / "probe").path)

    assert place.names() == []
    assert place.unfinished() == 0


def test_a_probe_of_what_cannot_be_written_is_an_error(place: Place) -> None:
    if place.server.name == "disk":
        Path(place.path.path).write_text("a file where the folder should be")
        path = f"{place.path.path}/probe"
    else:
        path = "nosuchbucket/probe"

    with pytest.raises(Exception) as error:  # noqa: PT011 - the client's own
        probe(place.fs, path)

    assert not isinstance(error.value, AssertionError)
