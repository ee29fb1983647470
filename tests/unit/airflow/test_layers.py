"""An import only ever points down, and importing an operator loads no HTTP library."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_sixtyfour
from airflow_provider_sixtyfour.get_provider_info import get_provider_info

PACKAGE = Path(airflow_provider_sixtyfour.__file__).parent
NAME = PACKAGE.name
OPERATORS = ("operators", "sensors", "triggers", "transfers", "decorators", "links")
FACE = (*OPERATORS, "task_groups")
# What each layer may import of the package, itself included.
MAY_IMPORT = {
    "task_groups": {*FACE, "hooks"},
    **{folder: {*OPERATORS, "hooks", "monitor", "batches", "stores", "api"} for folder in OPERATORS},
    # Its methods wait for runs and land files, for which it has no code of its own.
    "hooks": {"hooks", "monitor", "transfers", "api"},
    "monitor": {"monitor", "api"},
    "batches": {"batches", "api"},
    "stores": {"stores"},
    "api": {"api"},
    "emulator": {"emulator", "api"},
}
KNOWS_AIRFLOW = {*FACE, "hooks"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path):
    """Give every module that a file imports, anywhere in it: at its top, inside functions, for type checkers."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == NAME)


def layer(module):
    """Return the layer of a dotted name, or ``None`` for what is outside the package or at its top."""
    parts = module.split(".")
    return parts[1] if parts[0] == NAME and len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_an_import_only_points_down(path):
    here = path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else None
    for module in imports(path):
        there = layer(module)
        if here is None:
            assert there is None, f"{path.name} imports {module}"
        elif there is not None:
            assert there in MAY_IMPORT[here], f"{path.relative_to(PACKAGE)} imports {module}"
        if here not in KNOWS_AIRFLOW:
            assert module.split(".")[0] != "airflow", f"{path.relative_to(PACKAGE)} imports {module}"


def test_every_folder_has_its_place():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(MAY_IMPORT)


def test_the_face_of_airflow_builds_no_url_and_reads_no_answer():
    """Those are the API layer's: here nobody touches an HTTP library."""
    for folder in (*FACE, "hooks", "monitor", "stores"):
        for path in (PACKAGE / folder).rglob("*.py"):
            used = {module.split(".")[0] for module in imports(path)}
            assert not used & {"requests", "httpx", "urllib3", "aiohttp", "jwt"}, path


INFO = get_provider_info()
LIGHT = [
    *(module for kind in ("operators", "sensors") for each in INFO[kind] for module in each["python-modules"]),
    *(each["python-module"] for each in INFO["transfers"]),
    *(f"{NAME}.task_groups.{path.stem}" for path in (PACKAGE / "task_groups").glob("[!_]*.py")),
]
HEAVY = ["requests", "httpx", "tenacity", "jwt", "jsonschema", "cryptography", "fsspec", "upath", "fastapi", "uvicorn"]
# What Airflow itself loads for any operator; the class objects are touched as a Dag file does.
ANYWAY = """
from airflow.providers.common.compat.sdk import (
    BaseOperator, BaseSensorOperator, BaseHook, BaseOperatorLink, XCom, AirflowSkipException, PokeReturnValue, conf,
    TaskGroup,
)
"""


def test_importing_operators_loads_no_http_library():
    code = f"""
import sys, json
{ANYWAY}
before = set(sys.modules)
import {", ".join(LIGHT)}
print("loaded " + json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(done.stdout.rpartition("loaded ")[2])

    assert set(LIGHT) <= set(loaded)
    assert [name for name in loaded if name.split(".")[0] in HEAVY] == []
    assert not [name for name in loaded if name.startswith(f"{NAME}.emulator")]


def test_no_module_has_grown_out_of_hand():
    sizes = {str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size > 330} == {}
