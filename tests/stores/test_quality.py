"""The quality in the manifest is what pandas computes from the files that have landed."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.conftest import Emulator
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")

# The fixtures are the same for all examples: each has a run and a folder of its own. A counterexample is not made
# smaller: each attempt at that would be a run, too.
searched = settings(
    max_examples=30,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6) | st.sampled_from(
    ["", "  ", "a,b", 'say "hi"', "two\nlines", "NA", "null", "é"]
)
rows = st.fixed_dictionaries(
    {
        "name": texts,
        "email": texts | st.none(),
        "email_status": st.sampled_from(["OK", "RISKY", "UNKNOWN", "", None]),
        "employees": st.integers(0, 5) | st.none(),
        "tags": st.lists(st.sampled_from("ab"), max_size=2),
    }
)


def landed(emulator: Emulator, folder: Path, table: list[dict[str, Any]], format: str, output: str | None) -> Any:
    """Land a file with these rows; return what the manifest has about its columns, and the file."""
    emulator.plan(results=[{"filename": f"leads.{format}", "rows": table}])
    job_id = emulator.completed_run(emulator.store_workflow(), result_formats="ndjson", save_json="true")
    [file] = Task(
        lambda: SixtyfourToObjectStorageOperator(
            task_id="land", job_id=job_id, destination=f"file://{folder}", format=format, output_format=output
        )
    ).run()
    return json.loads((folder / MANIFEST).read_text()).get("quality", {}), Path(file["path"].removeprefix("file://"))


def text(value: Any) -> str:
    """Return a value as text; nothing for what is empty."""
    if isinstance(value, str):
        return value.strip() and value
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or value in ([], {}) or (isinstance(value, float) and math.isnan(value)):
        return ""
    return json.dumps(value)


def by_pandas(frame: pd.DataFrame) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in frame.columns:
        filled = frame[name].map(text)
        filled = filled[filled != ""]
        found[name] = {"filled": len(filled), "empty": len(frame) - len(filled), "distinct": filled.nunique()}
        if name.endswith("_status") and len(filled):
            found[name]["values"] = filled.value_counts().to_dict()
    return found


@searched
@given(table=st.lists(rows, min_size=1, max_size=12))
def test_of_csv(emulator: Emulator, table: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        quality, file = landed(emulator, Path(folder), table, "csv", None)
        frame = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8")

    assert len(frame) == len(table)
    assert quality == by_pandas(frame)


@searched
@given(table=st.lists(rows, min_size=1, max_size=12))
@pytest.mark.parametrize("format", ["ndjson", "json"])
def test_of_json(emulator: Emulator, format: str, table: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        quality, file = landed(emulator, Path(folder), table, format, None)
        frame = pd.read_json(file, lines=format == "ndjson", dtype=False)

    assert len(frame) == len(table)
    assert quality == by_pandas(frame)


@searched
@given(table=st.lists(rows, min_size=1, max_size=12))
def test_of_parquet(emulator: Emulator, table: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        quality, file = landed(emulator, Path(folder), table, "ndjson", "parquet")
        frame = pd.read_parquet(file)

    assert file.suffix == ".parquet"
    assert quality == by_pandas(frame)
