"""The results of all batches become one whole: a manifest, a file if asked for, an error if something is missing."""

import csv
import hashlib
import io
import json
import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, Asset

from airflow_provider_sixtyfour.batches.collect import collect
from airflow_provider_sixtyfour.exceptions import SixtyfourTransferError
from airflow_provider_sixtyfour.formats.quality import total
from airflow_provider_sixtyfour.operators.batches import (
    SixtyfourRepairInputOperator,
    SixtyfourSplitInputOperator,
    split_input,
)
from airflow_provider_sixtyfour.operators.collect import SixtyfourCollectBatchesOperator, collect_batches
from airflow_provider_sixtyfour.results.manifest import MANIFEST
from airflow_provider_sixtyfour.tasks.batch_log import quality_lines, quality_table, table
from tests.unit.standins import OutletEventAccessors, Task, TaskInstance

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.fixture
def enriched(enriching, batches):
    """What the enrichment of three batches, of 2, 2 and 1 rows, has returned."""
    return [enriching(source=batch).run() for batch in batches]


@pytest.fixture
def collecting(folder):
    """Make a task that collects; return what it returns."""

    def run(**given):
        return Task(
            lambda: SixtyfourCollectBatchesOperator(
                task_id="collect", **{"destination": f"file://{folder}", "merge_into": None, **given}
            )
        ).run()

    return run


def local(url):
    return Path(url.removeprefix("file://"))


def names(text):
    return [row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))]


def test_who_agreed_to_the_cost_is_in_the_value_and_in_the_manifest(enriched, batches, collecting, folder):
    approval = {"approved": True, "asked": True, "by": "lead", "at": None, "rows": 5, "cost": 10.0, "metric": "credits"}

    summary = collecting(batches=batches, results=enriched, approval=approval)

    assert summary["approval"] == approval
    assert json.loads((folder / MANIFEST).read_text())["approval"] == approval
    assert collect_batches(results=enriched, destination=f"file://{folder}", approval=approval)["approval"] == approval


def test_without_an_approval_none_is_reported(enriched, batches, collecting, folder):
    assert "approval" not in collecting(batches=batches, results=enriched)
    assert "approval" not in json.loads((folder / MANIFEST).read_text())


def test_the_whole_is_listed_and_merged(enriched, batches, collecting, folder):
    merged = folder / "all.csv"

    summary = collecting(batches=batches, results=enriched, merge_into=f"file://{merged}")

    content = merged.read_bytes()
    assert names(content.decode()) == [f"Lead {number}" for number in range(5)]
    assert content.count(b"company_name") == 1
    assert summary == {
        "batches": 3,
        "rows_sent": 5,
        "rows": 5,
        "bytes": sum(one["bytes"] for one in enriched),
        "metrics": {name: sum(one["metrics"][name] for one in enriched) for name in enriched[0]["metrics"]},
        "quality": total((one["quality"] for one in enriched), is_one_table=True),
        "merged": {
            "path": f"file://{merged}",
            "rows": 5,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        },
        "manifest": f"file://{folder}/{MANIFEST}",
    }
    assert summary["quality"]["name"] == {"filled": 5, "empty": 0}
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["complete"] is True
    assert [one["job_id"] for one in manifest["results"]] == [one["job_id"] for one in enriched]
    assert {name: manifest[name] for name in summary if name != "manifest"} == {
        name: summary[name] for name in summary if name != "manifest"
    }


@pytest.mark.parametrize(
    "stem",
    ["会" * 65, "x" * 195, "x" * 251, "👩🏽\u200d🚀" * 14, "leads\udcff", "My leads", "..", "a:b?*", "e\u0301"],
    ids=lambda stem: f"{stem[:5]!a} {len(stem)}",
)
def test_whatever_the_input_is_called_each_batch_has_a_folder_and_is_paid_for_once(
    stem, emulator, enriching, collecting, tmp_path, folder, leads
):
    source = tmp_path / f"{stem}.csv"
    leads.rename(source)

    def enrich():
        made = split_input(source=f"file://{source}", destination=f"file://{tmp_path}/sent", batch_rows=2)
        return made, [enriching(source=batch).run() for batch in made]

    made, enriched = enrich()
    summary = collecting(batches=made, results=enriched, merge_into=f"file://{folder}/all.csv")

    assert len({one["manifest"] for one in enriched}) == 3
    assert (summary["rows"], summary["merged"]["rows"]) == (5, 5)
    assert names((folder / "all.csv").read_text()) == [f"Lead {number}" for number in range(5)]
    assert enrich() == (made, enriched)
    assert len(emulator.runs()) == 3


def test_a_missing_batch_is_named_and_nothing_is_merged(enriched, batches, collecting, folder):
    (folder / MANIFEST).write_text("of an earlier run")

    with pytest.raises(AirflowFailException, match=r"1 of 3 batches have no result: leads-00001\.csv\. Clear their"):
        collecting(batches=batches, results=[enriched[2], None, enriched[0]], merge_into=f"file://{folder}/all.csv")

    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["complete"], manifest["merged"]) == (False, None)
    assert [one["path"] for one in manifest["missing"]] == [batches[1]["path"]]
    assert [one["job_id"] for one in manifest["results"]] == [enriched[0]["job_id"], enriched[2]["job_id"]]
    assert not (folder / "all.csv").exists()


def test_collecting_again_writes_the_same(enriched, batches, collecting, folder):
    once = collecting(batches=batches, results=enriched, merge_into=f"file://{folder}/all.csv")

    assert collecting(batches=batches, results=enriched, merge_into=f"file://{folder}/all.csv") == once
    assert sorted(path.name for path in folder.iterdir()) == [
        MANIFEST,
        "all.csv",
        *(f"leads-{number:05d}" for number in range(3)),
    ]


def test_an_input_without_rows_makes_an_empty_whole(collecting, folder):
    summary = collecting(batches=[], results=None, merge_into=f"file://{folder}/all.csv")

    assert (summary["batches"], summary["rows"], summary["merged"]["bytes"]) == (0, 0, 0)
    assert json.loads((folder / MANIFEST).read_text())["complete"] is True


def test_a_dry_run_writes_nothing(emulator, enriching, batches, collecting, folder, logs):
    planned = [enriching(source=batch, validate_only=True).run() for batch in batches]

    summary = collecting(batches=batches, results=planned)

    assert (summary["rows_sent"], summary["manifest"]) == (5, None)
    assert not folder.exists()
    assert "Nothing was sent" in logs
    assert emulator.runs() == []


def test_json_lines_are_merged_too(enriching, batches, collecting, folder):
    results = [enriching(source=batch, format="ndjson").run() for batch in batches]

    collecting(batches=batches, results=results, merge_into=f"file://{folder}/all.ndjson")

    rows = [json.loads(line) for line in (folder / "all.ndjson").read_text().splitlines()]
    assert [row["name"] for row in rows] == [f"Lead {number}" for number in range(5)]


@pytest.mark.parametrize("change", [b"\n", b""], ids=["a byte more", "another byte"])
def test_a_file_that_is_not_what_was_landed_is_not_merged(enriched, batches, collecting, folder, change):
    file = local(enriched[1]["files"][0]["path"])
    content = file.read_bytes()
    file.write_bytes(content + change if change else content.replace(b"Lead 2", b"Lead X"))

    with pytest.raises(SixtyfourTransferError, match="is not what its batch has landed"):
        collecting(batches=batches, results=enriched, merge_into=f"file://{folder}/all.csv")

    names_there = [f"leads-{number:05d}" for number in range(3)]
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, *names_there]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["complete"], manifest["merged"]) == (True, None)
    assert manifest["not_merged"].startswith("A file is not what its batch has landed")


def test_what_a_repair_brought_is_part_of_the_whole(enriching, enriched, batches, collecting, folder, tmp_path):
    sent = f"file://{tmp_path}/pending"
    pending = Task(
        lambda: SixtyfourRepairInputOperator(
            task_id="repair", source=batches, results=enriched[:2], destination=sent, key="name"
        )
    ).run()
    repaired = [enriching(source=batch).run() for batch in pending]

    summary = collecting(batches=[batches[:2], pending], results=[enriched[:2], repaired])

    assert (summary["batches"], summary["rows_sent"], summary["rows"]) == (3, 5, 5)


def test_its_outlets_receive_the_totals(enriched, batches, folder):
    asset = Asset(uri="s3://bucket/leads/")
    task = Task(
        lambda: SixtyfourCollectBatchesOperator(
            task_id="collect", outlets=[asset], batches=batches, results=enriched, destination=f"file://{folder}"
        )
    )
    events = OutletEventAccessors()

    summary = task.operator().execute({**task.context, "outlet_events": events})

    assert events[asset].extra == {"uri": f"file://{folder}", **summary}


def test_everything_that_can_be_templated(enriched, batches, folder):
    params = {"folder": str(folder), "batches": batches, "results": enriched}
    summary = Task(
        lambda: SixtyfourCollectBatchesOperator(
            task_id="collect",
            destination="file://{{ params.folder }}/whole",
            merge_into="file://{{ params.folder }}/{{ run_id }}.csv",
            batches=batches,
            results=enriched,
        ),
        params=params,
    ).run()

    assert summary["manifest"] == f"file://{folder}/whole/{MANIFEST}"
    assert summary["merged"]["path"] == f"file://{folder}/scheduled__2026-11-01.csv"


def test_a_split_that_has_failed_leaves_no_batches_and_no_whole(folder):
    """Airflow pulls ``None`` then; it is not the ``None`` of a Dag that doesn't know its batches."""
    task = Task(
        lambda: SixtyfourCollectBatchesOperator(
            task_id="collect", batches=["{{ a }}"], results=[], destination=f"file://{folder}"
        )
    )
    operator = task.operator()
    operator.batches = None

    with pytest.raises(AirflowFailException, match="should have made them has returned nothing"):
        operator.execute(task.context)

    assert not folder.exists()


def test_as_a_function(enriched, folder):
    assert collect_batches(results=enriched, destination=f"file://{folder}")["rows_sent"] is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"destination": "/landed"}, "destination should be a URL"),
        ({"merge_into": "all.csv"}, "merge_into should be a URL"),
        ({"results": ["x"]}, "results should be"),
        ({"batches": []}, "none of the batches"),
    ],
)
def test_invalid_arguments_are_reported(enriched, batches, collecting, folder, wrong, message):
    before = sorted(folder.rglob("*"))

    with pytest.raises(AirflowFailException, match=message):
        collecting(**{"batches": batches, "results": enriched, **wrong})

    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("parameter", ["destination", "merge_into"])
def test_a_path_that_no_store_takes_is_reported(enriched, batches, collecting, folder, parameter):
    with pytest.raises(
        AirflowFailException, match=rf"^{parameter} has a name of 256 bytes in it; file systems take 255"
    ):
        collecting(batches=batches, results=enriched, **{parameter: f"file://{folder}/{'d' * 252}.csv"})


def test_files_that_can_not_be_merged_are_reported(enriched, batches, collecting, folder):
    two = [{**enriched[0], "files": enriched[0]["files"] * 2}, *enriched[1:]]
    own = enriched[1]["files"][0]["path"]

    with pytest.raises(AirflowFailException, match=r"A batch has 2 files; merge_into takes one of each, as"):
        collecting(batches=batches, results=two, merge_into=f"file://{folder}/all.csv")
    with pytest.raises(AirflowFailException, match="is a file of a batch"):
        collecting(batches=batches, results=enriched, merge_into=own)
    with pytest.raises(AirflowFailException, match="should end as the files of the batches do") as caught:
        collecting(batches=batches, results=enriched, merge_into=f"file://{folder}/all.ndjson")
    assert str(caught.value).endswith(
        f"Nothing was merged. All 3 batches have results, see file://{folder}/{MANIFEST}."
    )
    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["complete"], manifest["merged"], manifest["rows"]) == (True, None, 5)
    assert "should end as the files of the batches do" in manifest["not_merged"]


def test_a_store_that_fails_while_files_are_merged_leaves_the_manifest(
    enriched, batches, collecting, folder, monkeypatch
):
    def fails(*_):
        raise OSError("https://bucket/key?X-Amz-Signature=secret")

    monkeypatch.setattr("airflow_provider_sixtyfour.tasks.collect_results.merge", fails)

    with pytest.raises(OSError, match="Signature"):
        collecting(batches=batches, results=enriched, merge_into=f"file://{folder}/all.csv")

    manifest = json.loads((folder / MANIFEST).read_text())
    assert (manifest["complete"], manifest["merged"], manifest["not_merged"]) == (True, None, "OSError")


def relanded(result, content):
    """Make other content the file that a batch has landed."""
    [file] = result["files"]
    local(file["path"]).write_bytes(content)
    changed = {**file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return {**result, "files": [changed]}


@pytest.mark.parametrize(
    "content",
    [
        b"name,size\nLead 2,1\rLead 3,2\n",
        b'name,size\nLead 2,5" pipe\n',
        b"name,size\nLead 2\n",
        b"name,size\n\xff,\0\n",
        b"name,size\n",
        b"",
    ],
)
def test_whatever_is_in_the_results_they_are_merged_and_repaired(
    enriched, batches, collecting, folder, tmp_path, content
):
    before = [relanded(one, b"name,size\nLead %d,1\n" % number) for number, one in enumerate(enriched)]
    results = [before[0], relanded(enriched[1], content), before[2]]

    collecting(batches=batches, results=results, merge_into=f"file://{folder}/all.csv")

    rows = content.removeprefix(b"name,size\n")
    assert (folder / "all.csv").read_bytes() == b"name,size\nLead 0,1\n" + rows + b"Lead 2,1\n"
    assert json.loads((folder / MANIFEST).read_text())["merged"]
    repair = Task(
        lambda: SixtyfourRepairInputOperator(
            task_id="repair", source=batches, results=results, destination=f"file://{tmp_path}/pending", key="name"
        )
    )
    assert repair.run()


def test_half_a_surrogate_pair_in_a_name_of_the_api_is_no_matter(enriched, batches, collecting, folder):
    [file] = enriched[0]["files"]
    enriched[0]["files"] = [{**file, "filename": "\ud83d.csv"}]

    collecting(batches=batches, results=enriched)

    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["results"][0]["files"][0]["filename"] == "\ud83d.csv"


class Recalling(TaskInstance):
    """A task instance that finds the summary of a split."""

    def xcom_pull(self, task_ids, key):
        return {"columns": ["name", "site"]} if (task_ids, key) == ("split", "summary") else None


def test_a_merged_file_without_a_row_has_the_header_of_the_input(folder, enriched, batches):
    def made(**given):
        with DAG("enrichment", schedule=None):
            split = SixtyfourSplitInputOperator(task_id="split", source="file:///x.csv", destination="file:///y")
            return SixtyfourCollectBatchesOperator(
                task_id="collect",
                batches=split.output,
                destination=f"file://{folder}",
                merge_into=f"file://{folder}/all.csv",
                **given,
            )

    task = Task(lambda: None)
    task.ti = Recalling()
    for given, results in ([], []), (batches[:1], [relanded(enriched[0], b"")]):
        operator = made(results=results)
        operator.batches = given
        operator.execute(task.context)
        assert (folder / "all.csv").read_text() == "name,site\n"


def test_it_logs_a_line_a_batch_and_the_whole(enriched, batches, collecting, folder, logs):
    enriched[1]["rows"] = 1
    collecting(batches=batches, results=enriched, merge_into=f"file://{folder}/all.csv")

    texts = logs.texts()
    table = texts.index("batch            rows in  rows out  credits  state")
    used = [f"{one['metrics']['credits_used']:,g}" for one in enriched]
    assert texts[table + 1 : table + 4] == [
        f"leads-00000.csv        2         2  {used[0]:>7}  done",
        f"leads-00001.csv        2         1  {used[1]:>7}  1 row fewer",
        f"leads-00002.csv        1         1  {used[2]:>7}  done",
    ]
    assert re.fullmatch(
        r"Collected 3 batches in \d\.\d s: 5 rows in, 4 rows out, \d+ credits, 3 files, \d+ bytes\. "
        rf"Merged into file://{folder}/all\.csv\. Manifest: file://{folder}/{MANIFEST}\.",
        texts[-1],
    )


def test_of_many_batches_those_that_differ_are_logged():
    many = [{"path": f"file:///sent/{number}.csv", "rows": 2} for number in range(200)]
    results = [
        {
            "job_id": "j",
            "source": batch["path"],
            "rows": 2 - (number in (3, 150)),
            "bytes": 1,
            "files": [],
            "manifest": f"file:///{number}",
            "metrics": {"credits_used": 1500.5},
        }
        for number, batch in enumerate(many[:-1])
    ]

    lines = list(table(collect(many, results)))

    assert [line.split()[0] for line in lines] == ["batch", "3.csv", "150.csv", "199.csv", "197"]
    assert lines[1] == "3.csv          2         1  1,500.5  1 row fewer"
    assert lines[-2:] == ["199.csv        2         ?        ?  missing", "197 more, 0 of them not done."]
    assert len(list(table(collect(many, [])))) == 52
    assert list(table(collect(many, [])))[-1] == "150 more, 150 of them not done."
    assert len(list(table(collect(many[:50], results[:50])))) == 51
    assert list(table(collect([], []))) == []


def test_it_logs_how_full_the_columns_are(enriched, batches, collecting, logs):
    enriched[0]["quality"] = {"name": {"filled": 2, "empty": 0}, "phone": {"filled": 1, "empty": 1}}
    enriched[1]["quality"] = {}
    enriched[2]["quality"] = {"name": {"filled": 1, "empty": 0}}

    collecting(batches=batches, results=enriched)

    texts = logs.texts()
    heading = texts.index("column  filled  of    share")
    assert texts[heading + 1 : heading + 3] == ["phone        1   3   33.3 %", "name         3   3  100.0 %"]
    assert texts[heading - 1].startswith("leads-00002.csv")


def test_the_emptiest_columns_come_first_and_those_of_a_status_have_its_values():
    status = {"filled": 1000, "empty": 0, "values": {"RISKY": 1, "OK": 996, "a\nb": 1, "c": 1, "d": 1, "e": 0}}
    quality = {
        "full": {"filled": 1000, "empty": 0},
        "email_status": status,
        "almost": {"filled": 9_999, "empty": 1},
        "x" * 50: {"filled": 1, "empty": 9_999},
        "two\nlines": {"filled": 0, "empty": 10},
        "nobody": {"filled": 0, "empty": 0},
    }

    assert list(quality_table(quality)) == [
        "column                                    filled      of    share  values",
        "two\ufffdlines                                      0      10    0.0 %",
        f"{'x' * 39}…       1  10,000    0.1 %",
        "almost                                     9,999  10,000   99.9 %",
        "full                                       1,000   1,000  100.0 %",
        "email_status                               1,000   1,000  100.0 %"
        "  OK 99.6 %, RISKY 0.1 %, a\ufffdb 0.1 %, c 0.1 %, d 0.1 %, …",
    ]


def test_of_many_columns_the_emptiest_are_logged():
    quality = {f"c{number}": {"filled": number, "empty": 100 - number} for number in range(100)}

    lines = list(quality_table(quality))

    assert (len(lines), lines[1].split()[0], lines[-2].split()[0]) == (22, "c0", "c19")
    assert lines[-1] == "80 columns more, filled in 20.0 % of the rows at least."
    assert len(list(quality_table(dict(list(quality.items())[:20])))) == 21
    assert list(quality_table({})) == []


def test_what_a_least_share_means_for_a_column_is_logged():
    quality = {
        "email": {"filled": 3, "empty": 2},
        "phone": {"filled": 1, "empty": 0},
        "none": {"filled": 0, "empty": 0},
    }

    assert list(quality_lines(quality, {"email": 0.8, "phone": 1, "none": 1, "nobody": 1})) == [
        "email is filled in 60.0 % of 5 rows, less than 80.0 %: rows without it are pending.",
        "phone is filled in 100.0 % of 1 row, not less than 100.0 %: its gaps are left.",
    ]


@pytest.mark.parametrize("name", ["destination", "merge_into"])
def test_a_place_that_can_not_be_written_to_is_named(enriched, batches, collecting, tmp_path, name):
    (tmp_path / "file").write_text("x")

    with pytest.raises(SixtyfourTransferError, match=r"^Not a directory .*: could not \w+ file://.*/file/below"):
        collecting(batches=batches, results=enriched, **{name: f"file://{tmp_path}/file/below/all.csv"})
