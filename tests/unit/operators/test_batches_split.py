"""An input in a store becomes batches in a store, each whole, and references that a task can be mapped over."""

import csv
import hashlib
import inspect
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, ObjectStoragePath

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourTransferError
from airflow_provider_sixtyfour.operators import batches
from airflow_provider_sixtyfour.operators.batches import SixtyfourSplitInputOperator, split_input
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.task_groups.enrichment import sixtyfour_enrichment
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from tests.unit.conftest import until
from tests.unit.standins import Task
from tests.unit.transfers.test_sixtyfour_to_object_storage import peak_megabytes

LEADS = "Name,email\n" + "".join(f'"Lead, {number}",{number % 7}@x\n' for number in range(10))


@pytest.fixture
def leads(tmp_path):
    path = tmp_path / "in" / "leads.csv"
    path.parent.mkdir()
    path.write_text(LEADS)
    return path


def split(**more):
    return Task(lambda: SixtyfourSplitInputOperator(task_id="split", **more)).run()


def content(batch):
    return Path(batch["path"].removeprefix("file://")).read_bytes()


def everything_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_becomes_batches(leads, folder):
    made = split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4)

    assert [(batch["index"], batch["rows"]) for batch in made] == [(0, 4), (1, 4), (2, 2)]
    assert made[0] == {
        "index": 0,
        "path": f"file://{folder}/leads-00000.csv",
        "rows": 4,
        "bytes": len(content(made[0])),
        "sha256": hashlib.sha256(content(made[0])).hexdigest(),
    }
    assert everything_below(folder) == [f"leads-0000{number}.csv" for number in range(3)]
    rows = [row for batch in made for row in csv.DictReader(content(batch).decode().splitlines())]
    assert rows == list(csv.DictReader(LEADS.splitlines()))


def test_a_run_takes_a_batch(emulator, leads, folder):
    made = split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4)
    workflow = emulator.store_workflow(source="read_csv")

    for batch in made:
        source = batch["path"]
        handle = Task(lambda source=source: ObjectStorageToSixtyfourOperator(task_id="up", source=source)).run()
        Task(
            lambda handle=handle: SixtyfourRunWorkflowOperator(
                task_id="run", workflow_id=workflow, resource_handle_id=handle, poll_interval=0.02
            )
        ).run()

    assert [run["rows"] for run in emulator.runs()] == [batch["rows"] for batch in made]


def test_everything_at_once_and_templates(leads, folder, logs):
    task = Task(
        lambda: SixtyfourSplitInputOperator(
            task_id="split",
            source="file://{{ params.source }}",
            destination="file://{{ params.folder }}/{{ run_id }}/",
            rename_columns={"Name": "{{ 'company' }}"},
            unique_by="{{ 'email' }}",
            required=["company", "email"],
            row_check=lambda row: "it is the second" if row["company"] == "Lead, 1" else None,
            rejects="file://{{ params.folder }}/rejects.ndjson",
            batch_rows="{{ 3 }}",
            batch_bytes="{{ 1000 }}",
            max_rows="{{ 7 }}",
            max_runs="{{ 3 }}",
        ),
        params={"source": str(leads), "folder": str(folder)},
    )

    made = task.run()

    assert [batch["rows"] for batch in made] == [3, 3, 1]
    assert content(made[0]) == b'company,email\n"Lead, 0",0@x\n"Lead, 2",2@x\n"Lead, 3",3@x\n'
    rejects = [json.loads(line) for line in (folder / "rejects.ndjson").read_text().splitlines()]
    assert [(entry["line"], entry["reason"]) for entry in rejects] == [
        (3, "it is the second"),
        (9, "an earlier row has the same email"),
        (11, "an earlier row has the same email"),
    ]
    assert rejects[0]["text"] == '"Lead, 1",1@x'
    written = (folder / "rejects.ndjson").read_bytes()
    assert task.ti.xcoms["summary"] == {
        "batches": 3,
        "rows": 7,
        "duplicates": 2,
        "rejects": {
            "path": f"file://{folder}/rejects.ndjson",
            "rows": 3,
            "bytes": len(written),
            "sha256": hashlib.sha256(written).hexdigest(),
        },
        "columns": ["company", "email"],
    }
    assert "Split leads.csv into 3 batches: 7 rows (2 duplicates, 1 rejected), 140 bytes, in 0." in logs
    assert f"Batches: file://{folder}/scheduled__2026-11-01. Rejects: file://{folder}/rejects.ndjson." in logs


def test_rows_of_an_upstream_task(folder, tmp_path):
    rows = [{"company": "Example", "n": number, "tags": ["a", None]} for number in range(5)]

    for given in (rows, iter(rows), json.dumps(rows)):
        made = split(rows=given, destination=f"file://{folder}", batch_rows=2, rename_columns={"n": "number"})

        assert [batch["path"] for batch in made] == [f"file://{folder}/rows-0000{number}.ndjson" for number in range(3)]
        found = [json.loads(line) for batch in made for line in content(batch).splitlines()]
        assert found == [{"company": "Example", "number": number, "tags": ["a", None]} for number in range(5)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert len(split(rows=f"{tmp_path}/rows.json", destination=f"file://{folder}")) == 1
    assert split(rows=[], destination=f"file://{folder}") == []


def test_a_store_that_is_no_disk(memory_store):
    memory_store.pipe("/bucket/in/leads.csv", LEADS.encode())

    made = split(
        source="memory://bucket/in/leads.csv",
        destination=ObjectStoragePath("memory://bucket/out"),
        rejects="memory://bucket/out/rejects.ndjson",
        unique_by="email",
        batch_rows=5,
    )

    paths = [batch["path"].replace(":///", "://") for batch in made]  # Airflow 2 spells it with three slashes
    assert paths == [f"memory://bucket/out/leads-0000{number}.csv" for number in (0, 1)]
    for batch in made:
        stored = memory_store.cat(batch["path"].removeprefix("memory://"))
        assert hashlib.sha256(stored).hexdigest() == batch["sha256"]
    assert len(memory_store.cat("/bucket/out/rejects.ndjson").splitlines()) == 3


def test_the_same_input_gives_the_same_files_again(leads, folder):
    made = split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4)
    before = {name: (folder / name).read_bytes() for name in everything_below(folder)}
    (folder / "leads-00001.csv").write_text("a try that was killed left half a file")

    assert split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4) == made
    assert {name: (folder / name).read_bytes() for name in everything_below(folder)} == before


def test_a_try_after_a_kill_leaves_what_an_undisturbed_one_leaves(leads, folder, tmp_path):
    with leads.open("a") as file:
        file.writelines(f"Lead {number},{number}@x\n" for number in range(30_000))
    code = f"""
from airflow_provider_sixtyfour.operators.batches import split_input
split_input(source="file://{leads}", destination="file://{folder}", batch_rows=200)
"""
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: killed.poll() is not None or (folder.exists() and len(list(folder.glob("*.csv"))) > 5), 60)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL, "it was too quick to be killed"
    for path in folder.glob("*.csv"):
        assert len(path.read_bytes().splitlines()) == 201

    split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=200)
    split(source=f"file://{leads}", destination=f"file://{tmp_path}/undisturbed", batch_rows=200)

    assert everything_below(folder) == everything_below(tmp_path / "undisturbed")
    for name in everything_below(folder):
        assert (folder / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_what_a_longer_input_has_left_is_not_among_the_references(leads, folder):
    split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4)
    leads.write_text("Name,email\nOne,1@x\n")

    made = split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4)

    assert [batch["path"] for batch in made] == [f"file://{folder}/leads-00000.csv"]
    assert len(everything_below(folder)) == 3


@pytest.mark.parametrize("break_at", [11, 200])
def test_an_error_in_the_middle_leaves_whole_files_only(leads, folder, break_at):
    lines = LEADS.splitlines(keepends=True) * 20
    lines = [lines[0], *(line for line in lines if not line.startswith("Name"))]
    lines[break_at - 1] = "ragged\n"
    leads.write_text("".join(lines))

    with pytest.raises(AirflowFailException, match=f"Line {break_at}: the header has 2 cells, this row 1"):
        split(
            source=f"file://{leads}",
            destination=f"file://{folder}",
            batch_rows=4,
        )

    for name in everything_below(folder):
        assert len(list(csv.reader((folder / name).read_text().splitlines()))) == 5


def test_rejects_are_there_only_if_the_split_has_succeeded(leads, folder):
    leads.write_text(LEADS + "ragged\n" + '5" pipe,x\n')

    with pytest.raises(AirflowFailException, match="Line 13: in the row that begins here there is text before an"):
        split(source=f"file://{leads}", destination=f"file://{folder}", rejects=f"file://{folder}/rejects.ndjson")

    assert not (folder / "rejects.ndjson").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": None}, "Give source or rows, and not both"),
        ({"rows": [{"a": 1}]}, "Give source or rows, and not both"),
        ({"source": "{folder}/leads.csv"}, "source should be a URL with a scheme"),
        ({"source": "file://{folder}/missing.csv"}, "There is no file file://"),
        ({"source": "file://{folder}/folder.csv"}, "folder.csv is a folder, not a file"),
        ({"source": "file://{folder}/leads.xlsx"}, "its name should end in .csv, .ndjson, .jsonl"),
        ({"source": "file://{folder}/empty.csv"}, "The file is empty: a CSV file begins with a line of column names"),
        ({"destination": "/data"}, "destination should be a URL with a scheme"),
        ({"rejects": "rejects.ndjson"}, "rejects should be a URL with a scheme"),
        ({"rejects": f"file:///{'r' * 256}"}, "rejects has a name of 256 bytes in it; file systems take 255"),
        ({"destination": f"file:///{'d' * 256}"}, "destination has a name of 256 bytes in it; file systems take 255"),
        ({"destination": f"file:///{'d/' * 2_100}"}, "destination is too long by "),
        ({"delimiter": ";"}, "Separated by commas, not by semicolons: leave delimiter out"),
        ({"delimiter": "semi"}, "delimiter should be one character that separates the cells"),
        ({"source": None, "rows": [{"a": 1}], "delimiter": ";"}, "delimiter is for a file of CSV"),
        ({"source": "file://{folder}/lines.ndjson", "delimiter": ";"}, "delimiter is for CSV: leave it out for "),
        ({"source": "file://{folder}/leads.tsv"}, "with delimiter='tab', also .tsv"),
        ({"rename_columns": {"nobody": "x"}}, "There is no column 'nobody'; there are: 'Name', 'email'"),
        ({"rename_columns": "x"}, "rename_columns should give new names by old ones"),
        ({"unique_by": "nobody"}, "There is no column 'nobody'"),
        ({"unique_by": ["email", "email"]}, "unique_by has twice the name 'email'"),
        ({"unique_by": [1]}, "unique_by should be names of columns"),
        ({"required": {"a": 1}}, "required should be names of columns"),
        ({"required": 7}, "required should be names of columns"),
        ({"row_check": "x"}, "row_check should be a function of a row"),
        ({"batch_rows": 0}, "batch_rows should be a whole number from 1 to 100,000"),
        ({"batch_rows": "many"}, "batch_rows should be a whole number"),
        ({"batch_bytes": 10**9}, "batch_bytes should be a whole number from 1 to 100,000,000"),
        ({"batch_bytes": 20}, "Line 2: this row has"),
        ({"max_rows": 9}, "There are more than the 9 rows of max_rows"),
        ({"max_rows": 0}, "max_rows should be a number of rows, or None for no limit"),
        ({"max_rows": "all"}, "max_rows should be a number of rows"),
        ({"max_rows": True}, "max_rows should be a number of rows"),
        ({"max_runs": 0}, "max_runs should be a number of runs, or None for no limit"),
    ],
    ids=lambda value: str(value)[:80],
)
def test_invalid_arguments_fail_for_good(leads, folder, arguments, message):
    (leads.parent / "folder.csv").mkdir()
    (leads.parent / "empty.csv").touch()
    for name in ("leads.xlsx", "leads.tsv", "lines.ndjson"):
        (leads.parent / name).touch()
    given = {"source": "file://{folder}/leads.csv", "destination": f"file://{folder}", **arguments}
    if given["source"]:
        given["source"] = given["source"].format(folder=leads.parent)

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        split(**given)

    assert not folder.exists() or everything_below(folder) == []


def test_more_batches_than_may_be_run_fail_for_good(leads, folder):
    given = {"source": f"file://{leads}", "destination": f"file://{folder}", "max_runs": 3}

    assert len(split(batch_rows=4, **given)) == 3
    with pytest.raises(AirflowFailException, match="There are more than the 3 batches of max_runs"):
        split(batch_rows=3, **given)


def test_the_function_does_what_the_operator_does(leads, folder):
    for one, other in (
        (batches.split_input, SixtyfourSplitInputOperator),
        (batches.repair_input, batches.SixtyfourRepairInputOperator),
    ):
        own = inspect.signature(other).parameters
        for name, parameter in inspect.signature(one).parameters.items():
            assert parameter.default == own[name].default, name
            assert f":param {name}:" in other.__doc__
        assert set(own) - {"kwargs", "subfolder"} == set(inspect.signature(one).parameters)
    of_the_operator = split(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4)

    made = split_input(source=f"file://{leads}", destination=f"file://{folder}", batch_rows=4)

    assert made == of_the_operator
    with pytest.raises(SixtyfourInputError, match="Give source or rows"):
        split_input(destination=f"file://{folder}")


def test_every_field_that_a_user_would_template_is():
    for operator in (SixtyfourSplitInputOperator, batches.SixtyfourRepairInputOperator):
        own = set(inspect.signature(operator).parameters) - {"kwargs", "row_check", "subfolder"}
        assert own == set(operator.template_fields)


def test_a_store_is_not_asked_for_more_than_is_read(memory_store, monkeypatch):
    """Some stores' own default is to read 50 MiB ahead."""
    memory_store.pipe("/in/leads.csv", LEADS.encode())
    asked = []
    real = fsspec.implementations.memory.MemoryFileSystem._open

    def opened(self, path, mode="rb", block_size=None, **more):
        asked.append((mode, block_size))
        return real(self, path, mode, block_size, **more)

    monkeypatch.setattr(fsspec.implementations.memory.MemoryFileSystem, "_open", opened)

    split(source="memory://in/leads.csv", destination="memory://out")

    assert ("rb", 4 * 2**20) in asked


def test_memory_does_not_grow_with_the_file(tmp_path):
    path, row = tmp_path / "leads.csv", b'Lead,"one, two",' + b"x" * 130 + b"\n"
    with path.open("wb") as file:
        file.write(b"a,b,c\n")
        for _ in range(100):
            file.write(row * 10_000)
    assert path.stat().st_size > 140_000_000

    used = peak_megabytes(
        f"""
from airflow_provider_sixtyfour.operators.batches import split_input
made = split_input(source="file://{path}", destination="file://{tmp_path}/out", batch_rows=100_000, batch_bytes=10**8)
assert [batch["rows"] for batch in made] == [100_000] * 10
""",
        warm_up=f"""
from airflow_provider_sixtyfour.operators.batches import split_input
split_input(rows=[{{"a": 1}}], destination="file://{tmp_path}/out")
""",
    )

    assert used < 64


@pytest.mark.parametrize(("name", "delimiter"), [("leads.csv", ";"), ("leads.tsv", "\t"), ("leads.txt", "tab")])
def test_another_separator_becomes_commas(leads, folder, name, delimiter):
    path = leads.parent / name
    path.write_text('Name{0}email\nOne, Ltd{0}1@x\n"Two"{0}2@x\n'.format("\t" if delimiter == "tab" else delimiter))

    [made] = split(
        source=f"file://{path}",
        destination=f"file://{folder}",
        delimiter=delimiter,
        unique_by="email",
        rename_columns={"Name": "company"},
    )

    assert made["path"] == f"file://{folder}/leads-00000.csv"
    assert content(made) == b'company,email\n"One, Ltd",1@x\n"Two",2@x\n'


def test_the_task_group_takes_a_separator():
    with DAG("enrichment", schedule=None) as dag:
        sixtyfour_enrichment(
            workflow_id="w", source="file:///leads.csv", destination="file:///out", split={"delimiter": "tab"}
        )

    assert dag.get_task("sixtyfour_enrichment.split").delimiter == "tab"


@pytest.mark.parametrize("name", ["destination", "rejects"])
def test_a_place_that_can_not_be_written_to_is_named(leads, tmp_path, name):
    given = {"destination": f"file://{tmp_path}/sent", name: f"file://{leads}/below/a-file"}

    with pytest.raises(
        SixtyfourTransferError, match=r"^Not a directory .*: could not write file://.*/leads\.csv/below"
    ):
        split(source=f"file://{leads}", **given)


@pytest.mark.parametrize("error", [PermissionError("Forbidden"), RuntimeError("Unable to locate credentials")])
def test_a_source_that_may_not_be_read_is_named(leads, folder, monkeypatch, error):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(fsspec.implementations.local.LocalFileSystem, "open", refuse)

    with pytest.raises(SixtyfourTransferError, match=rf"could not read file://{leads}\..* Nothing was started or paid"):
        split(source=f"file://{leads}", destination=f"file://{folder}")
