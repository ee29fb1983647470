"""The first minutes: sample workflows, workflows of files, and the pages for a browser."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from airflow_provider_sixtyfour.emulator.cli import main
from airflow_provider_sixtyfour.emulator.store.samples import READ_CSV_ID, SEARCH_ID, WEBHOOK_ID
from tests.emulator.calls import ROWS, Calls, definition
from tests.emulator.test_emulator_process import start
from tests.emulator_process import EmulatorProcess

EVIL = """<script>alert('x')</script>"><img src=x onerror="y">&"""
HTML = {"Accept": "text/html,*/*"}


def test_three_samples_run_without_a_definition(calls: Calls) -> None:
    assert len(calls.final_rows(calls.start(WEBHOOK_ID, ROWS))) == 2
    assert len(calls.final_rows(calls.start_on_file(READ_CSV_ID, "a.csv", b"name\nAda\n"))) == 1
    answer = calls.http.post("/workflows/run", params={"workflow_id": SEARCH_ID})
    rows = calls.final_rows(answer.json()["job_id"])
    assert len(rows) == 10
    assert {"name", "company", "title", "linkedin_url", "email", "email_status"} <= set(rows[0])


def test_the_workflows_are_printed_with_their_ids(tmp_path: Path) -> None:
    own = "0b9d8f9a-6d53-4c9e-9d7b-111111111111"
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"id": own, "workflow_name": "Özel", "workflow_definition": definition("find_email")}))
    process, line = start(dict(os.environ), "--workflow", str(path), "--api-key", "k")
    try:
        assert line.startswith("Sixtyfour emulator listening on ")
        assert process.stdout is not None
        printed = [process.stdout.readline().rstrip("\n").split("  ") for _ in range(4)]
        ids = [WEBHOOK_ID, READ_CSV_ID, SEARCH_ID, own]
        assert [text for text, _ in printed] == [f"Workflow {each}" for each in ids]
        assert printed[3][1] == "\\xd6zel"
        url = line.split(" on ")[1].split()[0]
        read = httpx.get(f"{url}/workflows/{own}", headers={"x-api-key": "k"}, trust_env=False).json()
        assert (read["id"], read["name"]) == (own, "Özel")
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "can't read"),
        ("{", "can't read"),
        ("[]", "no JSON object"),
        ('{"workflow_definition": {"blocks": [], "edges": []}}', "workflow_name"),
        ('{"workflow_name": "n", "workflow_definition": {"blocks": [], "edges": []}}', "no blocks"),
        (json.dumps({"workflow_name": "n", "workflow_definition": definition("nonsense")}), "Unknown block type"),
        (json.dumps({"id": "x", "workflow_name": "n", "workflow_definition": definition("filter")}), "UUID"),
    ],
)
def test_a_file_that_holds_no_workflow_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, reason: str
) -> None:
    path = tmp_path / "w.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["--workflow", str(path)])
    output = capsys.readouterr()
    assert (ended.value.code, output.out) == (2, "")
    assert reason in output.err


def page(calls: Calls, path: str, **headers: str) -> httpx.Response:
    return calls.anonymous("GET", path, headers=HTML | headers)


def test_the_pages_show_workflows_and_runs(calls: Calls) -> None:
    job_id = calls.start(WEBHOOK_ID)
    calls.wait(job_id)
    overview = page(calls, "/")
    assert overview.headers["content-type"].startswith("text/html")
    for text in (job_id, WEBHOOK_ID, "webhook → lead_enrichment → find_email", "credits left"):
        assert text in overview.text
    shown = page(calls, f"/runs/{job_id}")
    for text in ("find_email", "width:100%", "2 of 2", "completed", ".csv"):
        assert text in shown.text
    assert "refresh" not in shown.text
    url = shown.text.split('<a href="http')[1].split('"')[0].replace("&amp;", "&")
    assert calls.download(f"http{url}").status_code == 200
    assert calls.emulator.requests()[-1]["path"] != f"/runs/{job_id}", "pages are not in the record of the API"


def test_a_page_of_a_run_that_goes_on_refreshes_itself(calls: Calls, emulator: EmulatorProcess) -> None:
    emulator.plan(seconds=60)
    assert 'http-equiv="refresh"' in page(calls, f"/runs/{calls.start(WEBHOOK_ID)}").text


def test_the_link_of_a_run_leads_a_browser_to_its_page(calls: Calls) -> None:
    job_id = calls.start(WEBHOOK_ID)
    path = f"/workflows/runs/{job_id}/live_status"
    answer = page(calls, path)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/runs/{job_id}")
    assert page(calls, path, **{"x-api-key": calls.emulator.api_key}).json()["run_id"] == job_id
    assert calls.anonymous("GET", path).status_code == 401


def test_everything_on_a_page_is_escaped(calls: Calls, emulator: EmulatorProcess) -> None:
    results: list[dict[str, Any]] = [
        {"filename": EVIL, "rows": [{EVIL: EVIL}], "download_url": f"javascript:{EVIL}"},
        {"filename": EVIL, "rows": [{"a": 1}], "download_url": f"https://x/{EVIL}"},
    ]
    graph = definition(("qa_agent", {EVIL: EVIL}), ("remove_columns", {"columns": [], EVIL: 1}))
    workflow_id = calls.create(graph, workflow_name=EVIL).json()["id"]
    emulator.plan(seconds=0, queue_seconds=0, results=results)
    done = calls.start(workflow_id)
    emulator.plan(seconds=0, queue_seconds=0, status="failed", error_message=EVIL)
    failed = calls.start(workflow_id)
    emulator.plan(seconds=0, queue_seconds=0, status=EVIL)
    odd = calls.start(workflow_id)
    for path in ("/", *(f"/runs/{job_id}" for job_id in (done, failed, odd))):
        answer = page(calls, path)
        assert answer.status_code == 200
        assert "&lt;script&gt;" in answer.text
        for text in ("<script", "<img", 'href="javascript'):
            assert text not in answer.text
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_an_unknown_run_has_no_page(calls: Calls) -> None:
    assert page(calls, "/runs/5a2f5c9e-3c1e-4a52-8d0f-0a4f7d2f9c11").status_code == 404
    assert page(calls, "/runs/<script>").status_code == 422
