"""What is printed where: data alone on stdout, and never a traceback or what moves a cursor."""

import json
import subprocess
import sys

import pytest

from airflow_provider_sixtyfour.cli import workflows as workflow_commands
from airflow_provider_sixtyfour.cli.text import json_text, one_line, printable, width, yaml_text


@pytest.fixture
def broken(monkeypatch):
    def fail(*_):
        raise KeyError("x-api-key: secret\n\x1b[31m")

    monkeypatch.setattr(workflow_commands, "connect", fail)


def test_an_unexpected_error_is_one_line(cli, broken):
    done = cli("workflows", "-o", "json")

    assert (done.code, done.out) == (70, "")
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("Unexpected error, please report it: KeyError: ")
    assert "\x1b" not in done.err


@pytest.mark.parametrize("how", ["--debug", "SIXTYFOUR_DEBUG"])
def test_the_traceback_is_there_for_who_asks_for_it(broken, key, monkeypatch, capsys, how):
    from airflow_provider_sixtyfour.cli.main import main

    arguments = ["workflows"]
    if how == "--debug":
        arguments.append(how)
    else:
        monkeypatch.setenv(how, "1")
    assert main(arguments) == 70
    assert "Traceback" in capsys.readouterr().err


def test_what_others_print_goes_to_stderr(cli, monkeypatch):
    connect = workflow_commands.connect

    def noisy(*arguments):
        print("a line of a log")
        return connect(*arguments)

    monkeypatch.setattr(workflow_commands, "connect", noisy)
    done = cli("workflows", "-o", "json")

    assert isinstance(done.json, list)
    assert "a line of a log" in done.err


def test_a_reader_that_stops_is_no_traceback(emulator, key):
    running = subprocess.Popen(
        [sys.executable, "-m", "airflow_provider_sixtyfour", "blocks", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.stdout.close()
    running.wait(30)

    assert (running.returncode, running.stderr.read()) == (141, "")
    running.stderr.close()


@pytest.mark.parametrize("output", ["table", "json"])
def test_an_output_that_takes_no_more_is_one_line(emulator, key, output):
    command = f"{sys.executable} -m airflow_provider_sixtyfour balance -o {output} >/dev/full"
    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (4, "The output can't be written: No space left on device.\n")


def test_closed_streams_are_no_traceback(emulator, key):
    command = f"{sys.executable} -m airflow_provider_sixtyfour balance >&- 2>&-"
    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL)
    assert done.returncode == 0


def test_an_output_without_unicode_is_json_all_the_same(emulator, key):
    code = "from airflow_provider_sixtyfour.cli.text import json_text; print(json_text('é', 'ascii'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == "é"


@pytest.mark.parametrize("text", ["\x1b[31m", "\x9b1m", "a\nb", "\u202eabc", "\ud800", "é𝄞", '"\\', "\x00", "\u2028"])
def test_structured_output_is_the_same_without_what_can_not_be_printed(text):
    import yaml

    value = {"name": text, text: [text]}
    as_json = json_text(value, "utf-8")
    assert all(line.isprintable() for line in as_json.split("\n"))
    assert json.loads(as_json) == value
    if text != "\ud800":  # YAML cannot represent that
        as_yaml = yaml_text(value, "utf-8")
        assert all(line.isprintable() for line in as_yaml.split("\n"))
        assert yaml.safe_load(as_yaml) == value


def test_a_message_is_one_line():
    assert one_line("It can't be:\n- one\n- two\x1b[0m") == "It can't be: one; two\ufffd[0m"
    assert printable("a\x1b\r\nb") == "a\ufffd b"
    assert (width("日本"), width("e\u0301"), width("abc")) == (4, 1, 3)


def test_the_emulator_gets_all_arguments():
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider_sixtyfour", "emulator", "--port", "no-number"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "argument --port: invalid" in done.stderr
    help = subprocess.run(
        [sys.executable, "-m", "airflow_provider_sixtyfour", "emulator", "--help"], capture_output=True, text=True
    )
    assert "--run-seconds" in help.stdout


def test_the_version_is_that_of_the_package(capsys):
    from airflow_provider_sixtyfour import __version__
    from airflow_provider_sixtyfour.cli.main import main

    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"sixtyfour {__version__}\n"


def test_a_closed_stdin_is_one_line(emulator, key):
    command = f"{sys.executable} -m airflow_provider_sixtyfour check - --workflow-id w <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1)
