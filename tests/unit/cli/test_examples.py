"""The example Dags, copied to a user's folder."""

from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "example_dags"


def files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_all_files_are_copied_and_what_is_there_is_left(cli, tmp_path):
    target = tmp_path / "dags"
    target.mkdir()
    mine = target / "example_sixtyfour_batches.py"
    mine.write_text("mine")

    done = cli("examples", "--to", target, "-o", "json")

    assert done.code == 0
    assert {each["file"]: each["copied"] for each in done.json} == {
        str(target / name): name != mine.name for name in files(EXAMPLES)
    }
    assert files(target) == {**files(EXAMPLES), mine.name: b"mine"}
    assert f"1 of {len(files(EXAMPLES))} files were there already, and were left as they are." in done.err


@pytest.mark.parametrize("blocking", ["dags", "dags/leads"])
def test_a_folder_that_can_not_be_written_to_is_one_line(cli, tmp_path, blocking):
    path = tmp_path / blocking
    path.parent.mkdir(exist_ok=True)
    path.write_text("a file")

    done = cli("examples", "--to", tmp_path / "dags")

    assert (done.code, done.out) == (3, "")
    assert done.err.count("\n") == 1
    assert "can't be written" in done.err


def test_a_link_is_not_followed(cli, tmp_path):
    other = tmp_path / "other.py"
    target = tmp_path / "dags"
    target.mkdir()
    (target / "example_sixtyfour_batches.py").symlink_to(other)

    assert cli("examples", "--to", target).code == 0
    assert not other.exists()
