"""Half a file, an empty one and an error page never land; what only differs from the API's numbers does."""

from __future__ import annotations

import json

import pytest

from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.api.servers import Reply, Server
from tests.unit.standins import Task

pytestmark = pytest.mark.usefixtures("no_pauses")

BOM = b"\xef\xbb\xbf"
ROWS = b"name,email\nAda,ada@example.com\nGrace,grace@example.com\n"


@pytest.fixture
def workflow(emulator):
    return emulator.store_workflow("lead_enrichment", "find_email")


@pytest.fixture
def land_body(emulator, workflow, folder):
    """Land a file whose host answers with a body; ``claims`` is what the API announces of it."""

    def land(body, *, content_type="text/csv", format="csv", on_mismatch="warn", reply=None, **claims):
        made = reply or Reply(200, body, {"Content-Type": content_type})
        omit = [name for name in ("file_size", "row_count") if name not in claims]
        with Server(lambda request: made) as server:
            file = {"filename": "out", "download_url": f"{server.url}/f", "omit": omit, **claims}
            emulator.plan(results=[{**file, "rows": [{"n": 1}]}])
            job_id = emulator.completed_run(workflow, result_formats="ndjson", save_json="true")
            task = Task(
                lambda: SixtyfourToObjectStorageOperator(
                    task_id="land",
                    job_id=job_id,
                    destination=f"file://{folder}",
                    format=format,
                    on_mismatch=on_mismatch,
                )
            )
            return task.run()

    return land


def in_folder(folder):
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize("on_mismatch", ["warn", "fail"])
@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"file_size": len(ROWS) + 1}, rf"^out\.csv has only {len(ROWS)} of the {len(ROWS) + 1} bytes"),
        ({"file_size": 10**6, "row_count": 2}, r"^out\.csv has only .* of the 1,000,000 bytes .* and 2 of 2 rows"),
        ({"file_size": 10**6, "row_count": 50}, r"and 2 of 50 rows"),
    ],
    ids=str,
)
def test_fewer_bytes_than_announced_never_land(land_body, folder, claims, message, on_mismatch):
    with pytest.raises(SixtyfourTransferError, match=message) as failure:
        land_body(ROWS, on_mismatch=on_mismatch, **claims)

    assert "a retry of the task fetches it again and pays for nothing" in str(failure.value)
    assert in_folder(folder) == []


@pytest.mark.parametrize("claims", [{"row_count": 2}, {"file_size": 7}, {"row_count": 2, "file_size": 7}], ids=str)
def test_an_empty_body_never_lands_where_something_was_announced(land_body, folder, claims):
    with pytest.raises(SixtyfourTransferError, match=r"^out\.csv is empty; the API announced"):
        land_body(b"", **claims)

    assert in_folder(folder) == []


@pytest.mark.parametrize("claims", [{}, {"row_count": 0}, {"file_size": 0}], ids=str)
def test_an_empty_file_that_was_to_be_expected_lands(land_body, claims):
    assert land_body(b"", **claims)[0]["bytes"] == 0


NO_TABLES = {
    "html": b"<html>\r\n<head><title>503 Service Unavailable</title></head>\r\n</html>",
    "doctype": b"<!DOCTYPE html>\n<html lang='en'>\n<body>Log in, please</body>",
    "upper case": b"<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\n<HTML>",
    "with a BOM": BOM + b"\n  <html><body>Sign in, or leave</body></html>",
    "xhtml": b"<?xml version='1.0'?>\n<!-- a page -->\n<!DOCTYPE html PUBLIC 'x'>\n<html xmlns='y'>",
    "no frame": b"<head><title>Moved</title></head>",
    "S3": b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>',
    "Azure": BOM + b'<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code></Error>',
    "Google": b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>ExpiredToken</Code></Error>",
}
JSON = {
    "error": b'{"error": "expired", "message": "Log in, please"}',
    "detail": b' {"detail": [{"loc": ["x"], "msg": "y"}]}\n',
    "empty object": b"{}",
    "empty array": b"[]\n",
    "array": b'[\n{"name": "Ada"}, {"name": "Grace"}]',
    "lines": b'{"name": "Ada"}\n{"name": "Grace"}\n',
    "escaped": b'{"a \\" b": 1}',
}


@pytest.mark.parametrize("on_mismatch", ["warn", "fail"])
@pytest.mark.parametrize("is_announced", [False, True])
@pytest.mark.parametrize("name", [*NO_TABLES, *JSON])
def test_a_page_or_json_in_place_of_csv_never_lands(land_body, folder, name, is_announced, on_mismatch):
    body = {**NO_TABLES, **JSON}[name]
    claims = {"file_size": len(body)} if is_announced else {}

    with pytest.raises(
        SixtyfourTransferError, match=r"^out\.csv is (an HTML page|an XML error document|JSON), not CSV"
    ):
        land_body(body, on_mismatch=on_mismatch, **claims)

    assert in_folder(folder) == []


@pytest.mark.parametrize("format", ["json", "ndjson"])
@pytest.mark.parametrize(
    "body", [*NO_TABLES.values(), JSON["error"], JSON["detail"]], ids=[*NO_TABLES, "error", "detail"]
)
def test_an_error_in_place_of_json_never_lands(land_body, folder, body, format):
    with pytest.raises(SixtyfourTransferError, match="an error or login page in place of the file"):
        land_body(body, format=format, row_count=50)

    assert in_folder(folder) == []


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/html; charset=utf-8", "application/xhtml+xml", "TEXT/HTML"]
)
def test_what_its_host_calls_a_page_is_one_unless_the_numbers_are_right(land_body, folder, content_type):
    with pytest.raises(SixtyfourTransferError, match="as its host says, not CSV"):
        land_body(b"Please log in\n", content_type=content_type)
    with pytest.raises(SixtyfourTransferError, match="as its host says, not CSV"):
        land_body(b"Please log in\n", content_type=content_type, row_count=50, file_size=5)
    assert in_folder(folder) == []

    assert land_body(ROWS, content_type=content_type, file_size=len(ROWS))[0]["rows"] == 2
    assert land_body(ROWS, content_type=content_type, row_count=2)[0]["rows"] == 2


ODD_TABLES = [
    b"<b>name</b>,email\nAda,x\n",
    b"<html_snippet>,url\n<html>,x\n",
    b"<html>,name\n<html><body>,Ada\n",
    b"<title>;name\nx;y\n",
    b"<name>\nAda\n",
    b'"<!DOCTYPE html>",name\nx,y\n',
    b'"<html><head></head>"\nx\n',
    b"<a href='x'>link</a>,name\nx,y\n",
    b"{name},email\nAda,x\n",
    b"[id],name\n1,Ada\n",
    b'"{""error"": 1}",name\nx,y\n',
    b"error\nquota\n",
    b"\xff\xfe\x00,name\n1,2\n",
    b"<?xml,name\nx,y\n",
    b"<errors>,name\nx,y\n",
    b"<\n",
    b"{\n",
]


@pytest.mark.parametrize("body", ODD_TABLES, ids=ascii)
def test_odd_tables_land(land_body, folder, body):
    [landed] = land_body(body)

    assert landed["bytes"] == len(body)
    assert (folder / "out.csv").read_bytes() == body


@pytest.mark.parametrize(
    ("body", "format", "claims"),
    [
        (b'{"error": "no such company"}\n', "ndjson", {"row_count": 1}),
        (b'{"error": "none", "name": "Ada"}\n', "ndjson", {}),
        (b'{"error": "a"}\n{"error": "b"}\n', "ndjson", {}),
        (b'[{"error": "a"}]', "json", {}),
        (b'{"rows": []}', "json", {}),
        (b'{"error": "a"}', "json", {"file_size": 14}),
    ],
    ids=str,
)
def test_rows_with_error_messages_land(land_body, body, format, claims):
    assert land_body(body, format=format, **claims)[0]["bytes"] == len(body)


@pytest.mark.parametrize(
    ("claims", "message"),
    [
        ({"row_count": 99}, "out.csv has 2 rows; the API said 99"),
        ({"row_count": 1}, "out.csv has 2 rows; the API said 1"),
        ({"file_size": 7}, f"out.csv has {len(ROWS)} bytes; the API said 7"),
        ({"file_size": 7, "row_count": 99}, "out.csv has 2 rows; the API said 99"),
    ],
    ids=str,
)
def test_other_numbers_are_a_warning_or_an_error(land_body, folder, logs, claims, message):
    with pytest.raises(SixtyfourTransferError, match=f"^{message}.*on_mismatch='warn' lands it all the same"):
        land_body(ROWS, on_mismatch="fail", **claims)
    assert in_folder(folder) == []

    assert land_body(ROWS, **claims)[0]["rows"] == 2
    assert message in logs


def closing(body):
    return Reply(200, body, {"Content-Type": "text/csv"}, has_length=False)


def test_fewer_rows_from_a_host_that_names_no_length_are_half_a_file(land_body, folder):
    with pytest.raises(SixtyfourTransferError, match=r"has only 2 of 50 rows, and came without a length"):
        land_body(b"", reply=closing(ROWS), row_count=50)

    assert in_folder(folder) == []
    assert land_body(b"", reply=closing(ROWS), row_count=2)[0]["rows"] == 2


def test_rows_that_came_with_the_list_have_another_size_than_their_file(emulator, workflow, folder):
    emulator.plan(results=[{"filename": "out", "download_url": None, "rows": [{"n": 1}], "file_size": 10**6}])
    job_id = emulator.completed_run(workflow)

    [landed] = Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job_id, destination=f"file://{folder}")
    ).run()

    assert landed["rows"] == 1
    assert json.loads((folder / "_manifest.json").read_text())["rows"] == 1


@pytest.mark.parametrize(
    ("format", "body"),
    [
        ("ndjson", b'{"n": 1}\n{"n": \n'),
        ("ndjson", b'{"n": 1}\n[2]\n'),
        ("ndjson", b'{"n": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
        ("json", b"[" * 5000 + b"]" * 5000),
        ("json", b'[{"n": 1}, 2]'),
        ("csv", b'n,m\n1,"' + b"x\n" * 5_000_000),
    ],
    ids=lambda value: f"{value[:12]!r}",
)
def test_a_file_whose_columns_can_not_be_counted_lands_without_quality(land_body, folder, format, body):
    [file] = land_body(body, format=format)

    assert file["bytes"] == len(body)
    assert "quality" not in json.loads((folder / "_manifest.json").read_text())


@pytest.mark.parametrize(
    ("format", "body", "names"),
    [
        ("csv", BOM + b'n,n,m\r1,2,"3\r4"\r', {"m"}),
        ("csv", b"\xff,a\0b,\xed\xa0\xbd\n1,2,3\n", {"\ufffd", "a\ufffdb", "\ufffd\ufffd\ufffd"}),
        ("csv", b",".join(b"c%d" % number for number in range(100_000)) + b"\n1\n", {f"c{n}" for n in range(200)}),
        ("ndjson", b'{"\\ud83d": "\\ud83d", "a\\u0000b": 1e999}', {"\ufffd", "a\ufffdb"}),
        ("json", b'[{"\\ud83d": ' + b"9" * 5000 + b"}]", {"\ufffd"}),
    ],
    ids=lambda value: f"{value[:12]!r}" if isinstance(value, bytes) else "",
)
def test_the_columns_of_odd_files_are_counted(land_body, folder, format, body, names):
    land_body(body, format=format)

    assert set(json.loads((folder / "_manifest.json").read_text())["quality"]) == names
