"""The tab *Sixtyfour* of a Dag run, in a browser: what people see while runs are under way, and afterwards."""

import json
import re
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import definition

RUN_LIMIT = 180.0  # seconds for a Dag run
PATIENCE = 60_000  # milliseconds for what the page is about to show
START = "2026-11-01 00:00:00.000000"


@pytest.fixture
def workflow(emulator):
    return str(emulator.api("POST", "/workflows/create_workflow", definition("read_csv", "company_enrichment"))["id"])


@pytest.fixture
def enrich(airflow, emulator, workflow, tmp_path):
    """Start the enrichment of so many rows, 5 a batch, every third without a phone; return the Dag run."""

    def start(rows: int) -> str:
        source = tmp_path / "leads.csv"
        lines = (f"Example {number},{'1' if number % 3 else ''}\n" for number in range(rows))
        source.write_text("company_name,phone\n" + "".join(lines))
        given = {"workflow_id": workflow, "source": f"file://{source}", "to": f"file://{tmp_path}/to"}
        return str(airflow.rest.trigger("enrich", given))

    return start


def legend(page: Page, kind: str) -> Any:
    return page.locator(f".s64 .legend [data-kind={kind}]")


def row(page: Page, name: str) -> Any:
    return page.locator(".s64 tr[data-run]", has_text=name)


def percent(page: Page, name: str) -> int:
    bar = row(page, name).get_by_role("progressbar")
    return int(bar.get_attribute("aria-valuenow") or 0)


def test_the_bar_moves_and_a_failed_batch_shows_its_cause(airflow, emulator, workflow, enrich, tab, screenshot):
    emulator.plan(seconds=1, workflow_id=workflow)  # the pilot
    run_id = enrich(20)
    airflow.wait_for("pilot", lambda: states(airflow, run_id).get("leads.pilot") == "success", RUN_LIMIT)
    emulator.plan(seconds=1, fail_block=2, error_message="no credits at the source", workflow_id=workflow)
    emulator.plan(seconds=300, workflow_id=workflow, times=3)

    page = tab("enrich", run_id)

    expect(legend(page, "running")).to_contain_text("2", timeout=PATIENCE)
    expect(legend(page, "failed")).to_contain_text("1", timeout=PATIENCE)
    expect(row(page, "no credits at the source")).to_be_visible()
    first = page.locator(".s64 tr[data-run]").first
    expect(first).to_contain_text("company_enrichment")  # failures first, with the block that failed
    expect(first).to_contain_text("Failed in block 'company_enrichment' (2): no credits at the source")
    under_way = page.locator(".s64 tr[data-kind=running]").last.get_attribute("data-run")
    moving = page.locator(f'.s64 tr[data-run="{under_way}"]').get_by_role("progressbar")
    before = moving.get_attribute("aria-valuenow")
    expect(moving).not_to_have_attribute("aria-valuenow", str(before), timeout=2 * PATIENCE)
    screenshot(page, "running")
    for job in [each["job_id"] for each in emulator.runs() if each["workflow_id"] == workflow]:
        emulator.set_status(job, "completed")
    expect(legend(page, "done")).to_contain_text("4", timeout=PATIENCE)
    expect(legend(page, "failed")).to_contain_text("1")

    first.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Blocks")).to_be_visible()
    expect(page.locator(".s64")).to_contain_text("no credits at the source")
    screenshot(page, "failed")


def test_after_the_end_quality_and_files_are_shown(airflow, enrich, tab, screenshot):
    run_id = enrich(10)
    airflow.wait_for("ended", lambda: airflow.rest.run_state("enrich", run_id) == "success", RUN_LIMIT)

    page = tab("enrich", run_id)

    expect(legend(page, "done")).to_contain_text("3", timeout=PATIENCE)
    summary = page.get_by_label("Summary")
    expect(summary).to_contain_text("Rows out10")
    expect(summary).to_contain_text("Credits so far10")
    quality = page.get_by_label("Values that are filled, all batches")
    phone = quality.locator("tr", has_text="phone")
    expect(phone).to_contain_text("60%")
    expect(phone.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "60")
    screenshot(page, "finished")
    row(page, "leads-00001").get_by_role("button").click()
    expect(page.get_by_role("heading", name="Files")).to_be_visible()
    expect(page.locator(".s64")).to_contain_text(re.compile("[0-9a-f]{64}"))
    dark = tab("enrich", run_id, dark=True)
    expect(legend(dark, "done")).to_contain_text("3", timeout=PATIENCE)
    light, black = (each.locator(".s64").evaluate("each => getComputedStyle(each).color") for each in (page, dark))
    assert light != black
    screenshot(dark, "finished-dark")
    narrow = tab("enrich", run_id, width=700)
    expect(legend(narrow, "done")).to_contain_text("3", timeout=PATIENCE)
    screenshot(narrow, "narrow")


def test_many_batches_are_found_sorted_and_paged(airflow, enrich, tab, stored, screenshot):
    batches = {
        ("enrich", number): {
            "state": "failed" if number == 150 else "success" if number < 190 else "deferred",
            "label": f"leads-{number:05d} (5,000 rows)",
            "xcoms": {
                "job_id": str(uuid.uuid4()),
                **({"sixtyfour_error": "Failed in block 'x'."} if number == 150 else {}),
                **({"sixtyfour_run_link": f"{airflow.url}/dags/enrich"} if number == 150 else {}),
                **({"sixtyfour_run_link": "https://app.example.com/run"} if number == 190 else {}),
                **({"return_value": {"rows": number, "files": []}} if number < 190 and number != 150 else {}),
            },
        }
        for number in range(200)
    }
    run_id = stored(batches)

    page = tab("enrich", run_id)

    rows = page.locator(".s64 tr[data-run]")
    expect(rows).to_have_count(100, timeout=PATIENCE)
    expect(rows.first).to_contain_text("leads-00150")
    assert page.locator(".s64 tr[data-run] a").get_attribute("href") == "https://app.example.com/run"  # the one link
    screenshot(page, "200-batches")
    by_rows = page.locator(".s64 th").get_by_role("button", name="Rows")
    by_rows.click()
    by_rows.click()
    expect(rows.first).to_contain_text("leads-00189")
    expect(page.get_by_role("columnheader", name="Rows")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Next").click()
    expect(page.locator(".s64")).to_contain_text("2 / 2")
    page.get_by_label("Search").fill("leads-0012")
    expect(rows).to_have_count(10)
    page.get_by_label("Search").fill("")
    page.get_by_label("State").select_option("failed")
    expect(rows).to_have_count(1)


def test_what_a_hostile_dag_wrote_is_shown_as_text(tab, stored):
    evil = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
    run_id = stored(
        {
            (evil[:60], 0): {
                "state": "failed",
                "label": evil,
                "xcoms": {
                    "job_id": evil,
                    "sixtyfour_run_link": "javascript:window.hacked=1",
                    "sixtyfour_error": evil,
                    "sixtyfour_progress": {"block": evil, "percent": 50, "blocks": [{"name": evil, "error": evil}]},
                    "return_value": {"files": [{"path": evil}], "quality": {evil: {"filled": 1, "empty": 1}}},
                },
            }
        }
    )

    page = tab("enrich", run_id)
    page.locator(".s64 tr[data-run] button").click(timeout=PATIENCE)
    expect(page.get_by_role("heading", name="Blocks")).to_be_visible()

    assert page.locator(".s64").inner_text().count("onerror='window.hacked=1'") >= 5
    assert page.evaluate("window.hacked") is None
    assert page.locator(".s64 img, .s64 script").count() == 0
    assert page.locator(".s64 tr[data-run] a").count() == 0


def states(airflow, run_id):
    return {each["task_id"]: each["state"] for each in airflow.rest.task_instances("enrich", run_id)}


@pytest.fixture
def stored(airflow):
    """Write a Dag run that is under way into Airflow's database, as tasks would; return its id."""

    def store(tasks: dict[tuple[str, int], Any]) -> str:
        run_id = airflow.rest.trigger("enrich", {})
        airflow.wait_for("failed", lambda: airflow.rest.run_state("enrich", run_id) == "failed", RUN_LIMIT)
        with sqlite3.connect(airflow.database, timeout=30) as connection:
            [number] = connection.execute("SELECT id FROM dag_run WHERE run_id = ?", (run_id,)).fetchone()
            columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(task_instance)")]
            [pattern] = connection.execute("SELECT * FROM task_instance WHERE run_id = ? LIMIT 1", (run_id,))
            connection.execute("DELETE FROM task_instance WHERE run_id = ?", (run_id,))
            for (task_id, map_index), task in tasks.items():
                own = {
                    "id": uuid.uuid4().hex,
                    "task_id": task_id,
                    "map_index": map_index,
                    "state": task["state"],
                    "operator": "SixtyfourEnrichOperator",
                    "rendered_map_index": task["label"],
                    "start_date": START,
                }
                values = [own.get(name, value) for name, value in zip(columns, pattern, strict=True)]
                marks = ", ".join("?" * len(values))
                connection.execute(f"INSERT INTO task_instance VALUES ({marks})", values)  # noqa: S608
                connection.executemany(
                    "INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)"
                    " VALUES (?, ?, ?, ?, 'enrich', ?, ?, ?)",
                    [
                        (number, task_id, map_index, key, run_id, json.dumps(value), START)
                        for key, value in task["xcoms"].items()
                    ],
                )
        return str(run_id)

    return store


@pytest.fixture
def screenshot(airflow):
    """Write what a page shows to a folder."""

    def take(page: Page, name: str) -> None:
        path = Path(airflow.home).parent / "screenshots" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        page.screenshot(path=path)

    return take
