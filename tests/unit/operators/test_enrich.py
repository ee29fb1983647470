"""One batch, one task: its input goes in, its files come out, and what has been done costs nothing again."""

import csv
import json
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset

from airflow_provider_sixtyfour.exceptions import SixtyfourRunFailedError
from airflow_provider_sixtyfour.links.sixtyfour import SixtyfourRunLink, drop_run_link
from airflow_provider_sixtyfour.operators.batches import SixtyfourRepairInputOperator
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.conftest import ROWS
from tests.unit.standins import OutletEventAccessors, Task

pytestmark = pytest.mark.usefixtures("no_pauses")
BOTH_MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
WITH_AND_WITHOUT_STORE = pytest.mark.parametrize("has_store", [True, False], ids=["store", "intent file"])


def names(summary):
    """Return the names of the leads that came back."""
    [file] = summary["files"]
    with Path(file["path"].removeprefix("file://")).open(newline="") as lines:
        return [row["name"] for row in csv.DictReader(lines)]


def uploads(emulator):
    return emulator.asked("POST", "/storage/csv/upload")


# What comes out


@BOTH_MODES
@WITH_AND_WITHOUT_STORE
def test_a_file_goes_in_and_its_results_come_out(
    emulator, reading_workflow, enriching, leads, folder, deferrable, has_store
):
    one = enriching(source=f"file://{leads}", deferrable=deferrable, has_store=has_store)

    summary = one.run()

    [run] = emulator.runs()
    manifest = json.loads((folder / MANIFEST).read_text())
    assert summary == {
        "job_id": run["job_id"],
        "workflow_id": reading_workflow,
        "rows": 5,
        "bytes": manifest["bytes"],
        "files": [{key: value for key, value in file.items() if key != "format"} for file in manifest["files"]],
        "manifest": f"file://{folder}/{MANIFEST}",
        "source": f"file://{leads}",
        "metrics": {"rows_in": 5, "rows_out": 5, "cost_cents": 50, "credits_used": 5.0},
        "quality": manifest["quality"],
    }
    assert summary["quality"]["name"] == {"filled": 5, "empty": 0, "distinct": 5}
    assert names(summary) == [f"Lead {number}" for number in range(5)]
    assert one.deferrals == int(deferrable)
    assert one.ti.xcoms["job_id"] == run["job_id"]
    assert run["job_id"] in one.ti.xcoms["sixtyfour_run_link"]


@BOTH_MODES
@pytest.mark.parametrize("rows", [ROWS, json.dumps(ROWS)], ids=["objects", "text"])
def test_rows_go_in_and_their_results_come_out(emulator, enriching, rows, deferrable):
    summary = enriching(workflow_id=emulator.store_workflow(), rows=rows, deferrable=deferrable).run()

    assert [body["webhook_payload"] for body in emulator.bodies()] == [ROWS]
    assert names(summary) == ["Lead One", "Lead Two"]
    assert uploads(emulator) == []


def test_each_batch_of_a_split_has_a_folder_of_its_own(emulator, enriching, batches, folder):
    summaries = [
        enriching(source=batch, identity={"map_index": number}).run() for number, batch in enumerate(reversed(batches))
    ]

    assert [summary["manifest"] for summary in summaries] == [
        f"file://{folder}/leads-{number:05d}/{MANIFEST}" for number in (2, 1, 0)
    ]
    assert [names(summary) for summary in summaries] == [["Lead 4"], ["Lead 2", "Lead 3"], ["Lead 0", "Lead 1"]]


def test_mapped_tasks_of_files_and_of_rows_have_numbered_folders(emulator, enriching, leads, folder):
    of_file = enriching(source=f"file://{leads}", identity={"map_index": 3}).run()
    of_rows = enriching(workflow_id=emulator.store_workflow(), rows=ROWS, identity={"map_index": 12}).run()

    assert (of_file["manifest"], of_rows["manifest"]) == (
        f"file://{folder}/00003/{MANIFEST}",
        f"file://{folder}/00012/{MANIFEST}",
    )


@pytest.mark.parametrize("name", ["...csv", "..csv", "-.csv"])
def test_no_name_of_a_batch_leads_outside_the_destination(enriching, batches, tmp_path, folder, name):
    odd = tmp_path / name
    odd.write_bytes(Path(batches[0]["path"].removeprefix("file://")).read_bytes())

    summary = enriching(source={**batches[0], "path": f"file://{odd}"}).run()

    assert summary["manifest"].startswith(f"file://{folder}/")
    assert Path(summary["manifest"].removeprefix("file://")).resolve().is_relative_to(folder / "")


def test_everything_that_can_be_templated(emulator, reading_workflow, enriching, leads, folder):
    one = enriching(
        workflow_id="{{ params.workflow }}",
        source="file://{{ params.leads }}",
        destination="file://{{ params.folder }}/{{ run_id }}",
        format="{{ 'ndjson' }}",
        files="{{ 'all' }}",
        timeout="{{ 300 }}",
        params={"workflow": reading_workflow, "leads": str(leads), "folder": str(folder)},
    )

    summary = one.run()

    assert summary["manifest"] == f"file://{folder}/scheduled__2026-11-01/{MANIFEST}"
    assert [file["path"].rpartition(".")[2] for file in summary["files"]] == ["ndjson"]


@pytest.mark.parametrize(
    ("arguments", "formats"),
    [
        ({}, "csv"),
        ({"format": "json"}, "csv, json"),
        ({"format": "ndjson"}, "csv, ndjson"),
    ],
)
def test_a_run_makes_the_results_that_are_landed(enriching, batches, logs, arguments, formats):
    enriching(source=batches[0], validate_only=True, **arguments).run()

    assert f"Result formats: {formats}. Destination: " in logs


def test_five_requests_a_batch_are_enough(emulator, enriching, batches):
    emulator.plan(seconds=0)

    enriching(source=batches[0], deferrable=True).run()

    asked = [f"{one['method']} {one['path']}" for one in emulator.requests()]
    assert len(asked) <= 5
    assert [one.partition("?")[0].rpartition("/")[2] for one in asked[:2]] == ["upload", "run"]
    assert len([one for one in asked if "live_status" in one]) == 1


def test_its_outlets_receive_what_was_landed(enriching, batches, folder):
    asset = Asset(uri=f"file://{folder}")
    events = OutletEventAccessors()
    one = enriching(source=batches[0], outlets=[asset])
    operator = one.operator()

    summary = operator.execute({**one.context, "outlet_events": events})

    extra = events[asset].extra
    assert (extra["job_id"], extra["rows"], extra["uri"]) == (summary["job_id"], 2, f"file://{folder}/leads-00000")
    assert extra["metrics"] == summary["metrics"]


def test_what_a_run_has_used_is_read_from_the_list_where_the_wait_has_not_seen_it(emulator, enriching, batches):
    summary = enriching(source=batches[0]).run()

    [listed] = [one for one in emulator.requests() if one["path"] == "/workflows/runs"]
    assert listed["query"].startswith("limit=100&status=completed&workflow_id=")
    assert summary["metrics"]["rows_in"] == 2
    assert summary["metrics"]["credits_used"] > 0


def test_what_a_run_has_used_comes_with_the_event_of_a_trigger_that_has_seen_it(emulator, enriching, batches):
    one = enriching(source=batches[0], deferrable=True)
    event = {"ended": {"job_id": emulator.completed_run(emulator.store_workflow()), "status": "completed"}}
    event["ended"]["metrics"] = {"credits_used": 7}

    assert one.operator().execute_complete(one.context, event)["metrics"] == {"credits_used": 7}
    assert emulator.asked("GET", "/workflows/runs") == []


def test_the_link_is_pushed_once(emulator, enriching, batches):
    one = enriching(source=batches[0], deferrable=True)
    push, pushed = one.ti.xcom_push, []
    one.ti.xcom_push = lambda key, value: (push(key, value), pushed.append(key))

    one.run()

    assert pushed == ["job_id", "sixtyfour_run_link"]


def test_after_a_deferral_a_link_of_a_subclass_stays(enriching, batches):
    operator, own = enriching(source=batches[0]).operator(), object()
    operator.operator_extra_links = (SixtyfourRunLink(), own)

    drop_run_link(operator)

    assert operator.operator_extra_links == (own,)


@pytest.mark.parametrize("fault", [{"status": 403}, {"status": 200, "body": "<html>"}, {"status": 200, "body": "[]"}])
def test_unknown_usage_of_a_run_fails_no_task(emulator, enriching, batches, fault):
    emulator.fault("answer", path="/workflows/runs", times=2, **fault)

    summary = enriching(source=batches[0]).run()

    assert (summary["metrics"], summary["rows"]) == ({}, 2)


def test_a_batch_that_is_done_returns_what_it_used_then(enriching, batches):
    first = enriching(source=batches[0]).run()

    assert enriching(source=batches[0]).run() == first


def test_what_is_still_pending_is_found_from_what_it_returns(enriching, batches, tmp_path):
    done = [enriching(source=batch).run() for batch in batches[:2]]

    pending = Task(
        lambda: SixtyfourRepairInputOperator(
            task_id="repair", source=batches, results=done, destination=f"file://{tmp_path}/pending", key="name"
        )
    ).run()

    assert [batch["rows"] for batch in pending] == [1]


# What is done already


@BOTH_MODES
@WITH_AND_WITHOUT_STORE
def test_a_batch_that_is_done_asks_for_nothing(emulator, enriching, batches, has_store, deferrable, logs):
    first = enriching(source=batches[0], deferrable=deferrable, has_store=has_store).run()
    emulator.clear()

    again = enriching(source=batches[0], deferrable=deferrable, has_store=has_store, identity={"run_id": "another"})

    assert again.run() == first
    assert again.retry() == again.clear() == first
    assert (len(emulator.runs()), emulator.requests(), emulator.storage_requests()) == (1, [], [])
    assert any(
        text.startswith("Done before, nothing was sent; checked in ") and f"Run {first['job_id']}" in text
        for text in logs.texts()
    )


def test_the_same_rows_are_done_too(emulator, enriching):
    workflow = emulator.store_workflow()
    first = enriching(workflow_id=workflow, rows=ROWS).run()

    assert enriching(workflow_id=workflow, rows=[dict(reversed(row.items())) for row in ROWS]).run() == first
    assert len(emulator.runs()) == 1


def test_a_file_with_the_same_content_elsewhere_is_the_same_work(emulator, enriching, leads, tmp_path):
    first = enriching(source=f"file://{leads}").run()
    copy = tmp_path / "copy.csv"
    copy.write_bytes(leads.read_bytes())

    assert enriching(source=f"file://{copy}").run() == {**first, "source": f"file://{copy}"}
    assert len(emulator.runs()) == 1


@pytest.mark.parametrize(
    "what", ["content", "workflow", "specs", "format", "selection", "a file is missing", "overwrite"]
)
def test_other_work_is_not_done_yet(emulator, enriching, leads, folder, what):
    more = {"specs_override": {}} if what == "specs" else {}
    first = enriching(source=f"file://{leads}", **more).run()
    if what == "content":
        leads.write_text(leads.read_text() + "Lead 5,Example 5\n")
    elif what == "a file is missing":
        Path(first["files"][0]["path"].removeprefix("file://")).unlink()
    other = {
        "workflow": {"workflow_id": emulator.store_workflow("find_email", source="read_csv")},
        "specs": {"specs_override": {"note": "other"}},
        "format": {"format": "ndjson"},
        "selection": {"files": "all"},
        "overwrite": {"overwrite": True},
    }.get(what, {})

    second = enriching(source=f"file://{leads}", **other).run()

    assert [run["job_id"] for run in emulator.runs()] == [first["job_id"], second["job_id"]]
    assert json.loads((folder / MANIFEST).read_text())["job_id"] == second["job_id"]
    assert enriching(source=f"file://{leads}", **{**other, "overwrite": False}).run() == second


def test_of_a_backfill_with_failed_days_those_alone_run_again(emulator, enriching, batches):
    emulator.plan(status="failed", seconds=0, times=1)
    tasks = [enriching(source=batch, identity={"map_index": number}) for number, batch in enumerate(batches)]
    with pytest.raises(SixtyfourRunFailedError):
        tasks[0].run()
    done = [one.run() for one in tasks[1:]]

    again = [one.clear() for one in tasks]

    assert again[1:] == done
    assert emulator.statuses() == ["failed", "completed", "completed", "completed"]


def test_a_manifest_of_the_same_run_without_an_input_gets_it(emulator, enriching, leads, folder):
    one = enriching(source=f"file://{leads}")
    first = one.run()
    Task(
        lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=first["job_id"], destination=f"file://{folder}")
    ).run()
    text = (folder / MANIFEST).read_text()
    assert "input" in json.loads(text)  # a landing without an input keeps the recorded one
    (folder / MANIFEST).write_text(json.dumps({**json.loads(text), "input": None}))

    assert one.retry()["job_id"] == first["job_id"]
    assert json.loads((folder / MANIFEST).read_text())["input"] == json.loads(text)["input"]
    assert len(emulator.runs()) == 1


# What is refused, and what is only logged


@pytest.mark.parametrize("kind", ["reference", "url"])
def test_a_dry_run_logs_and_sends_nothing(emulator, enriching, batches, leads, folder, kind, logs):
    source = batches[0] if kind == "reference" else f"file://{leads}"

    summary = enriching(source=source, validate_only=True, specs_override={"note": "n"}).run()

    assert (summary["job_id"], summary["manifest"], summary["files"]) == (None, None, [])
    assert emulator.requests() == []
    assert not folder.exists()
    path, rows, size = (
        (source["path"], 2, source["bytes"]) if kind == "reference" else (source, 5, leads.stat().st_size)
    )
    name = path.rpartition("/")[2]
    assert f"Nothing was sent: a dry run. Input: {name} ({rows} rows, {size} bytes). " in logs
    assert 'Specs: {"note": "n"}.' in logs


def test_a_dry_run_of_what_is_done_logs_that_it_is(emulator, enriching, batches, logs):
    first = enriching(source=batches[0]).run()

    assert enriching(source=batches[0], validate_only=True).run() == first
    assert any(text.startswith("Done before, nothing was sent") for text in logs.texts())


def test_a_dry_run_finds_what_is_wrong(enriching, batches):
    Path(batches[0]["path"].removeprefix("file://")).unlink()

    with pytest.raises(AirflowFailException, match="There is no file"):
        enriching(source=batches[0], validate_only=True).run()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Give source or rows, and not both"),
        ({"source": "file:///a.csv", "rows": ROWS}, "Give source or rows, and not both"),
        ({"source": "leads.csv"}, "source should be a URL with a scheme"),
        ({"source": "file:///no/such.csv"}, "There is no file"),
        ({"source": "file:///no/such.xlsx"}, "The API takes files that end in"),
        ({"source": {"path": "file:///a.csv"}}, "one batch as SixtyfourSplitInputOperator returns it"),
        ({"source": {"rows": 3}}, "source should be a URL with a scheme"),
        ({"rows": []}, "rows is an empty list"),
        ({"rows": [1]}, "Row 0 of rows should be an object"),
        ({"rows": "[{"}, "rows is not valid JSON"),
        pytest.param({"rows": "[" * 100_000}, "rows is not valid JSON", id="nested"),
        ({"rows": ROWS, "max_rows": 1}, "There are 2 rows; max_rows allows 1"),
        ({"rows": ROWS, "specs_override": {"resource_handle_id": "h"}}, "names a resource_handle_id"),
        ({"rows": ROWS, "format": "xml"}, "format should be one of"),
        ({"rows": ROWS, "poll_interval": 0}, "poll_interval should be"),
        ({"rows": ROWS, "timeout": "soon"}, "timeout should be"),
        ({"rows": ROWS, "workflow_id": "None of these"}, "workflow_id"),
        ({"rows": ROWS, "destination": "here"}, "destination should be a URL"),
    ],
    ids=str,
)
def test_invalid_arguments_fail_for_good_before_anything_is_sent(emulator, enriching, arguments, message):
    with pytest.raises(AirflowFailException, match=message):
        enriching(**arguments).run()

    assert emulator.requests() == []


def test_a_broken_line_is_named_before_anything_is_sent(emulator, enriching, leads):
    leads.write_text(leads.read_text() + "one cell\n")

    with pytest.raises(AirflowFailException, match="Line 7"):
        enriching(source=f"file://{leads}").run()
    assert emulator.requests() == []


def test_a_batch_with_too_many_rows_is_refused(emulator, enriching, batches, leads):
    with pytest.raises(AirflowFailException, match="There are 2 rows; max_rows allows 1"):
        enriching(source=batches[0], max_rows=1).run()
    with pytest.raises(AirflowFailException, match="more than 4 rows"):
        enriching(source=f"file://{leads}", max_rows=4).run()
    assert emulator.requests() == []


def test_a_batch_that_is_not_the_one_that_was_split_starts_no_run(emulator, enriching, batches):
    path = Path(batches[0]["path"].removeprefix("file://"))
    path.write_bytes(path.read_bytes().replace(b"Lead 0", b"Lead X"))

    with pytest.raises(AirflowFailException, match="has other content than when it was measured"):
        enriching(source=batches[0]).run()
    assert emulator.runs() == []


@pytest.mark.parametrize(("source", "wanted"), [("webhook", "rows"), ("read_csv", "source")])
def test_input_of_the_wrong_kind_is_refused_before_it_is_sent(emulator, enriching, leads, source, wanted):
    given = {"source": f"file://{leads}"} if wanted == "rows" else {"rows": ROWS}

    with pytest.raises(
        AirflowFailException, match=rf"^Give {wanted} instead: the workflow begins with the block '{source}'"
    ):
        enriching(workflow_id=emulator.store_workflow(source=source), **given).run()
    assert (emulator.submissions(), uploads(emulator)) == ([], [])


def test_a_batch_of_the_wrong_kind_is_explained_when_the_api_refuses_it(emulator, enriching, batches):
    with pytest.raises(AirflowFailException, match=r"^Give rows instead: the workflow begins with the block 'webhook'"):
        enriching(workflow_id=emulator.store_workflow(source="webhook"), source=batches[0]).run()
    assert emulator.runs() == []


def test_a_batch_that_is_refused_for_another_reason_shows_that_reason(emulator, enriching, batches):
    emulator.fault("answer", path="/workflows/run", status=422, body='{"detail": "the moon is full"}')

    with pytest.raises(AirflowFailException, match="the moon is full"):
        enriching(source=batches[0]).run()


@BOTH_MODES
def test_a_run_that_fails_lands_nothing(emulator, enriching, batches, folder, deferrable):
    emulator.plan(fail_block=2, error_message="no such company", seconds=0)

    with pytest.raises(SixtyfourRunFailedError, match="no such company"):
        enriching(source=batches[0], deferrable=deferrable).run()
    assert not (folder / "leads-00000").exists()


def test_another_separator_is_enriched_as_commas_and_known_again(emulator, enriching, tmp_path, folder):
    source = tmp_path / "leads.csv"
    source.write_text('name;company_name\nLead One;"A; B, C"\nLead Two;1,5\n')

    with pytest.raises(
        AirflowFailException, match=r"^Separated by semicolons; this provider reads commas: convert the"
    ):
        enriching(source=f"file://{source}").run()
    summary = enriching(source=f"file://{source}", delimiter="{{ params.one }}", params={"one": ";"}).run()

    assert (summary["rows"], summary["source"]) == (2, f"file://{source}")
    assert enriching(source=f"file://{source}", delimiter=";").run() == summary
    # What was sent is what counts: the same file with commas is the same work.
    source.write_text('name,company_name\nLead One,"A; B, C"\nLead Two,"1,5"\n')
    assert enriching(source=f"file://{source}").run()["job_id"] == summary["job_id"]
    assert len(emulator.runs()) == 1


def test_a_separator_is_given_to_the_split_of_a_batch_and_not_to_rows(enriching, batches):
    with pytest.raises(AirflowFailException, match="delimiter is for a file: a batch of a split has commas already"):
        enriching(source=batches[0], delimiter=";").run()
    with pytest.raises(AirflowFailException, match="delimiter is for a file of CSV: rows have names"):
        enriching(rows=[{"name": "x"}], delimiter=";").run()
