"""Code that stands in a page itself, and not in an example Dag: it parses, and names what there is."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseOperator, BaseSensorOperator

from airflow_provider_sixtyfour.get_provider_info import get_provider_info

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What every task takes.
OF_EVERY_TASK = {
    *inspect.signature(BaseOperator.__init__).parameters,
    *inspect.signature(BaseSensorOperator).parameters,
}


def blocks() -> Iterator[Any]:
    for page in PAGES:
        if "_" not in page.parent.name:  # made of the code
            for number, block in enumerate(BLOCK.finditer(page.read_text())):
                yield pytest.param(textwrap.dedent(block[1]), id=f"{page.relative_to(ROOT)}-{number}")


def public() -> dict[str, Any]:
    """Return what a Dag may import of this provider, by name."""
    info = get_provider_info()
    modules = [name for each in (*info["operators"], *info["sensors"]) for name in each["python-modules"]]
    modules += [each["python-module"] for each in info["transfers"]]
    modules.append("airflow_provider_sixtyfour.task_groups.enrichment")
    return {
        name: value
        for module in map(importlib.import_module, modules)
        for name, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "").startswith("airflow_provider_sixtyfour")
    }


PUBLIC = public()


@pytest.mark.parametrize("code", blocks())
def test_code_of_a_page_names_what_there_is(code: str) -> None:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PUBLIC:
            taken = {*inspect.signature(PUBLIC[node.func.id]).parameters} | OF_EVERY_TASK
            assert {keyword.arg for keyword in node.keywords if keyword.arg} - taken == set()


def test_there_is_code_and_there_are_names() -> None:
    assert len(list(blocks())) > 8
    assert {"SixtyfourEnrichOperator", "sixtyfour_enrichment", "SixtyfourRunSensor"} <= set(PUBLIC)
