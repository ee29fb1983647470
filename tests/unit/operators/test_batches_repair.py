"""What came back un-enriched, or not at all, becomes the next input."""

import json
import re
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

from airflow_provider_sixtyfour.formats.table import FORMATS
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


def test_pending_rows_become_the_next_batches(sent, tmp_path, folder, logs):
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


def test_what_a_run_left_out_is_run_again_until_nothing_is_pending(emulator, sent, tmp_path, folder):
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
    pending = repair(source=sent, results=landed, destination=f"file://{folder}", key=["email"])
    assert [batch["rows"] for batch in pending] == [6]
    enrich(pending[0])

    assert repair(source=sent, results=landed, destination=f"file://{folder}", key=["email"]) == []
    assert [run["rows"] for run in emulator.runs()] == [4, 6]


def test_more_batches_than_may_be_run_fail_for_good(sent, folder):
    given = {"source": sent, "results": [], "destination": f"file://{folder}", "key": "email", "max_runs": 2}

    assert len(repair(batch_rows=5, **given)) == 2
    with pytest.raises(AirflowFailException, match="There are more than the 2 batches of max_runs"):
        repair(batch_rows=4, **given)


@pytest.mark.parametrize("results", [[], None, [[], None]])
def test_without_results_everything_is_pending(sent, folder, results):
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
    ("arguments", "message"),
    [
        ({"key": ()}, "key should name the columns that identify a row"),
        ({"key": 7}, "key should be names of columns"),
        ({"key": "phone"}, "There is no column 'phone'"),
        ({"key": "nobody"}, "There is no column 'nobody'"),
        ({"result_columns": "nobody"}, "There is no column 'nobody'"),
        ({"source": "leads.csv"}, "source should be a URL with a scheme"),
        ({"source": {"rows": 5}}, "source should be a URL with a scheme"),
        ({"source": "file:///no/such/leads.csv"}, "There is no file file:///no/such/leads.csv"),
        ({"results": "file:///no/such/leads.csv"}, "There is no file file:///no/such/leads.csv"),
        ({"results": "file:///no/such/leads.json"}, "can't be read row by row"),
        ({"results": [7]}, "results should be a URL with a scheme"),
        ({"destination": "/data"}, "destination should be a URL with a scheme"),
        ({"max_rows": 8}, "There are more than the 8 rows of max_rows"),
        ({"max_runs": 1.5}, "max_runs should be a number of runs"),
        ({"batch_rows": 0}, "batch_rows should be a whole number"),
    ],
    ids=str,
)
def test_invalid_arguments_fail_for_good_and_write_nothing(sent, tmp_path, folder, arguments, message):
    came_back = results(tmp_path, "results.csv", "email,phone\n1@x,5\n")
    if "leads.json" in str(arguments):
        (tmp_path / "leads.json").write_text("[]")
        arguments = {"results": f"file://{tmp_path}/leads.json"}
    given = {"source": sent, "results": came_back, "destination": f"file://{folder}", "key": "email", **arguments}

    with pytest.raises(AirflowFailException, match=re.escape(message)):
        repair(**given)

    assert not folder.exists() or list(folder.iterdir()) == []


def test_inputs_with_other_headers_are_repaired_one_by_one(sent, tmp_path, folder):
    Path(sent[1]["path"].removeprefix("file://")).write_text("email,name\n1@x,One\n")

    with pytest.raises(
        AirflowFailException, match=r"different headers: .* file://.*leads-00001\.csv and file://.*leads-00000\.csv"
    ):
        repair(source=sent, results=[], destination=f"file://{folder}", key="email")


# min_quality


def of_quality(tmp_path, name, text):
    """Return what a task has returned of a file of results that it has landed."""
    (tmp_path / name).write_text(text)
    quality = FORMATS[name.rpartition(".")[2]].quality([text.encode()])
    rows = max((one["filled"] + one["empty"] for one in quality.values()), default=0)
    return {"rows": rows, "files": [{"path": f"file://{tmp_path}/{name}"}], "manifest": name, "quality": quality}


@pytest.fixture
def came_back(tmp_path):
    """Results of 9 of the 10 rows: 6 with a phone, 8 with a title."""
    rows = [(number, "5" if number < 6 else "", "Baker" if number != 8 else " ") for number in range(9)]
    return [
        of_quality(tmp_path, "first.csv", "email,phone,title\n" + "".join(f"{n}@x,{p},{t}\n" for n, p, t in rows[:4])),
        None,
        [
            of_quality(
                tmp_path,
                "second.ndjson",
                "".join(json.dumps({"email": f"{n}@x", "phone": p, "title": t}) + "\n" for n, p, t in rows[4:]),
            )
        ],
    ]


def repaired(sent, results, folder, **more):
    """Return the numbers of the rows that are pending."""
    made = repair(source=sent, results=results, destination=f"file://{folder}", key="email", **more)
    return [int(line.split(b",")[1].removesuffix(b"@x")) for one in made for line in content(one).splitlines()[1:]]


@pytest.mark.parametrize(
    ("least", "pending"),
    [
        (None, [9]),
        ({}, [9]),
        ({"phone": 0.66}, [9]),
        ({"phone": 0.67}, [6, 7, 8, 9]),
        ({"phone": "0.67"}, [6, 7, 8, 9]),
        ({"title": 0.9}, [8, 9]),
        ({"phone": 0.5, "title": 0.9}, [8, 9]),
        ({"phone": 1, "title": 0.5}, [6, 7, 8, 9]),
        ({"phone": 1, "title": 1}, [6, 7, 8, 9]),
        ({"phone": 0, "email": 1}, [9]),
    ],
)
def test_gaps_are_pending_in_columns_that_are_too_empty(sent, came_back, folder, least, pending):
    assert repaired(sent, came_back, folder, min_quality=least) == pending


def test_it_adds_to_the_result_columns(sent, came_back, folder, logs):
    given = {"result_columns": ["title"], "min_quality": {"phone": "{{ params.least }}"}}

    def pending(least):
        task = Task(
            lambda: SixtyfourRepairInputOperator(
                task_id="repair", source=sent, results=came_back, destination=f"file://{folder}", key="email", **given
            ),
            params={"least": least},
        )
        return sum(batch["rows"] for batch in task.run())

    assert pending(0.5) == 2
    assert "phone is filled in 66.7 % of 9 rows, not less than 50.0 %: its gaps are left." in logs
    assert pending(0.7) == 4
    assert "phone is filled in 66.7 % of 9 rows, less than 70.0 %: rows without it are pending." in logs


def test_a_column_that_one_batch_does_not_have_is_empty_there(sent, tmp_path, folder):
    with_it = of_quality(tmp_path, "with.ndjson", "".join(f'{{"email": "{n}@x", "phone": "5"}}\n' for n in range(6)))
    without = of_quality(tmp_path, "without.ndjson", "".join(f'{{"email": "{n}@x"}}\n' for n in range(6, 10)))

    assert repaired(sent, [with_it, without], folder, min_quality={"phone": 0.7}) == [6, 7, 8, 9]
    assert repaired(sent, [with_it, without], folder, min_quality={"phone": 0.6}) == []


def test_what_a_collection_returned_is_repaired_too(sent, tmp_path, folder):
    one = of_quality(tmp_path, "all.csv", "email,phone\n" + "".join(f"{n}@x,{'5' * (n < 4)}\n" for n in range(10)))
    whole = {"batches": 3, "rows": 10, "merged": one["files"][0], "quality": one["quality"], "manifest": "m"}

    assert repaired(sent, whole, folder, min_quality={"phone": 0.5}) == [4, 5, 6, 7, 8, 9]
    assert repaired(sent, whole, folder, min_quality={"phone": 0.4}) == []
    with pytest.raises(AirflowFailException, match="results is a collection without a merged file: set merge_into"):
        repaired(sent, {**whole, "merged": None}, folder)


@pytest.mark.parametrize("results", [[], None, [None]])
def test_without_results_there_is_no_quality_and_everything_is_pending(sent, folder, results):
    assert repaired(sent, results, folder, min_quality={"phone": 0.5}) == list(range(10))


def test_results_without_a_row_have_no_quality(sent, tmp_path, folder):
    empty = {**of_quality(tmp_path, "empty.ndjson", ""), "rows": 0}
    assert empty["quality"] == {}
    assert repaired(sent, [empty], folder, min_quality={"phone": 0.5}) == list(range(10))


@pytest.mark.parametrize(
    ("least", "message"),
    [
        (0.8, "min_quality should give shares from 0 to 1 by names of columns"),
        ("email", "min_quality should give shares"),
        ({"email": 80}, "min_quality should give shares"),
        ({"email": -0.1}, "min_quality should give shares"),
        ({"email": True}, "min_quality should give shares"),
        ({"email": "many"}, "min_quality should give shares"),
        ({"email": None}, "min_quality should give shares"),
        ({"email": float("nan")}, "min_quality should give shares"),
        ({"email": 10**400}, "min_quality should give shares"),
        ({"": 0.5}, "min_quality should give shares"),
        ({3: 0.5}, "min_quality should give shares"),
    ],
    ids=str,
)
def test_an_invalid_least_quality_is_an_error_of_the_dag(sent, folder, least, message):
    given = {"task_id": "repair", "source": sent, "results": [], "destination": f"file://{folder}", "key": "email"}

    with pytest.raises(AirflowFailException, match=message):
        SixtyfourRepairInputOperator(**given, min_quality=least)


def test_a_typo_in_a_column_pays_for_nothing(sent, came_back, folder):
    with pytest.raises(AirflowFailException, match=r"There is no column 'fone'; there are: 'email', 'ph"):
        repaired(sent, came_back, folder, min_quality={"fone": 0.8})
    assert not folder.exists()


@pytest.mark.parametrize("hidden", [{}, {"quality": {}}, {"quality": {"phone": 3}}])
def test_results_of_unknown_quality_are_named(sent, came_back, folder, tmp_path, hidden):
    unknown = {name: value for name, value in came_back[0].items() if name != "quality"} | hidden
    message = "min_quality needs results with their quality, and first.csv has none: give it what"

    with pytest.raises(AirflowFailException, match=message):
        repaired(sent, [unknown, came_back[2]], folder, min_quality={"phone": 0.5})
    with pytest.raises(AirflowFailException, match=r"and file://.*first\.csv has none"):
        repaired(sent, f"file://{tmp_path}/first.csv", folder, min_quality={"phone": 0.5})
    assert not folder.exists()


def test_keys_that_are_written_in_another_way_get_a_warning(sent, tmp_path, folder, logs):
    came_back = results(tmp_path, "results.csv", "email\n0@X\n1@X\n2@X\n")

    repair(source=sent, results=came_back, destination=f"file://{folder}", key="email")

    assert "No row of the input is among the 3 keys of the results, so all of them would be paid for again" in logs
