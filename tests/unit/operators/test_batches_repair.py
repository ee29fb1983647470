"""What came back un-enriched, or not at all, becomes the next input."""

import json
import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_sixtyfour.operators.batches import SixtyfourRepairInputOperator, repair_input, split_input
from airflow_provider_sixtyfour.operators.sixtyfour import SixtyfourRunWorkflowOperator
from airflow_provider_sixtyfour.transfers.object_storage_to_sixtyfour import ObjectStorageToSixtyfourOperator
from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator
from tests.unit.operators.test_batches_split import content
from tests.unit.standins import Task

LEADS = "name,email\n" + "".join(f"Lead {number},{number}@x\n" for number in range(10))


@pytest.fixture
def sent(tmp_path):
    """An input in batches of 4, 4 and 2 rows."""
    path = tmp_path / "leads.csv"
    path.write_text(LEADS)
    return split_input(source=f"file://{path}", destination=f"file://{tmp_path}/sent", batch_rows=4)


def repair(**more):
    return Task(lambda: SixtyfourRepairInputOperator(task_id="repair", **more)).run()


def results(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    return {"path": f"file://{tmp_path}/{name}", "rows": 1}


def test_rows_that_are_owed_become_the_next_batches(sent, tmp_path, folder, logs):
    first = results(tmp_path, "first.csv", "email,phone,title\n0@x,5,\n1@x,,\n2@x,,Baker\n")
    second = results(tmp_path, "second.ndjson", json.dumps({"email": "9@x", "phone": "5", "title": None}))

    task = Task(
        lambda: SixtyfourRepairInputOperator(
            task_id="repair",
            source=sent,
            results=[[first], None, [second]],
            destination="file://{{ params.folder }}/",
            key="email",
            result_columns=["phone", "title"],
            batch_rows=5,
        ),
        params={"folder": str(folder)},
    )
    made = task.run()

    assert [(batch["index"], batch["rows"]) for batch in made] == [(0, 5), (1, 2)]
    assert [batch["path"] for batch in made] == [
        f"file://{folder}/leads-00000-repair-0000{number}.csv" for number in (0, 1)
    ]
    assert content(made[0]) == b"name,email\n" + b"".join(b"Lead %d,%d@x\n" % (each, each) for each in (1, 3, 4, 5, 6))
    assert content(made[1]) == b"name,email\nLead 7,7@x\nLead 8,8@x\n"
    assert task.ti.xcoms["summary"] == {"batches": 2, "rows": 7, "without_key": 0}
    assert "7 rows of leads-00000.csv left to be enriched, in 2 batches, found in 0." in logs


def test_what_a_run_left_out_is_run_again_until_nothing_is_owed(emulator, sent, tmp_path, folder):
    """Upload, run and land one batch of three; the repair has the rows of the other two."""
    workflow = emulator.store_workflow(source="read_csv")
    landed = []

    def enrich(batch):
        path = batch["path"]
        handle = Task(lambda: ObjectStorageToSixtyfourOperator(task_id="up", source=path)).run()
        job = Task(
            lambda: SixtyfourRunWorkflowOperator(
                task_id="run", workflow_id=workflow, resource_handle_id=handle, poll_interval=0.02
            )
        ).run()
        destination = f"file://{tmp_path}/landed/{len(landed)}"
        landed.append(
            Task(lambda: SixtyfourToObjectStorageOperator(task_id="land", job_id=job, destination=destination)).run()
        )

    enrich(sent[0])
    owed = repair(source=sent, results=landed, destination=f"file://{folder}", key=["email"])
    assert [batch["rows"] for batch in owed] == [6]
    enrich(owed[0])

    assert repair(source=sent, results=landed, destination=f"file://{folder}", key=["email"]) == []
    assert [run["rows"] for run in emulator.runs()] == [4, 6]


def test_more_batches_than_may_be_run_fail_for_good(sent, folder):
    given = {"source": sent, "results": [], "destination": f"file://{folder}", "key": "email", "max_runs": 2}

    assert len(repair(batch_rows=5, **given)) == 2
    with pytest.raises(AirflowFailException, match="makes more than the 2 batches of max_runs"):
        repair(batch_rows=4, **given)


@pytest.mark.parametrize("results", [[], None, [[], None]])
def test_without_results_everything_is_owed(sent, folder, results):
    made = repair(source=sent, results=results, destination=f"file://{folder}", key="email")

    assert [batch["rows"] for batch in made] == [10]


def test_without_an_input_nothing_is(tmp_path, folder):
    came_back = results(tmp_path, "results.csv", "email\n1@x\n")

    assert repair(source=[], results=came_back, destination=f"file://{folder}", key="email") == []
    assert not folder.exists()


def test_urls_paths_and_references(sent, tmp_path, folder):
    came_back = results(tmp_path, "results.csv", "email\n" + "".join(f"{number}@x\n" for number in range(9)))
    source = f"file://{tmp_path}/leads.csv"
    for given in (source, [source], ObjectStoragePath(source), {"path": source}, tuple(sent), sent[2], sent[2]["path"]):
        for found in (came_back, came_back["path"], [ObjectStoragePath(came_back["path"])]):
            [made] = repair_input(source=given, results=found, destination=f"file://{folder}", key=("email",))
            assert content(made) == b"name,email\nLead 9,9@x\n"


def test_a_store_that_is_no_disk(memory_store):
    memory_store.pipe("/in/leads.csv", b"Mail\n1@x\n2@x\n")
    memory_store.pipe("/in/results.csv", b"email,phone\n2@x,5\n")

    [made] = repair(
        source="memory://in/leads.csv",
        results="memory://in/results.csv",
        destination="memory://out",
        key="email",
        rename_columns={"Mail": "email"},
    )

    assert memory_store.cat("/out/leads-repair-00000.csv") == b"email\n1@x\n"
    # Airflow 2 spells it with three slashes.
    assert made["path"].replace(":///", "://") == "memory://out/leads-repair-00000.csv"


def test_the_same_files_give_the_same_repair_again(sent, tmp_path, folder):
    came_back = results(tmp_path, "results.csv", "email\n1@x\n")
    given = {"source": sent, "results": came_back, "destination": f"file://{folder}", "key": "email", "batch_rows": 3}

    made = repair(**given)

    assert [batch["rows"] for batch in made] == [3, 3, 3]
    assert repair(**given) == made
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"key": ()}, "key should name the columns that identify a row"),
        ({"key": 7}, "key should be names of columns"),
        ({"key": "phone"}, "leads-00000.csv has no column 'phone'"),
        ({"key": "nobody"}, "results.csv has no column 'nobody'"),
        ({"result_columns": "nobody"}, "results.csv has no column 'nobody'"),
        ({"source": "leads.csv"}, "source should be a URL with a scheme"),
        ({"source": {"rows": 5}}, "source should be a URL with a scheme"),
        ({"source": "file:///no/such/leads.csv"}, "There is no file file:///no/such/leads.csv"),
        ({"results": "file:///no/such/leads.csv"}, "There is no file file:///no/such/leads.csv"),
        ({"results": "file:///no/such/leads.json"}, "can't be read row by row"),
        ({"results": [7]}, "results should be a URL with a scheme"),
        ({"destination": "/data"}, "destination should be a URL with a scheme"),
        ({"max_rows": 8}, "has more than the 8 rows of max_rows"),
        ({"max_runs": 1.5}, "max_runs should be a number of runs"),
        ({"batch_rows": 0}, "batch_rows should be a whole number"),
    ],
    ids=str,
)
def test_what_cannot_be_right_fails_for_good_and_owes_nothing(sent, tmp_path, folder, arguments, said):
    came_back = results(tmp_path, "results.csv", "email,phone\n1@x,5\n")
    if "leads.json" in str(arguments):
        (tmp_path / "leads.json").write_text("[]")
        arguments = {"results": f"file://{tmp_path}/leads.json"}
    given = {"source": sent, "results": came_back, "destination": f"file://{folder}", "key": "email", **arguments}

    with pytest.raises(AirflowFailException, match=re.escape(said)):
        repair(**given)

    assert not folder.exists() or list(folder.iterdir()) == []


def test_inputs_with_other_headers_are_repaired_one_by_one(sent, tmp_path, folder):
    Path(sent[1]["path"].removeprefix("file://")).write_text("email,name\n1@x,One\n")

    with pytest.raises(
        AirflowFailException, match=r"leads-00001\.csv has another header than file://.*leads-00000\.csv"
    ):
        repair(source=sent, results=[], destination=f"file://{folder}", key="email")
