"""Workflows as code from a shell: compared, saved, and printed in the shape that is taken back."""

import json
import uuid

import pytest

from tests.unit.operators.test_deploy import block, chain, wanted


@pytest.fixture
def workflow_id():
    return str(uuid.uuid4())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(wanted()))
    return path


def saves(emulator):
    return [one for one in emulator.requests() if one["method"] == "POST"]


@pytest.mark.parametrize("command", ["check", "diff"])
def test_a_difference_is_printed_and_exits_1(cli, emulator, workflow_id, file, command):
    done = cli(command, file, "--workflow-id", workflow_id)

    assert done.code == 1
    assert '~ workflow_name: null -> "Leads"' in done.out
    assert done.out.count("+ block") == 3
    assert "is not stored yet" in done.err
    assert saves(emulator) == []


def test_deployed_once_there_is_no_difference_and_nothing_to_save(cli, emulator, workflow_id, file):
    assert cli("deploy", file, "--workflow-id", workflow_id).code == 0
    assert len(saves(emulator)) == 1

    again = cli("deploy", file, "--workflow-id", workflow_id)
    check = cli("check", file, "--workflow-id", workflow_id)

    assert (again.code, again.out) == (0, "")
    assert "up to date; nothing was saved" in again.err
    assert (check.code, check.out) == (0, "")
    assert len(saves(emulator)) == 1


def test_a_dry_run_saves_nothing(cli, emulator, workflow_id, file):
    done = cli("deploy", file, "--workflow-id", workflow_id, "--dry-run")

    assert done.code == 0
    assert done.out.count("+ block") == 3
    assert "nothing was saved" in done.err
    assert saves(emulator) == []


def test_json_output_is_one_document(cli, workflow_id, file):
    check = cli("check", file, "--workflow-id", workflow_id, "-o", "json")
    deploy = cli("deploy", file, "--workflow-id", workflow_id, "-o", "json")

    assert check.code == 1
    assert len(check.json["changes"]) == 7
    assert (check.json["is_stored"], check.json["saved"]) == (False, False)
    assert (deploy.json["changes"], deploy.json["saved"]) == (check.json["changes"], True)


def test_what_is_pulled_makes_no_difference(cli, emulator, workflow_id, tmp_path):
    ids = [str(uuid.uuid4()) for _ in range(2)]
    hostile = "\x1b[31mred\x9b\u202e é 𝄞"
    source = block("webhook", 1, ids[0], input_schema={hostile: {"type": "string"}})
    body = chain(source, block("find_email", 2, ids[1], mode="PROFESSIONAL"), workflow_description=hostile)
    emulator.api("POST", f"/workflows/update_workflow?workflow_id={workflow_id}", body)

    pulled = cli("pull", "--workflow-id", workflow_id)
    path = tmp_path / "pulled.json"
    path.write_text(pulled.out)
    check = cli("check", path, "--workflow-id", workflow_id)

    assert pulled.code == 0
    assert "\x1b" not in pulled.out
    assert "\u202e" not in pulled.out
    assert (check.code, check.out) == (0, "")
    assert cli("check", "-", "--workflow-id", workflow_id, stdin=pulled.out).code == 0


def test_a_workflow_that_is_not_stored_can_not_be_pulled(cli, workflow_id):
    done = cli("pull", "--workflow-id", workflow_id)

    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"workflow_definition": {"blocks": [', "is not valid JSON"),
        ("", "is empty"),
        ("[1, 2]", "should be an object, not list"),
        ('"text"', "The workflow is not valid JSON"),
        ('{"workflow_name": 5, "workflow_definition": {"blocks": [], "edges": []}}', "workflow_name should be text"),
        ('{"workflow_definition": {"blocks": [], "edges": []}}', "it has no blocks"),
        (b"\xff\xfe\x00", "is not UTF-8 text"),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_workflow_is_one_line_and_exits_3(cli, emulator, workflow_id, tmp_path, content, reason):
    path = tmp_path / "broken.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    done = cli("check", path, "--workflow-id", workflow_id)

    assert (done.code, done.out) == (3, "")
    assert reason in done.err
    assert len(done.err.splitlines()) == 1
    assert saves(emulator) == []


def test_specs_that_the_api_does_not_publish_are_warnings_or_errors(cli, workflow_id, tmp_path):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(chain(block("webhook", 1), block("no_such_block", 2))))

    loose = cli("check", path, "--workflow-id", workflow_id)
    strict = cli("check", path, "--workflow-id", workflow_id, "--validate-specs")

    assert loose.code == 1
    assert "Warning: differs from the API's published schema" in loose.err
    assert (strict.code, strict.out) == (3, "")


def test_a_save_that_may_cost_credits_is_announced(cli, workflow_id, tmp_path):
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(chain(block("search", 1, auto_execute=True, query="bakeries"))))

    done = cli("deploy", path, "--workflow-id", workflow_id, "--dry-run")

    assert "may cost credits: search has auto_execute" in done.err


def test_workflows_are_listed(cli, emulator):
    name = "\x1b[2J\x1b]0;title\x07Leads\r\nof 日本"
    workflow_id = emulator.store_workflow()
    body = emulator.api("GET", f"/workflows/{workflow_id}")
    renamed = {"workflow_name": name, "workflow_definition": body["workflow_definition"]}
    emulator.api("POST", f"/workflows/update_workflow?workflow_id={workflow_id}", renamed)

    table, plain = cli("workflows"), cli("workflows", "-o", "plain")
    document, text = cli("workflows", "-o", "json"), cli("workflows", "-o", "yaml")

    [line] = [line for line in table.out.splitlines() if line.startswith(workflow_id)]
    assert "Leads of 日本" in line
    assert table.out.startswith("WORKFLOW ID")
    for done in (table, plain, document, text):
        assert done.code == 0
        assert all(line.isprintable() for line in done.out.replace("\t", "").splitlines())
    assert workflow_id in [each["workflow_id"] for each in document.json]
    assert workflow_id in [line.split("\t")[0] for line in plain.out.splitlines()]


def test_blocks_are_listed(cli):
    done = cli("blocks", "-o", "json")

    assert {"webhook", "read_csv"} <= {each["block_name"] for each in done.json}
    assert all(isinstance(each["specs_schema"], dict) for each in done.json)
    assert cli("blocks").code == 0
