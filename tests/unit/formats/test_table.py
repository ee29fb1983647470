"""The table of formats is complete, and what depends on a format is in it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_provider_sixtyfour
from airflow_provider_sixtyfour.api.calls import RESULT_FORMATS
from airflow_provider_sixtyfour.formats import table
from airflow_provider_sixtyfour.formats.table import ALWAYS_MADE, FORMATS, TYPED, Format, format_of, media_type_of

PACKAGE = Path(airflow_provider_sixtyfour.__file__).parent
CALLED = ("counter", "quality", "encode", "read", "to_parquet")
by_format = pytest.mark.parametrize("format", FORMATS.values(), ids=list(FORMATS))


def test_each_result_format_of_the_api_has_an_entry():
    assert RESULT_FORMATS == ("csv", "json", "ndjson")
    assert list(FORMATS) == [each.name for each in FORMATS.values()]
    assert {ALWAYS_MADE, TYPED} <= FORMATS.keys()
    assert FORMATS[TYPED].to_parquet is not None


def test_no_two_formats_share_an_extension():
    extensions = [one for each in FORMATS.values() for one in {*each.extensions, *each.with_delimiter}]
    assert len(extensions) == len(set(extensions))


@by_format
def test_a_format_is_found_by_its_extensions(format: Format):
    assert format.extensions[0] == format.name
    for extension in (*format.extensions, *format.with_delimiter):
        assert format_of(extension) is format
    for extension in format.extensions:
        assert media_type_of(f"leads.{extension.upper()}") == format.media_type


@by_format
def test_what_an_entry_refers_to_is_there(format: Format):
    for name in CALLED:
        if (lazy := getattr(format, name)) is not None:
            with pytest.raises(TypeError, match="argument"):
                lazy(no_such_parameter=1)


@by_format
def test_what_is_encoded_is_counted(format: Format):
    counter = format.counter()
    for chunk in format.encode([{"a": 1}, {"a": "x\ny", "b": [2]}, {"a": None}]):
        counter.feed(chunk)
    assert counter.rows() == 3
    assert counter.is_too_deep is False


def test_the_table_imports_nothing_that_it_refers_to():
    code = f"""
import sys
before = set(sys.modules)
import {table.__name__}
print(*(name for name in set(sys.modules) - before if name.startswith(("{PACKAGE.name}.", "pyarrow"))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == [f"{PACKAGE.name}.formats", table.__name__]


NAMES = {one for each in FORMATS.values() for one in (each.name, *each.extensions)}
FOLDERS = ("api", "batches", "formats", "inputs", "results")
MODULES = sorted(
    path for folder in FOLDERS for path in (PACKAGE / folder).rglob("*.py") if path != Path(table.__file__)
)


def decisions(tree: ast.AST) -> list[str]:
    """Return the formats' names that something is compared with, chosen by or looked up with."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Compare():
                among = [node.left, *node.comparators]
            case ast.Dict():
                among = [key for key in node.keys if key is not None]
            case ast.Subscript():
                among = [node.slice]
            case ast.MatchValue():
                among = [node.value]
            case _:
                continue
        constants = [each for one in among for each in ast.walk(one) if isinstance(each, ast.Constant)]
        found += [f"line {each.lineno}: {each.value!r}" for each in constants if each.value in NAMES]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_is_decided_by_a_formats_name(path: Path):
    """A new format would have to be added there too: what differs between formats is a field of `Format`."""
    assert decisions(ast.parse(path.read_text())) == []


@pytest.mark.parametrize(
    "code",
    [
        'x = format == "csv"',
        'x = "csv" != format',
        'x = extension in ("ndjson", "jsonl")',
        'x = {"json": 1}',
        'x = FORMATS["csv"]',
        'match format:\n    case "csv" | "json":\n        pass',
    ],
)
def test_a_decision_by_name_is_found(code: str):
    assert decisions(ast.parse(code))


def test_the_byte_order_mark_is_written_in_one_place():
    written = re.compile(r"BOM_UTF8|xef.?.?xbb|\\ufeff", re.IGNORECASE)
    package = [path for path in PACKAGE.rglob("*.py") if "emulator" not in path.parts]
    assert [path.name for path in package if written.search(path.read_text())] == ["records.py"]
