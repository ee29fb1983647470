"""Links of pages, also of those that are no part of the site, whose links Sphinx checks: they lead to something."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "airflow_provider_sixtyfour"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("[!_]*/*.md")]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
MOST_LINES, MOST_WORDS = 200, 1300  # of the README


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_to_something(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert path.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(path), f"{target}#{anchor}"


def test_the_architecture_names_what_there_is() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = {name.partition(".describe")[0] for name in re.findall(r"`([\w/]+/(?:[\w.]+)?)`", text)}
    assert len(named) > 30
    missing = [name for name in named if not ((PACKAGE / name).exists() or (ROOT / name).exists())]
    assert [name for name in missing if not (PACKAGE / f"{name}.py").exists()] == []


def test_the_readme_is_short() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= MOST_LINES
    assert len(text.split()) <= MOST_WORDS
