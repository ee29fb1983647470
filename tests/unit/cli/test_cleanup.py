"""What unfinished work has left goes; nothing else ever does."""

import fcntl
import json
import os
import time

import pytest

from airflow_provider_sixtyfour.storage.local import LocalFile

OLD = 48 * 3600.0  # seconds


def write(path, content="x", age=OLD):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - age,) * 2)
    return path


@pytest.fixture
def destination(tmp_path):
    """An enrichment of three batches, one of them without a result, and files of others."""
    root = tmp_path / "enriched"
    missing = {"missing": [{"path": f"file://{root}/sent/leads-00002.csv", "rows": 1}], "results": []}
    write(root / "_manifest.json", json.dumps(missing))
    for number in range(3):
        write(root / "sent" / f"leads-0000{number}.csv")
    for number in range(2):
        write(root / f"leads-0000{number}" / "_manifest.json", "{}")
        write(root / f"leads-0000{number}" / "_started_runs.json", "[]")
        write(root / f"leads-0000{number}" / "_submission.json", "{}")
        write(root / f"leads-0000{number}" / "result.csv")
    write(root / "sent" / "notes.txt")
    write(root / "batches" / "leads-00000.csv")  # of a split of somebody's own
    write(root / "mail" / "sent" / "letter-00001.csv")  # no enrichment's
    return root


@pytest.fixture
def temporary(destination):
    file = LocalFile(str(destination / "leads-00001" / "result.csv"))
    [path] = (destination / "leads-00001").glob(".sixtyfour-*.part")
    file._file.close()  # as a process that was killed leaves it
    os.utime(path, (time.time() - OLD,) * 2)
    return path


def paths(root):
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink()}


REMOVED = {"sent/leads-00000.csv", "sent/leads-00001.csv"}


def test_it_lists_and_removes_nothing_unasked(cli, destination, temporary):
    before = paths(destination)

    done = cli("cleanup", "--destination", f"file://{destination}", "-o", "json")

    assert done.code == 0
    listed = {os.path.relpath(record["path"], destination) for record in done.json}
    assert listed == REMOVED | {str(temporary.relative_to(destination))}
    assert {record["removed"] for record in done.json} == {False}
    assert paths(destination) == before
    assert "Nothing was removed" in done.err


def test_it_removes_what_it_lists(cli, destination, temporary):
    before = paths(destination)

    done = cli("cleanup", "--destination", destination, "--yes", "-o", "json")

    assert done.code == 0
    assert {record["removed"] for record in done.json} == {True}
    assert before - paths(destination) == REMOVED | {str(temporary.relative_to(destination))}
    assert cli("cleanup", "--destination", destination, "--yes", "-o", "json").json == []


def test_what_is_young_stays(cli, destination, temporary):
    young = write(destination / "sent" / "leads-00000.csv", age=3600)
    os.utime(temporary)

    cli("cleanup", "--destination", destination, "--yes")

    assert young.exists()
    assert temporary.exists()
    assert not (destination / "sent" / "leads-00001.csv").exists()
    cli("cleanup", "--destination", destination, "--yes", "--older-than", "0.5")
    assert not young.exists()


def test_what_a_living_process_writes_stays_however_old_it_is(cli, destination, temporary):
    with temporary.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = cli("cleanup", "--destination", destination, "--yes", "-o", "json")

    assert done.code == 4
    assert temporary.exists()
    assert "Not removed" in done.err


@pytest.mark.parametrize("content", ["", "[", "[]", '{"missing": 5}', '{"missing": [{}]}', "null"])
def test_batches_stay_where_the_manifest_can_not_be_read(cli, destination, content):
    write(destination / "_manifest.json", content)
    cli("cleanup", "--destination", destination, "--yes")
    assert paths(destination) >= REMOVED


def test_without_a_manifest_the_age_decides(cli, destination):
    (destination / "_manifest.json").unlink()
    before = paths(destination)
    cli("cleanup", "--destination", destination, "--yes")
    assert before - paths(destination) == REMOVED | {"sent/leads-00002.csv"}


def test_a_folder_above_several_destinations_may_be_named(cli, destination):
    before = paths(destination)
    cli("cleanup", "--destination", destination.parent, "--yes")
    assert before - paths(destination) == REMOVED


def test_links_are_not_followed(cli, destination, tmp_path):
    outside = write(tmp_path / "outside" / "sent" / "leads-00000.csv")
    write(tmp_path / "outside" / "_manifest.json", '{"missing": []}')
    (destination / "link").symlink_to(tmp_path / "outside")
    (destination / "sent" / "leads-00009.csv").symlink_to(outside)
    os.utime(destination / "sent" / "leads-00009.csv", (0, 0), follow_symlinks=False)

    done = cli("cleanup", "--destination", destination, "--yes", "-o", "json")

    assert {os.path.relpath(record["path"], destination) for record in done.json} == REMOVED
    assert outside.exists()
    assert (destination / "sent" / "leads-00009.csv").is_symlink()


def test_a_folder_that_becomes_a_link_meanwhile_keeps_what_is_behind_it(destination, tmp_path):
    from airflow_provider_sixtyfour.storage.object_paths import local_or_object_path
    from airflow_provider_sixtyfour.tasks.leftovers import leftovers

    outside = write(tmp_path / "outside" / "leads-00000.csv")
    found = leftovers(local_or_object_path(destination, "destination"), before=time.time() - 3600)
    (destination / "sent").rename(tmp_path / "moved")
    (destination / "sent").symlink_to(tmp_path / "outside")

    for leftover in found:
        with pytest.raises(OSError, match="symbolic link"):
            leftover.remove()
    assert outside.exists()


def test_a_destination_that_is_none_is_empty_or_refused(cli, tmp_path):
    assert cli("cleanup", "--destination", tmp_path / "nowhere", "-o", "json").json == []
    assert cli("cleanup", "--destination", "nowhere://x/y").code == 3
    assert cli("cleanup").code == 2


def test_it_needs_no_credential(cli, destination, monkeypatch):
    monkeypatch.delenv("SIXTYFOUR_API_KEY")
    assert cli("cleanup", "--destination", destination).code == 0
