"""Each folder imports in one direction, Airflow's folders hold Airflow classes, and operators load no HTTP library."""

import ast
import inspect
import json
import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink
from airflow.triggers.base import BaseTrigger

import airflow_provider_sixtyfour
from airflow_provider_sixtyfour.get_provider_info import get_provider_info
from tests.unit.triggers.conftest import HAS_WATCHERS

PACKAGE = Path(airflow_provider_sixtyfour.__file__).parent
NAME = PACKAGE.name
# What each folder may import of the package, besides itself and `exceptions`: only folders that stand below it here.
MAY_IMPORT = {
    "cli": {
        *(
            "tasks",
            "results",
            "polling",
            "hooks",
            "inputs",
            "workflows",
            "runs",
            "api",
            "formats",
            "storage",
            "emulator",
        ),
    },
    "ui": {"tasks", "hooks", "runs", "api", "formats"},
    "task_groups": {"operators", "hooks", "storage"},
    "decorators": {"operators", "tasks", "hooks", "inputs"},
    "operators": {
        *("triggers", "links", "tasks", "results", "batches", "polling", "hooks"),
        *("inputs", "workflows", "runs", "api", "formats", "storage"),
    },
    "transfers": {"links", "tasks", "results", "hooks", "inputs", "runs", "api", "formats", "storage"},
    "sensors": {"triggers", "links", "tasks", "polling", "hooks", "runs", "api"},
    "triggers": {"tasks", "polling", "hooks", "runs", "api"},
    "links": {"tasks", "hooks", "api"},
    "tasks": {
        *("results", "batches", "polling", "hooks", "inputs", "workflows", "runs", "api", "formats", "storage"),
    },
    "hooks": {"results", "polling", "inputs", "workflows", "runs", "api", "storage"},
    "results": {"runs", "api", "formats", "storage"},
    "batches": {"api", "formats", "storage"},
    "polling": {"runs", "api"},
    "runs": {"inputs", "api", "formats"},
    "inputs": {"workflows", "api", "formats", "storage"},
    "workflows": {"api", "formats"},
    "api": {"formats"},  # their table alone
    "formats": {"storage"},
    "storage": set(),
    "emulator": set(),
}
# The same for the folders of the emulator; each may also import the modules next to them that import nothing.
EMULATOR_MAY_IMPORT = {
    "routes": {"middleware", "store", "engine"},
    "middleware": set(),
    "store": {"engine"},
    "engine": set(),
}
EMULATOR_BASE = {"config", "errors", "schemas", "strict_json"}
EMULATOR_STATE = {"state": {"routes"}}  # who may import it, besides the modules at the top

AIRFLOW_FOLDERS = ("task_groups", "decorators", "operators", "transfers", "sensors", "triggers", "links")
KNOWS_AIRFLOW = {*AIRFLOW_FOLDERS, "cli", "ui", "tasks", "hooks", "retry_policies"}
KNOWS_ITS_PATHS = {"results", "inputs", "storage"}  # of Airflow, paths and the masking of secrets, and nothing else
AIRFLOW_CLASSES = (BaseOperator, BaseTrigger, BaseOperatorLink)
HTTP_LIBRARIES = {"requests", "httpx", "urllib3", "aiohttp", "jwt"}
USES_HTTP = {"api", "emulator", "results/download.py", "results/http_session.py", "results/partial_file.py"}

MODULES = sorted(PACKAGE.rglob("*.py"))
by_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def dotted(path):
    return ".".join((NAME, *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


NAMES = {dotted(path) for path in MODULES}


def imports(path):
    """Give every module that a file imports, anywhere in it: at its top, inside functions, for type checkers."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            within = {f"{node.module}.{alias.name}" for alias in node.names} & NAMES
            yield from within
            if len(within) < len(node.names):
                yield node.module


def folder(module):
    """Return the folder of a dotted name, or ``None`` for what is outside the package or at its top."""
    parts = module.split(".")
    return parts[1] if parts[0] == NAME and len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else None


def test_the_table_has_each_folder_once_and_one_direction():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(MAY_IMPORT)
    order = list(MAY_IMPORT)
    upward = [(here, there) for here in order for there in MAY_IMPORT[here] if order.index(there) <= order.index(here)]
    assert upward == []


@by_module
def test_an_import_only_points_down(path):
    here = folder(dotted(path)) if path.parent != PACKAGE else None
    for module in imports(path):
        there = folder(module)
        if here is None:
            assert there is None or path.name == "__main__.py", f"{path.name} imports {module}"
        elif there not in (None, here):
            assert there in MAY_IMPORT[here], f"{path.relative_to(PACKAGE)} imports {module}"


def test_the_api_knows_the_table_of_formats_alone():
    """So that it needs nothing that reads or writes files."""
    used = {
        module for path in (PACKAGE / "api").glob("*.py") for module in imports(path) if folder(module) == "formats"
    }
    assert used == {f"{NAME}.formats.table"}


EMULATOR = [path for path in MODULES if path.is_relative_to(PACKAGE / "emulator") and path.parent.name != "emulator"]


@pytest.mark.parametrize("path", EMULATOR, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_import_of_the_emulator_only_points_down(path):
    assert {path.parent.name for path in EMULATOR} == set(EMULATOR_MAY_IMPORT)
    here = path.parent.name
    for module in imports(path):
        parts = module.split(".")
        if parts[:2] == [NAME, "emulator"] and len(parts) > 2 and parts[2] != here:
            may_import = EMULATOR_MAY_IMPORT[here] | EMULATOR_BASE
            assert parts[2] in may_import or here in EMULATOR_STATE.get(parts[2], ()), f"{path} imports {module}"


def test_no_imports_form_a_circle():
    graph = defaultdict(set)
    for path in MODULES:
        graph[dotted(path)] |= {module for module in imports(path) if module in NAMES and module != dotted(path)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@by_module
def test_airflow_is_known_where_it_has_to_be(path):
    here = folder(dotted(path)) if path.parent != PACKAGE else path.stem
    if here in KNOWS_AIRFLOW:
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            assert not [alias.name for alias in node.names if alias.name.split(".")[0] == "airflow"]
        elif isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "airflow":
            assert here in KNOWS_ITS_PATHS, f"{path.relative_to(PACKAGE)} imports {node.module}"
            assert {alias.name for alias in node.names} <= {"ObjectStoragePath", "mask_secret"}


IN_AIRFLOW_FOLDERS = [
    path
    for name in AIRFLOW_FOLDERS
    for path in (PACKAGE / name).glob("*.py")
    if path.name not in ("__init__.py", "_base.py", "_landing.py")
    and (HAS_WATCHERS or path.name != "runs_ended.py")  # which reports there what it needs
]


@pytest.mark.parametrize("path", IN_AIRFLOW_FOLDERS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_folder_of_airflow_holds_airflow_classes_only(path):
    """What they share is in `tasks`."""
    module = import_module(dotted(path))
    public = getattr(module, "__all__", ())
    classes = [
        each
        for name, each in vars(module).items()
        if inspect.isclass(each) and (each.__module__ == module.__name__ or name in public)
    ]
    makes_groups = path.parent.name == "task_groups" and hasattr(module, "TaskGroup")
    assert makes_groups or [each for each in classes if issubclass(each, AIRFLOW_CLASSES)]


@by_module
def test_http_libraries_are_used_in_few_places(path):
    """Elsewhere nobody builds a URL or reads an answer."""
    name = str(path.relative_to(PACKAGE))
    if not {name, name.split("/")[0]} & USES_HTTP:
        assert not {module.split(".")[0] for module in imports(path)} & HTTP_LIBRARIES


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
