"""What a task does can be read on one screen: its `execute` is short, and names each step."""

import ast
from pathlib import Path

import pytest

import airflow_provider_sixtyfour

PACKAGE = Path(airflow_provider_sixtyfour.__file__).parent
LINES = 25  # of the whole method, with its signature and docstring
STARTS_A_RUN = {"SixtyfourRunWorkflowOperator", "SixtyfourEnrichOperator", "SixtyfourBulkEnrichOperator"}


def execute_methods():
    for path in sorted((PACKAGE / "operators").glob("*.py")):
        for each in ast.parse(path.read_text()).body:
            if isinstance(each, ast.ClassDef):
                for method in each.body:
                    if isinstance(method, ast.FunctionDef) and method.name == "execute":
                        yield each.name, method


METHODS = dict(execute_methods())


def test_the_operators_that_start_a_run_are_among_them():
    assert set(METHODS) >= STARTS_A_RUN


@pytest.mark.parametrize("name", sorted(STARTS_A_RUN))
def test_an_operator_that_starts_a_run_does_so_in_few_lines(name):
    method = METHODS[name]

    assert method.end_lineno - method.lineno + 1 <= LINES
