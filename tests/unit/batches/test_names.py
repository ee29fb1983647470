"""Names of batches and folders: each input's own, the same in each run, and such as any store takes."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_sixtyfour.batches.names import batch_stem, folder_name
from airflow_provider_sixtyfour.formats.names import cut_to
from tests.unit.api.properties import searched

hostile = st.text() | st.text(alphabet="\\. _-aAß\x00\n\u202e\ud83d%:é\u0301", max_size=12)
long_names = st.sampled_from(["a", "ü", "会", "😀", "e\u0301", "👩🏽\u200d🚀", "🇩🇪", "."]).flatmap(
    lambda char: st.integers(0, 300).map(lambda times: char * times)
)
stems = (hostile | long_names | st.tuples(hostile, long_names).map("".join)).filter(lambda stem: "/" not in stem)


def files_of(name, suffix="", count=12):
    return [f"{batch_stem(name, suffix)}-{index:05d}.csv" for index in (*range(count), 99_999, 100_000, 1_234_567)]


@searched
@given(st.lists(stems, min_size=1, max_size=4, unique=True), st.sampled_from(["", "-repair"]))
def test_no_two_batches_share_a_file_or_a_folder(inputs, suffix):
    # What `PurePosixPath` makes of them is the name: of "." and "..", for one, none.
    names = list({PurePosixPath(f"{stem}.csv").stem: f"{stem}.csv" for stem in inputs}.values())
    files = [file for name in names for file in files_of(f"s3://bucket/in/{name}", suffix)]
    folders = [folder_name(file) for file in files]

    assert len(set(files)) == len(files)
    assert len(set(folders)) == len(folders)
    for file, folder in zip(files, folders, strict=True):
        assert len(file.encode()) <= 220
        assert len(folder.encode()) <= 205
        assert PurePosixPath(folder).parts == PureWindowsPath(folder).parts == (folder,)
        assert folder.isprintable()
        assert folder[0] not in "._"
        assert folder.rpartition("-")[2] == PurePosixPath(file).stem.rpartition("-")[2]
    assert [folder_name(file) for file in files] == folders


@pytest.mark.parametrize(
    "stem",
    ["leads", "Leads", "leads.2026-11-01", "会社一覧", "a--b", "x" * 194, "é", "leads-00000", "leads-00000-repair"],
)
def test_a_name_that_can_be_used_stays_as_it_is(stem):
    assert batch_stem(f"file:///in/{stem}.csv") == stem
    assert folder_name(f"{stem}-00007.csv") == f"{stem}-00007"
    assert folder_name(f"{stem}-00007.ndjson") == f"{stem}-00007.ndjson"


def test_batches_of_one_name_in_two_formats_have_two_folders():
    files = [f"leads-00000{ending}" for ending in (".csv", ".ndjson", ".jsonl", ".ndjson.csv", ".csv.ndjson")]

    assert len({folder_name(file) for file in files}) == len(files)


@pytest.mark.parametrize("name", ["My leads", "leads: all"])
def test_names_for_files_and_names_for_folders_differ(name):
    assert folder_name(f"{name}-00000.csv") != folder_name(f"{name.replace(' ', '_').replace(':', '_')}-00000.csv")


@pytest.mark.parametrize("length", [65, 70, 80, 85])
def test_a_long_name_keeps_its_number_and_whole_characters(length):
    [first, second, *_] = files_of("会" * length + ".csv")

    assert first.startswith("会会会")
    assert (first[-10:], second[-10:]) == ("-00000.csv", "-00001.csv")
    assert folder_name(first) == first[:-4]
    assert "\ufffd" not in first


def test_names_that_differ_where_they_are_cut_differ():
    common = "x" * 240
    assert batch_stem(f"{common}a.csv") != batch_stem(f"{common}b.csv")
    assert folder_name(f"{common}.csv") != folder_name(f"{common}.ndjson")
    assert batch_stem(f"{common}A.csv").casefold() != batch_stem(f"{common}a.csv").casefold()


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [
        ("abc", 2, "ab"),
        ("ae\u0301", 2, "a"),
        ("ae\u0301", 4, "ae\u0301"),
        ("a👍🏽", 5, "a"),
        ("a👩\u200d🚀b", 8, "a"),
        ("a👩\u200d🚀b", 12, "a👩\u200d🚀"),
        ("a🇩🇪🇫🇷", 5, "a"),
        ("a🇩🇪🇫🇷", 13, "a🇩🇪"),
        ("❤\ufe0fx", 3, "❤"),
        ("会社", 5, "会"),
    ],
)
def test_a_text_is_cut_where_a_character_ends(text, limit, kept):
    assert cut_to(text, limit) == kept
