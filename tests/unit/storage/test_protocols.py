"""What files are written to is described in one module, and what publishes objects has all of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import airflow_provider_sixtyfour
from airflow_provider_sixtyfour.storage.local import LocalFile
from airflow_provider_sixtyfour.storage.multipart import MultipartUpload
from airflow_provider_sixtyfour.storage.protocols import Publication
from airflow_provider_sixtyfour.storage.spooled import Spooled

PACKAGE = Path(airflow_provider_sixtyfour.__file__).parent


def test_only_one_module_describes_what_files_are_written_to():
    sinks = [
        f"{path.name}: {node.name}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef)
        and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
        and {each.name for each in node.body if isinstance(each, ast.FunctionDef)} & {"write", "start_over", "commit"}
    ]
    assert sinks == ["protocols.py: Writable", "protocols.py: Restartable", "protocols.py: Publication"]


@pytest.mark.parametrize("kind", [LocalFile, MultipartUpload, Spooled])
def test_each_way_to_publish_is_a_publication(kind: type):
    methods = {name for name in dir(Publication) if not name.startswith("_")} - {"version"}  # an attribute of some
    assert methods == {"write", "start_over", "commit", "discard"}
    assert methods <= set(dir(kind))
