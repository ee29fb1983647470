"""What unfinished work has left in real stores: found and removed, and nothing else."""

import json
import time

from airflow_provider_sixtyfour.cli.main import main
from airflow_provider_sixtyfour.storage.atomic import publish
from tests.stores.servers import BUCKET


def run(capsys, place, *arguments):
    capsys.readouterr()
    code = main(["cleanup", "--destination", place.url, "-o", "json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_what_unfinished_work_has_left_goes(place, capsys):
    folder = place.path
    missing = json.dumps({"missing": [{"path": f"{place.url}/sent/leads-00001.csv"}]}).encode()
    stays = {
        "_manifest.json": missing,
        "leads-00000/_manifest.json": b"{}",
        "leads-00000/result.csv": b"a\n1\n",
        "sent/leads-00001.csv": b"a\n1\n",
        "batches/leads-00000.csv": b"a\n1\n",
    }
    for name, content in {**stays, "sent/leads-00000.csv": b"a\n1\n"}.items():
        path = folder / name
        publish(path.fs, path.path, content)
    if place.server.name == "s3":
        key = f"{folder.path.removeprefix(f'{BUCKET}/')}/leads-00000/broken.csv"
        other = f"{folder.path.removeprefix(f'{BUCKET}/')}-another/broken.csv"
        for each in (key, other):
            folder.fs.call_s3("create_multipart_upload", Bucket=BUCKET, Key=each)
    time.sleep(1.1)  # stores give whole seconds

    assert run(capsys, place) == (0, [])  # all of it is young
    code, listed = run(capsys, place, "--older-than", "0")
    assert code == 0
    kinds = sorted(record["kind"] for record in listed)
    assert kinds == ["sent batch", *(["unfinished upload"] if place.server.name == "s3" else [])]
    assert place.names() == sorted([*stays, "sent/leads-00000.csv"])

    code, removed = run(capsys, place, "--older-than", "0", "--yes")

    assert (code, {record["removed"] for record in removed}) == (0, {True})
    assert place.names() == sorted(stays)
    if place.server.name == "s3":
        left = folder.fs.call_s3("list_multipart_uploads", Bucket=BUCKET).get("Uploads") or []
        assert [upload["Key"] for upload in left if upload["Key"] in (key, other)] == [other]
