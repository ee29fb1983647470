"""A landing as Parquet: what could not be converted is there as it came, and everything that names it reports that."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_sixtyfour.formats.table import FORMATS
from airflow_provider_sixtyfour.operators.enrich import SixtyfourEnrichOperator
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.api.servers import Reply, Request, Server
from tests.unit.conftest import Emulator, Logs
from tests.unit.formats.parquet.conftest import lines
from tests.unit.standins import StateStore, Task

pytestmark = pytest.mark.usefixtures("no_pauses")
ROWS = [{"name": "A", "employees": 5, "founded": "2026-01-01", "deep": {"tags": ["x"]}}, {"name": "B", "employees": 7}]
BROKEN = b'{"a": 1}\nnull\n'


@pytest.fixture
def workflow(emulator: Emulator) -> str:
    """Two blocks that make files: 2 and 3."""
    return emulator.store_workflow("lead_enrichment", "find_email")


class Files:
    """A storage host with files that a test gives it."""

    def __init__(self, server: Server, contents: dict[str, bytes]) -> None:
        self.server = server
        self.contents = contents

    def add(self, name: str, content: bytes) -> dict[str, Any]:
        """Return the result file for a plan of the emulator."""
        self.contents[name] = content
        url = f"{self.server.url}/{name}"
        return {"filename": name, "download_url": url, "rows": [{"n": 1}], "omit": ["file_size", "row_count"]}


@pytest.fixture
def files() -> Iterator[Files]:
    contents: dict[str, bytes] = {}

    def answer(request: Request) -> Reply:
        return Reply(200, contents[request.path[1:]])

    with Server(answer) as server:
        yield Files(server, contents)


def land(job_id: str, folder: Path, **more: Any) -> list[dict[str, Any]]:
    arguments = {"destination": f"file://{folder}", "output_format": "parquet", **more}
    landed: list[dict[str, Any]] = Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, **arguments)
    ).run()
    return landed


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def warnings(logs: Logs) -> list[str]:
    return [line.text for line in logs.lines if line.level == "warning" and "arquet" in line.text]


def test_from_ndjson_where_the_run_has_it(emulator: Emulator, workflow: str, folder: Path, logs: Logs) -> None:
    emulator.plan(results=[{"filename": "out.ndjson", "rows": ROWS}])
    [landed] = land(
        emulator.completed_run(workflow, result_formats="ndjson"), folder, parquet_schema={"founded": "date32"}
    )

    assert names(folder) == [MANIFEST, "out.parquet"]
    content = (folder / "out.parquet").read_bytes()
    table = pq.read_table(io.BytesIO(content))
    assert table.to_pylist()[0]["deep"]["tags"] == ["x"]
    assert (table.schema.field("employees").type, table.schema.field("founded").type) == (pa.int64(), pa.date32())
    assert (landed["rows"], landed["bytes"], landed["sha256"], landed["filename"]) == (
        2,
        len(content),
        hashlib.sha256(content).hexdigest(),
        "out.ndjson",
    )
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["format"], [file["format"] for file in manifest["files"]]) == ("parquet", ["parquet"])
    assert warnings(logs) == []


def test_else_from_csv_as_text(emulator: Emulator, workflow: str, folder: Path) -> None:
    [landed] = land(emulator.completed_run(workflow), folder, parquet_schema={"name": "large_string"})

    table = pq.read_table(io.BytesIO((folder / landed["path"].rpartition("/")[2]).read_bytes()))
    assert {str(field.type) for field in table.schema} == {"string", "large_string"}
    assert [row["name"] for row in table.to_pylist()] == ["Lead One", "Lead Two"]


@pytest.mark.parametrize(
    ("name", "content", "schema", "why"),
    [
        ("out.ndjson", BROKEN, None, "line 'null' is no JSON object"),
        ("out.ndjson", lines(ROWS), {"name": "int64"}, "column 'name', row 1: 'A' can't be cast to int64"),
        ("out.csv", b"a\n1\nx\n", {"a": "int64"}, "column 'a', row 2: 'x' can't be cast to int64"),
    ],
    ids=["broken", "NDJSON", "CSV"],
)
def test_what_cannot_be_parquet_lands_as_it_came(
    emulator: Emulator,
    workflow: str,
    folder: Path,
    logs: Logs,
    files: Files,
    name: str,
    content: bytes,
    schema: dict[str, str] | None,
    why: str,
) -> None:
    format = name.rpartition(".")[2]
    emulator.plan(results=[files.add(name, content)])
    job_id = emulator.completed_run(workflow, result_formats=format)
    [landed] = first = land(job_id, folder, parquet_schema=schema)

    assert names(folder) == [MANIFEST, name]
    assert (folder / name).read_bytes() == content
    assert landed == {
        "path": f"file://{folder}/{name}",
        "rows": 2,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "block_number": landed["block_number"],
        "filename": name,
    }
    manifest = json.loads((folder / MANIFEST).read_text())
    assert [file["format"] for file in manifest["files"]] == [format]
    [warning] = warnings(logs)
    assert warning.startswith(f"Not written as Parquet, but as the {format} that it was: {why}")

    # A landing that is done, whatever it has become.
    emulator.clear()
    assert land(job_id, folder, parquet_schema=schema, overwrite=False) == first
    assert emulator.requests() == []
    assert len(files.server.requests) == 1
    # Again as Parquet, once the schema is right.
    if schema:
        assert land(job_id, folder, overwrite=True)[0]["path"].endswith("/out.parquet")


def test_one_of_several_that_cannot_be_parquet(emulator: Emulator, workflow: str, folder: Path, files: Files) -> None:
    emulator.plan(
        results=[files.add("a.ndjson", b'{"a": 1}\n'), files.add("b.ndjson", BROKEN), files.add("c.ndjson", b"")]
    )
    job_id = emulator.completed_run(workflow, result_formats="ndjson")
    first = land(job_id, folder, files="all")

    assert names(folder) == [MANIFEST, "a.parquet", "b.ndjson", "c.parquet"]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert [file["format"] for file in manifest["files"]] == ["parquet", "ndjson", "parquet"]

    # What is torn is fetched again, and nothing else.
    (folder / "a.parquet").write_bytes(b"torn")
    files.server.requests.clear()
    assert land(job_id, folder, files="all", overwrite=False) == first
    assert [request.path for request in files.server.requests] == ["/a.ndjson"]


def test_one_warning_names_what_differs(
    emulator: Emulator, workflow: str, folder: Path, logs: Logs, files: Files
) -> None:
    emulator.plan(results=[files.add("out.ndjson", b'{"a": "\\ud83d", "": 1}\n')])
    land(emulator.completed_run(workflow, result_formats="ndjson"), folder)

    assert pq.read_table(folder / "out.parquet").to_pylist() == [{"a": "\ufffd", "column_2": 1}]
    [warning] = warnings(logs)
    assert "became U+FFFD: 1" in warning
    assert "'column_2'" in warning


def test_with_strict_a_difference_is_still_an_error(
    emulator: Emulator, workflow: str, folder: Path, files: Files
) -> None:
    emulator.plan(results=[{**files.add("out.ndjson", BROKEN), "omit": [], "row_count": 99, "file_size": len(BROKEN)}])
    with pytest.raises(Exception, match="2 rows; the API said 99"):
        land(emulator.completed_run(workflow, result_formats="ndjson"), folder, on_mismatch="fail")

    assert not folder.exists()


def test_an_enrichment_whose_result_could_not_be_parquet_is_complete(
    emulator: Emulator, tmp_path: Path, files: Files
) -> None:
    workflow = emulator.store_workflow("find_email", source="webhook")
    emulator.plan(results=[files.add("out.ndjson", BROKEN)])

    def enrich() -> Any:
        return Task(
            lambda: SixtyfourEnrichOperator(
                task_id="enrich",
                workflow_id=workflow,
                rows=[{"name": "A"}],
                destination=f"file://{tmp_path}/enriched",
                output_format="parquet",
                poll_interval=0.02,
            ),
            store=StateStore(),
        ).run()

    first = enrich()
    assert [Path(file["path"]).name for file in first["files"]] == ["out.ndjson"]
    assert enrich() == first
    assert len(emulator.runs()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output_format": "parquet", "format": "json"}, "Parquet is made of csv or ndjson"),
        ({"output_format": "xlsx"}, "output_format should be None, csv or parquet, not 'xlsx'"),
        ({"output_format": "parquet", "parquet_schema": {"a": "number"}}, "gives column 'a' the type 'number'"),
        ({"output_format": "parquet", "parquet_schema": {"a": "list<number>"}}, "gives column 'a' the type"),
        ({"output_format": "parquet", "parquet_schema": ["a"]}, "parquet_schema should be a dict"),
    ],
)
def test_parameters_that_cannot_be_right_ask_nothing(
    emulator: Emulator, folder: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowFailException, match=message):
        land("j", folder, **arguments)

    assert emulator.requests() == []


def test_pyarrow_is_imported_only_for_parquet() -> None:
    code = (
        "import sys\n"
        "from airflow_provider_sixtyfour.results import landing\n"
        "from airflow_provider_sixtyfour.results.options import LandingOptions\n"
        "LandingOptions(output_format='parquet')\n"
        "assert 'pyarrow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("format", ["csv", "json", "ndjson"])
def test_rows_that_come_along_may_hold_half_a_surrogate_pair(format: str) -> None:
    rows = [{"a\ud83d": "x\ude00", "ok": "😀"}]
    content = b"".join(FORMATS[format].encode(rows)).decode()

    if format == "csv":
        assert content == "a\ufffd,ok\r\nx\ufffd,😀\r\n"
    else:
        assert json.loads(content) == (rows if format == "json" else rows[0])
