"""The files of a release: they build, describe themselves, and have what a user and a maintainer need."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    python = [sys.executable, "-m"]
    # The wheel is built from the unpacked sdist, as an installer does that has only that.
    subprocess.run([*python, "build", "--installer", "uv", "--outdir", str(folder), str(ROOT)], check=True)
    subprocess.run([*python, "twine", "check", "--strict", *map(str, folder.iterdir())], check=True)
    return folder


def test_a_wheel_has_the_examples_the_script_and_the_types(dist: Path) -> None:
    [wheel] = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = next(name for name in names if name.endswith("entry_points.txt"))
        points = archive.read(entry_points).decode()

    package = "airflow_provider_sixtyfour/"
    examples = {path.relative_to(ROOT) for path in (ROOT / "example_dags").rglob("*") if path.suffix in (".py", ".csv")}
    assert {f"{package}{path}" for path in examples} <= names
    assert {f"{package}py.typed", f"{package}ui/static/panel.js", f"{package}cli/commands.py"} <= names
    assert not [name for name in names if "test" in name.lower() and not name.startswith(package)]
    assert "sixtyfour = airflow_provider_sixtyfour.cli.main:main" in points


def test_an_sdist_has_what_tests_it(dist: Path) -> None:
    [sdist] = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    wanted = {
        "Makefile",
        ".ci/run",
        "pyproject.toml",
        "LICENSE",
        "demo/__main__.py",
        "docs/index.md",
        "CONTRIBUTING.md",
    }
    assert wanted <= names
    assert any(name.startswith("tests/unit/") for name in names)
    assert not [name for name in names if name.startswith((".venv", "docs/_", ".airflow", ".cache"))]
