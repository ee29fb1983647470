"""Input files go up as they are, streamed, and come back as a handle that a run can use."""

import io
import json
import re
from typing import ClassVar

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.operators.batches import split_input
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from tests.unit.conftest import attach
from tests.unit.standins import Task
from tests.unit.transfers.test_sixtyfour_to_object_storage import peak_megabytes

pytestmark = pytest.mark.usefixtures("no_pauses")
CONTENT = {
    "csv": "name\nLead One\nLead Two\n",
    "json": '[{"name": "Lead One"}, {"name": "Lead Two"}]',
    "jsonl": '{"name": "Lead One"}\n{"name": "Lead Two"}\n',
    "ndjson": '{"name": "Lead One"}\n{"name": "Lead Two"}\n',
}


def upload(source, **more):
    return Task(lambda: ObjectStorageToSixtyfourOperator(task_id="upload", source=source, **more)).run()


def uploads(emulator):
    return emulator.asked("POST", "/storage/csv/upload")


@pytest.mark.parametrize("name", ["leads.csv", "leads.json", "leads.jsonl", "leads.ndjson", "LEADS.CSV", "a b é.csv"])
def test_a_file_goes_up_and_a_run_reads_it(emulator, tmp_path, name, logs):
    path = tmp_path / name
    path.write_text(CONTENT[path.suffix.lower().lstrip(".")])
    workflow = emulator.store_workflow(source="read_csv")

    handle = upload(f"file://{path}")
    Task(
        lambda: SixtyfourRunWorkflowOperator(
            task_id="run", workflow_id=workflow, resource_handle_id=handle, poll_interval=0.02
        )
    ).run()

    [run] = emulator.runs()
    assert (run["rows"], run["status"]) == (2, "completed")
    assert len(uploads(emulator)) == 1
    assert any(
        text.startswith(f"Uploaded 2 rows, {path.stat().st_size} bytes") and text.endswith(f"Handle {handle}.")
        for text in logs.texts()
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "file://{folder}/leads.xlsx",
            "The API takes files that end in .csv, .json, .jsonl, .ndjson, not 'leads.xlsx'",
        ),
        ("file://{folder}/leads", "not 'leads'"),
        ("file://{folder}/missing.csv", "There is no file"),
        ("file://{folder}/empty.csv", "is empty"),
        ("file://{folder}/folder.csv", "is a folder, not a file"),
        ("{folder}/leads.csv", "source should be a URL with a scheme"),
        ("", "source should be a URL with a scheme"),
        ("nosuch://bucket/leads.csv", "source 'nosuch://bucket/leads.csv' can't be reached"),
        ("ftp://127.0.0.1/leads.csv", "Is the extra for its store installed (s3, gcs, azure)?"),
    ],
)
def test_an_invalid_source_fails_for_good_and_sends_nothing(emulator, tmp_path, source, message):
    for name in ("leads.xlsx", "leads", "leads.csv"):
        (tmp_path / name).write_text("name\nLead One\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "folder.csv").mkdir()

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        upload(source.format(folder=tmp_path))

    assert emulator.requests() == []


def test_a_store_that_is_no_disk_and_a_template(emulator, memory_store):
    memory_store.pipe("/bucket/in/leads.csv", CONTENT["csv"].encode())
    one = Task(
        lambda: ObjectStorageToSixtyfourOperator(
            task_id="upload", source="memory://bucket/{{ params.folder }}/leads.csv"
        ),
        params={"folder": "in"},
    )

    assert one.run()
    assert upload(ObjectStoragePath("memory://bucket/in/leads.csv"))
    with pytest.raises(AirflowFailException, match="There is no file"):
        upload("memory://bucket/in/missing.csv")


def test_an_upload_during_an_outage_is_sent_again_from_its_beginning(emulator, tmp_path):
    path = tmp_path / "leads.csv"
    path.write_text(CONTENT["csv"])
    emulator.fault("reset", path="/storage/csv/upload", times=2)
    emulator.fault("answer", path="/storage/csv/upload", status=503)
    workflow = emulator.store_workflow(source="read_csv")

    handle = upload(f"file://{path}")

    assert len(uploads(emulator)) == 4
    emulator.api("POST", f"/workflows/run?workflow_id={workflow}", {"specs_override": {"resource_handle_id": handle}})
    assert emulator.runs()[0]["rows"] == 2


def test_a_file_that_the_api_refuses_fails_for_good_after_one_request(emulator, tmp_path):
    (tmp_path / "leads.json").write_text("{broken")

    with pytest.raises(AirflowFailException, match=r"answered 400: .*not JSON.* While uploading leads\.json"):
        upload(f"file://{tmp_path}/leads.json")

    assert len(uploads(emulator)) == 1


BROKEN = [
    ("leads.csv", 'name,city\nA,B\n"C,D\nE,F\n', "Line 3: a quoted cell begins here and isn't closed"),
    ("leads.csv", "name,city\nA,B\nC,D,E\n", "Line 3: the header has 2 cells, this row 3"),
    ("leads.csv", 'name,city\n"A\nB",C\nD"x,E\n', "Line 4: in the row that begins here there is text"),
    ("leads.csv", "name\nA\0B\n", "Line 2: a NUL byte"),
    ("leads.csv", b"name\nA\n\xff\n", "Line 3: not UTF-8"),
    ("leads.csv", "name\n", "The file has no rows: leads.csv"),
    ("leads.ndjson", '{"name": "A"}\n\n{"name": \n', "Line 3: not JSON"),
    ("leads.jsonl", '{"name": "A"}\n["B"]\n', "Line 2: JSON, but no object"),
    ("leads.ndjson", "\n \n", "The file has no rows: leads.ndjson"),
    ("leads.json", "[ ]", "The file has no rows: leads.json"),
    ("leads.json", "<!DOCTYPE html>\n", "The file is an HTML page"),
    ("leads.json", b"\x1f\x8b\x08", "The file is compressed with gzip"),
    ("leads.json", '[{"name": "A"}]'.encode("utf-16"), "Line 1: the file is UTF-16"),
    ("leads.json", "name,city\nA,B\n", "The file is no JSON array or object"),
    ("leads.json", " \n", "The file is no JSON array or object"),
    ("leads.json", "null", "The file is no JSON array or object"),
    ("leads.json", "[" * 9_000 + "]" * 9_000, "The rows can't be counted: JSON is nested too deeply in leads.json"),
]


@pytest.mark.parametrize(("name", "content", "message"), BROKEN, ids=lambda value: str(value)[:30])
def test_the_broken_line_is_named_and_nothing_is_sent(emulator, tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        upload(f"file://{path}")

    assert emulator.requests() == []


@pytest.mark.parametrize("name", CONTENT)
def test_too_many_rows_or_bytes_are_not_sent(emulator, tmp_path, name):
    path = tmp_path / f"leads.{name}"
    path.write_text(CONTENT[name])
    size = path.stat().st_size

    with pytest.raises(AirflowFailException, match=r"more than 1 rows, which is what max_rows allows"):
        upload(f"file://{path}", max_rows=1)
    with pytest.raises(AirflowFailException, match=f"has {size} bytes; max_bytes allows {size - 1}"):
        upload(f"file://{path}", max_bytes=size - 1)
    assert emulator.requests() == []

    assert upload(f"file://{path}", max_rows=2, max_bytes=size)


def test_the_limits_are_the_documented_ones():
    operator = ObjectStorageToSixtyfourOperator(task_id="upload", source="file:///x.csv")

    assert (operator.max_bytes, operator.max_rows) == (100_000_000, 100_000)


def test_without_validation_the_api_is_asked(emulator, tmp_path):
    path = tmp_path / "leads.ndjson"
    path.write_text('{"name": "A"}\n{"name": \n')

    with pytest.raises(AirflowFailException, match=r"answered 400: .*Line 2.* While uploading leads\.ndjson"):
        upload(f"file://{path}", validate=False)


def test_a_name_that_breaks_out_of_its_header_is_sent_as_a_name(emulator, tmp_path):
    path = tmp_path / 'x"; filename="y.csv'
    path.write_text(CONTENT["csv"])

    assert upload(f"file://{path}")


def test_memory_does_not_grow_with_the_file(emulator, tmp_path):
    path = tmp_path / "leads.ndjson"
    row = json.dumps({"text": "x" * 1_000_000}) + "\n"
    with path.open("w") as file:
        file.writelines(row for _ in range(301))
    assert path.stat().st_size > 300_000_000

    used = peak_megabytes(
        f"""
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator as Upload
assert Upload(task_id="upload", source="file://{path}", max_bytes=400_000_000).execute({{}})
""",
        warm_up="""
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.api import calls
SixtyfourHook().client.send(calls.list_workflows())
import httpx, airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour
from airflow.providers.common.compat.sdk import ObjectStoragePath
ObjectStoragePath("file:///tmp").exists()
""",
    )

    assert used < 60
    [sent] = uploads(emulator)
    assert int(sent["headers"]["content-length"]) > 300_000_000
    assert "transfer-encoding" not in sent["headers"]


class CachingStore(MemoryFileSystem):
    """A store whose client keeps the list of each folder, as those of S3, Azure and Google do."""

    store: ClassVar = {}
    pseudo_dirs: ClassVar = [""]
    cachable = False

    def __init__(self):
        super().__init__()
        self.lists = {}

    def info(self, path, **more):
        folder = self._parent(self._strip_protocol(path))
        if folder not in self.lists:
            self.lists[folder] = {one["name"]: one for one in self.ls(folder)}
        if (found := self.lists[folder].get(self._strip_protocol(path))) is None:
            raise FileNotFoundError(path)
        return found

    def _open(self, path, mode="rb", **more):
        if mode != "rb":
            return super()._open(path, mode, **more)
        size = self.info(path)["size"]
        return io.BytesIO(super()._open(path, mode, **more).read(size))

    def invalidate_cache(self, path=None):
        self.lists.clear()


@pytest.fixture(scope="module")  # Airflow keeps the first that is attached
def caching_store():
    store = CachingStore()
    attach("memory", conn_id="caching", fs=store)
    return store


def test_a_file_that_was_added_or_replaced_after_its_folder_was_listed_is_there(emulator, caching_store):
    """For example, a sensor has listed the folder in the same process."""
    store = caching_store
    store.pipe_file("/in/other.csv", b"name\n")
    assert not store.exists("/in/leads.csv")

    def put(content):
        """Put a file there as another process does: this one's client doesn't learn of it."""
        store.store["/in/leads.csv"] = MemoryFile(store, "/in/leads.csv", content)

    put(CONTENT["csv"].encode())

    assert upload("memory://caching@in/leads.csv")
    assert store.info("/in/leads.csv")["size"] == 23
    put(CONTENT["csv"].encode() + b"Lead Three\n")
    assert [
        batch["rows"]
        for batch in split_input(source="memory://caching@in/leads.csv", destination="memory://caching@out")
    ] == [3]


@pytest.mark.parametrize("name", ["x" * 252, "\ud83d", "leads.csv/leads"], ids=["long", "half a pair", "below a file"])
def test_a_name_that_no_file_can_have_is_reported(emulator, tmp_path, name):
    (tmp_path / "leads.csv").write_text(CONTENT["csv"])

    with pytest.raises(AirflowFailException, match="There is no "):
        upload(f"file://{tmp_path}/{name}.csv")
    with pytest.raises(SixtyfourInputError, match="There is no "):
        split_input(source=f"file://{tmp_path}/{name}.csv", destination=f"file://{tmp_path}")


@pytest.mark.parametrize("stem", ["x" * 251, "leads\udcff", "会" * 83, "a\\b"], ids=ascii)
def test_whatever_a_file_is_called_it_goes_up(emulator, tmp_path, stem):
    (tmp_path / f"{stem}.csv").write_text(CONTENT["csv"])

    assert upload(f"file://{tmp_path}/{stem}.csv")


SEMICOLONS = b'\xef\xbb\xbfname;revenue\r\nLead One;1,5\r\n\r\n"Lead; Two";2\r\n'


@pytest.mark.parametrize("name", ["leads.csv", "leads.tsv", "LEADS.TXT"])
def test_another_separator_goes_up_as_commas(emulator, tmp_path, name, logs):
    path = tmp_path / name
    path.write_bytes(SEMICOLONS)
    workflow = emulator.store_workflow(source="read_csv")
    converted = b'name,revenue\r\nLead One,"1,5"\r\n"Lead; Two",2\r\n'

    handle = upload(f"file://{path}", delimiter=";", max_rows=2)
    Task(
        lambda: SixtyfourRunWorkflowOperator(
            task_id="run", workflow_id=workflow, resource_handle_id=handle, poll_interval=0.02
        )
    ).run()

    [run], [sent] = emulator.runs(), uploads(emulator)
    assert run["rows"] == 2
    assert int(sent["headers"]["content-length"]) > len(converted)
    assert any(
        text.startswith(f"Uploaded 2 rows, {len(converted)} bytes") and text.endswith(f"Handle {handle}.")
        for text in logs.texts()
    )
    with pytest.raises(AirflowFailException, match="more than 1 rows"):
        upload(f"file://{path}", delimiter=";", max_rows=1)


def test_another_separator_is_refused_by_name_and_nothing_is_sent(emulator, tmp_path):
    (tmp_path / "leads.csv").write_bytes(SEMICOLONS)
    (tmp_path / "leads.json").write_bytes(b"[]")

    with pytest.raises(
        AirflowFailException, match=r"^Separated by semicolons; this provider reads commas: convert the"
    ):
        upload(f"file://{tmp_path}/leads.csv")
    with pytest.raises(AirflowFailException, match=r"delimiter is for CSV, in files that end in \.csv"):
        upload(f"file://{tmp_path}/leads.json", delimiter=";")
    with pytest.raises(AirflowFailException, match="delimiter should be one character"):
        upload(f"file://{tmp_path}/leads.csv", delimiter="semi")
    assert emulator.requests() == []
