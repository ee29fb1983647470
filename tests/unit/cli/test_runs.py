"""Runs from a shell: started once and at a price that was shown, waited for, shown, listed, cancelled."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import uuid

import pytest

from airflow_provider_sixtyfour.cli import connecting
from tests.unit.cli.conftest import ROOT
from tests.unit.conftest import ROWS, until

QUICK = ("--poll-interval", "0.05")


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS))
    return path


def test_a_run_is_started_and_waited_for(cli, emulator, workflow, rows):
    done = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes", "--wait", *QUICK, "-o", "json")

    [run] = emulator.runs()
    assert done.code == 0
    assert (done.json["job_id"], done.json["status"], done.json["rows"]) == (run["job_id"], "completed", 2)
    assert done.json["metrics"]["rows_in"] == 2
    assert "No estimate for 2 rows" in done.err
    assert "Completed. Run" in done.err


def test_the_price_of_past_runs_is_shown_before_anything_is_started(cli, emulator, workflow, rows):
    emulator.completed_run(workflow)

    done = cli("run", "--workflow-id", workflow, "--rows", rows)

    assert done.code == 2
    assert re.search(r"Estimate: [\d.]+ credits_used .* for 2 rows, .* in 1 completed run\.", done.err)
    assert "Add --yes" in done.err.splitlines()[-1]
    assert done.out == ""
    assert emulator.submissions() == []


def test_a_repetition_under_the_printed_key_starts_nothing_more(cli, emulator, workflow, rows):
    first = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes", "-o", "json")
    key = re.search(r"Idempotency key: (\S+)", first.err)[1]

    again = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes", "-o", "json", "--idempotency-key", key)

    assert (first.code, again.code) == (0, 0)
    assert first.json["idempotency_key"] == key
    assert (again.json["job_id"], again.json["already_started"]) == (first.json["job_id"], True)
    assert len(emulator.runs()) == 1


def test_after_a_lost_answer_it_shows_how_to_repeat_without_paying_twice(cli, emulator, workflow, rows, no_pauses):
    emulator.fault("answer", path="/workflows/run", status=502, body="<html>", when="after", times=9)

    done = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes")
    key = re.search(r"add --idempotency-key (\S+)", done.err)[1]
    emulator.control("DELETE", "faults")
    again = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes", "--idempotency-key", key)

    assert (done.code, done.out) == (4, "")
    assert done.err.index(f"Idempotency key: {key}") < done.err.index("A run may have been started")
    assert again.code == 0
    assert len(emulator.runs()) == 1


@pytest.mark.parametrize("name", ["rows.csv", "rows.ndjson", "rows.json"])
def test_rows_come_from_a_file_of_any_format(cli, emulator, workflow, tmp_path, name):
    path = tmp_path / name
    text = {
        "rows.csv": 'name,company_name\n"Ada, L.",Acme\n',
        "rows.ndjson": '{"name": "Ada, L.", "company_name": "Acme"}\n',
        "rows.json": '[{"name": "Ada, L.", "company_name": "Acme"}]',
    }[name]
    path.write_text(text)

    assert cli("run", "--workflow-id", workflow, "--rows", path, "--yes").code == 0
    assert emulator.bodies() == [{"webhook_payload": [{"name": "Ada, L.", "company_name": "Acme"}]}]


def test_rows_come_from_stdin(cli, emulator, workflow):
    assert cli("run", "--workflow-id", workflow, "--rows", "-", "--yes", stdin=json.dumps(ROWS)).code == 0
    assert emulator.bodies() == [{"webhook_payload": ROWS}]


def test_rows_of_csv_that_names_a_column_twice_start_nothing(cli, emulator, workflow, tmp_path):
    (tmp_path / "leads.csv").write_text("name,email,email\nLead,1@x,2@x\n")
    done = cli("run", "--workflow-id", workflow, "--rows", tmp_path / "leads.csv", "--yes")

    assert (done.code, done.out) == (3, "")
    assert "There are two columns of the name 'email'" in done.err
    assert emulator.runs() == []


@pytest.mark.parametrize("is_url", [False, True])
def test_a_file_is_uploaded(cli, emulator, reading_workflow, leads, is_url):
    source = f"file://{leads}" if is_url else leads
    done = cli("run", "--workflow-id", reading_workflow, "--upload", source, "--yes", "-o", "json", "--wait", *QUICK)

    [run] = emulator.runs()
    assert (done.code, done.json["rows"], run["rows"]) == (0, 5, 5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty"),
        ("[]", "has no rows"),
        ('[{"name": ', "is not valid JSON"),
        ("[1]", "Row 0 of --rows should be an object"),
        ('"x"', "--rows should be a list of objects"),
        ('[{"name": NaN}]', "which JSON cannot represent"),
    ],
)
def test_rows_that_are_none_start_nothing(cli, emulator, workflow, rows, content, reason):
    rows.write_text(content)
    done = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes")

    assert (done.code, done.out) == (3, "")
    assert reason in done.err
    assert len(done.err.splitlines()) == 1
    assert emulator.runs() == []


def test_input_of_the_wrong_kind_starts_nothing(cli, emulator, workflow, reading_workflow, rows, leads):
    upload = cli("run", "--workflow-id", workflow, "--upload", leads, "--yes")
    payload = cli("run", "--workflow-id", reading_workflow, "--rows", rows, "--yes")

    assert (upload.code, payload.code) == (3, 3)
    assert "'webhook': give --rows" in upload.err
    assert "'read_csv': give --upload" in payload.err
    assert emulator.runs() == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--workflow-id", "w"),
        ("run", "--workflow-id", "w", "--rows", "a", "--upload", "b"),
        ("run", "--workflow-id", "w", "--rows", "a", "--idempotency-key", ""),
        ("run", "--rows", "a"),
        ("run", "--workflow-id", "w", "--rows", "a", "--timeout", "5"),
        ("wait", "job", "--timeout", "0"),
        ("wait", "job", "--timeout", "soon"),
        ("runs", "--limit", "501"),
        ("runs", "--status", "sleeping"),
        ("estimate", "--workflow-id", "w"),
        ("estimate", "--workflow-id", "w", "--rows", "-1"),
        ("status", "job", "-o", "xml"),
        ("no-such-command",),
        (),
    ],
)
def test_wrong_usage_exits_2_and_asks_nobody(cli, emulator, arguments):
    done = cli(*arguments)

    assert (done.code, done.out) == (2, "")
    assert done.err
    assert emulator.requests() == []


@pytest.mark.parametrize("job_id", ["", "..", "a/b", " "])
def test_an_id_that_can_not_be_one_is_not_sent(cli, emulator, job_id):
    assert cli("status", job_id).code == 3
    assert emulator.requests() == []


def test_a_failed_run_exits_5_with_its_reason(cli, emulator, workflow, rows):
    emulator.plan(fail_block=2, error_message="quota \x1b[31mexceeded")

    run = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes", "--wait", *QUICK, "-o", "json")
    job_id = run.json["job_id"]

    assert run.code == 5
    assert run.json["status"] == "failed"
    assert "quota exceeded" in run.err.splitlines()[-1]
    for done in (cli("wait", job_id, *QUICK), cli("status", job_id)):
        assert done.code == 5
        assert "quota exceeded" in done.out
        assert "\x1b" not in done.out + done.err


def test_a_run_that_takes_too_long_exits_6_and_keeps_running(cli, emulator, workflow, rows):
    emulator.plan(seconds=60)
    job_id = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes", "-o", "json").json["job_id"]

    done = cli("wait", job_id, "--timeout", "0.2", *QUICK)

    assert (done.code, done.out) == (6, "")
    assert "Not completed within 0.2 s: running" in done.err.splitlines()[-1]
    assert f"sixtyfour cancel {job_id}" in done.err
    assert emulator.cancels() == []

    assert cli("status", job_id, "-o", "json").json["status"] == "running"
    assert job_id in cli("runs", "--status", "active").out
    cancelled = cli("cancel", job_id, "-o", "json")
    assert (cancelled.code, cancelled.json["cancelled"]) == (0, True)
    again = cli("cancel", job_id, "-o", "json")
    assert (again.code, again.json["cancelled"]) == (0, False)
    assert cli("wait", job_id, *QUICK).code == 5


@pytest.mark.parametrize("command", ["status", "wait", "cancel"])
def test_a_run_that_is_not_known_exits_3_at_once(cli, no_pauses, monkeypatch, command):
    monkeypatch.setattr("time.sleep", lambda _: None)
    done = cli(command, uuid.uuid4())
    assert done.code == 3
    assert len(done.err.splitlines()) == 1


def test_an_outage_while_waiting_is_waited_out(cli, emulator, workflow, rows, no_pauses):
    emulator.plan(seconds=0.5)
    emulator.fault("answer", path=".*/live_status", status=503, times=3, skip=1)
    emulator.fault("answer", path=".*/live_status", status=429, times=2, skip=4)

    done = cli("run", "--workflow-id", workflow, "--rows", rows, "--yes", "--wait", *QUICK, "-o", "json")

    assert (done.code, done.json["status"]) == (0, "completed")
    assert "Sixtyfour answers again." in done.err


def test_runs_are_listed(cli, emulator, workflow):
    completed = emulator.completed_run(workflow)
    emulator.plan(fail_block=1, error_message="no luck")
    failed = emulator.start_run(workflow)
    until(lambda: emulator.statuses() == ["completed", "failed"])

    every = cli("runs", "--workflow-id", workflow, "-o", "json").json
    of_failed = cli("runs", "--status", "failed", "--workflow-id", workflow, "-o", "json").json
    assert [run["job_id"] for run in every] == [failed, completed]
    assert [run["job_id"] for run in of_failed] == [failed]
    assert [run["job_id"] for run in cli("runs", "--limit", "1", "-o", "json").json] == [failed]
    assert completed in cli("runs", "--status", "completed", "-o", "plain").out
    assert "no luck" in cli("runs", "--workflow-id", workflow).out


def test_a_huge_list_is_one_document(cli, emulator):
    runs = [
        {"job_id": f"job-{number}", "workflow_id": "w", "status": "completed", "metrics": {"rows_in": number}}
        for number in range(20_000)
    ]
    emulator.fault("answer", path="/workflows/runs", status=200, body=json.dumps(runs))

    assert len(cli("runs", "--limit", "500", "-o", "json").json) == 500


@pytest.mark.parametrize("body", ["[", "{}", "null", '[{"job_id": 5}]', '"\\u001b[31m"', ""])
def test_an_answer_that_is_none_is_one_line(cli, emulator, no_pauses, body):
    emulator.fault("answer", path="/workflows/runs", status=200, body=body, times=20)

    done = cli("runs", "-o", "json")

    assert done.code in (0, 4)
    assert done.out == "" or done.json == []
    assert all(line.isprintable() for line in done.err.splitlines())


def test_a_price_is_estimated(cli, emulator, workflow, leads):
    emulator.completed_run(workflow)

    of_rows = cli("estimate", "--workflow-id", workflow, "--rows", 1000, "-o", "json")
    of_file = cli("estimate", "--workflow-id", workflow, "--file", leads, "-o", "json")

    assert of_rows.json["rows"] == 1000
    assert of_rows.json["cost"]["median"] == pytest.approx(200 * of_file.json["cost"]["median"])
    assert of_file.json["rows"] == 5


def test_the_balance_is_printed(cli):
    assert isinstance(cli("balance", "-o", "json").json["credits"], int | float)


def test_nobody_there_exits_4_with_one_line_at_the_end(cli, monkeypatch, no_pauses):
    monkeypatch.setenv("SIXTYFOUR_API_URL", "http://127.0.0.1:9")
    done = cli("workflows", "-o", "json")

    assert (done.code, done.out) == (4, "")
    assert "127.0.0.1:9" in done.err.splitlines()[-1]


def test_a_credential_that_is_refused_exits_3(cli, monkeypatch):
    monkeypatch.setenv("SIXTYFOUR_API_KEY", "of-somebody-else")
    done = cli("workflows")

    assert (done.code, done.out) == (3, "")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("command", ["run", "wait"])
def test_an_interrupted_wait_logs_that_the_run_keeps_running(emulator, key, workflow, rows, command):
    emulator.plan(seconds=60)
    if command == "run":
        arguments = ["run", "--workflow-id", workflow, "--rows", str(rows), "--yes", "--wait"]
    else:
        arguments = ["wait", emulator.start_run(workflow)]
    running = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_sixtyfour", *arguments, *QUICK],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(emulator.status_checks)
        [run] = emulator.runs()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=30)
    finally:
        running.kill()

    assert running.returncode == 130
    assert out == ""
    last = err.splitlines()[-1]
    assert last == f"Interrupted. The run keeps running; cancel it with: sixtyfour cancel {run['job_id']}"
    assert emulator.cancels() == []


@pytest.mark.parametrize(("answer", "code", "runs"), [("y", 0, 1), ("n", 130, 0), ("", 130, 0)])
def test_on_a_terminal_it_asks_and_shows_a_bar(emulator, key, workflow, rows, answer, code, runs):
    emulator.plan(seconds=0.5)
    master, slave = pty.openpty()
    running = subprocess.Popen(
        [
            *(sys.executable, "-m", "airflow_provider_sixtyfour", "run", "--workflow-id", workflow),
            *("--rows", str(rows), "--wait", *QUICK, "-o", "json"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=slave,
        text=True,
    )
    os.close(slave)
    seen = []

    def read():
        try:
            while chunk := os.read(master, 4096):
                seen.append(chunk.decode())
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: "with 2 rows? [y/N]" in "".join(seen))
    assert emulator.submissions() == []
    os.write(master, f"{answer}\n".encode())
    out, _ = running.communicate(timeout=30)
    reader.join()
    os.close(master)

    assert running.returncode == code
    assert len(emulator.runs()) == runs
    if runs:
        assert json.loads(out)["status"] == "completed"
        assert "━" in "".join(seen)
    else:
        assert out == ""


def test_a_client_has_the_patience_of_a_command_line(cli, emulator, no_pauses):
    emulator.fault("answer", path="/workflows/runs", status=503, times=99)
    assert cli("runs").code == 4
    assert len(emulator.asked("GET", "/workflows/runs")) == connecting.ATTEMPTS


def test_a_rate_limit_is_waited_out(cli, emulator, no_pauses):
    emulator.fault("answer", path="/workflows/runs", status=429, times=3)
    done = cli("runs", "-o", "json")

    assert (done.code, type(done.json)) == (0, list)
    assert len(emulator.asked("GET", "/workflows/runs")) == 4


def test_a_run_that_the_api_does_not_cancel_and_that_keeps_running_is_an_error(cli, emulator, workflow, monkeypatch):
    monkeypatch.setattr("airflow_provider_sixtyfour.runs.cancel.CONFIRMATIONS", 1)
    emulator.plan(seconds=60)
    job_id = emulator.start_run(workflow)
    emulator.fault("answer", path="/workflows/cancel", status=409, body={"detail": "Not now"})

    done = cli("cancel", job_id)

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("Sixtyfour answered 409: Not now.")
    assert "It is still in progress: running" in done.err
    emulator.set_status(job_id, "cancelled")
