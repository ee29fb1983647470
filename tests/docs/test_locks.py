"""What the environments hold is what pyproject.toml asks for; `make locks` writes it again."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = {"docs": "docs", "stores": "stores", "3.3.2": "browser", "3.1.8": "browser"}
LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def locked(path: Path) -> dict[str, list[str]]:
    """Return the versions of each package: one, or one for each marker."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition("==")
        found.setdefault(canonicalize_name(name), []).append(rest.partition(" ")[0])
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_holds_what_the_project_asks_for(path: Path) -> None:
    wanted = list(PROJECT["project"]["dependencies"])
    wanted += PROJECT["dependency-groups"]["dev"] if path.stem != "bench" else []
    wanted += PROJECT["dependency-groups"].get(GROUPS.get(path.stem, ""), [])

    versions = locked(path)

    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in versions, f"{requirement} is not in {path.name}: make locks"
        assert any(requirement.specifier.contains(version) for version in versions[name]), f"{requirement}: make locks"


def test_each_airflow_has_a_lock() -> None:
    assert {"2.11.2", "3.0.6", "3.1.8", "3.2.2", "3.3.2", "cluster", "stores", "docs"} <= {path.stem for path in LOCKS}
