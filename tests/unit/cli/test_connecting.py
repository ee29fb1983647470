"""Whose credential a command uses; with no Airflow where that isn't needed, and with no database at all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from airflow import __version__ as airflow_version

from tests.unit.cli.conftest import ROOT

HAS_COMMANDS = tuple(map(int, airflow_version.split(".")[:2])) >= (3, 2)


def keys(emulator):
    return {request["headers"].get("x-api-key") for request in emulator.requests()}


def test_the_environment_is_before_the_default_connection(cli, emulator, monkeypatch):
    connection = {"conn_type": "sixtyfour", "host": emulator.url, "password": "of-the-connection"}
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", json.dumps(connection))

    assert cli("workflows").code == 0
    assert keys(emulator) == {emulator.api_key}


def test_a_named_connection_is_before_the_environment(cli, emulator, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_CI", emulator.connection_json())
    monkeypatch.setenv("SIXTYFOUR_API_KEY", "of-the-environment")

    assert cli("workflows", "--conn-id", "ci").code == 0
    assert keys(emulator) == {emulator.api_key}


def test_the_default_connection_is_last(cli, emulator, monkeypatch):
    monkeypatch.delenv("SIXTYFOUR_API_KEY")
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", emulator.connection_json())

    done = cli("workflows", "-o", "json")

    assert (done.code, type(done.json)) == (0, list)
    assert "SIXTYFOUR_API_URL is ignored" in done.err
    assert keys(emulator) == {emulator.api_key}


@pytest.mark.parametrize(
    ("given", "reason"), [("", "is set, and empty"), ("  ", "is set, and empty"), ("a b\n", "holds")]
)
def test_a_key_that_is_none_is_no_reason_to_use_another(cli, emulator, monkeypatch, given, reason):
    monkeypatch.setenv("AIRFLOW_CONN_SIXTYFOUR_DEFAULT", emulator.connection_json())
    monkeypatch.setenv("SIXTYFOUR_API_KEY", given)

    done = cli("workflows")

    assert (done.code, done.out) == (3, "")
    assert reason in done.err
    assert len(done.err.splitlines()) == 1
    assert emulator.requests() == []


@pytest.mark.parametrize(
    "url", ["ftp://host", "https://user:pw@host", "https://host/?key=1", "https://a b", "https://host:99999"]
)
def test_the_url_passes_the_checks_of_a_connection(cli, emulator, monkeypatch, url):
    monkeypatch.setenv("SIXTYFOUR_API_URL", url)

    done = cli("workflows")

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("SIXTYFOUR_API_URL ")
    assert "pw" not in done.err


def test_the_key_is_no_argument(cli):
    assert cli("workflows", "--api-key", "x").code == 2


def test_help_and_a_credential_of_the_environment_need_no_airflow(emulator, key):
    code = """
import sys
from airflow_provider_sixtyfour.cli.main import main
for arguments in (["--help"], ["run", "--help"], ["workflows"], ["runs"]):
    try:
        main(arguments)
    except SystemExit:
        pass
print("airflow" in sys.modules, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
    )
    assert done.stderr.splitlines()[-1] == "False"


def test_a_connection_of_the_environment_needs_no_database(process, emulator):
    done = process("workflows", "--conn-id", "ci", "-o", "json", AIRFLOW_CONN_CI=emulator.connection_json())

    assert done.code == 0, done.err
    assert isinstance(done.json, list)


def test_a_missing_connection_is_one_line(process):
    done = process("workflows", "-o", "json")

    assert (done.code, done.out) in ((3, ""), (4, ""))
    assert "Traceback" not in done.err
    last = done.err.splitlines()[-1]
    assert last.startswith(
        "No credential: SIXTYFOUR_API_KEY is not set, and --conn-id names no connection. Connection "
    )


def test_a_connection_is_found_in_the_database(process, emulator, tmp_path):
    database = f"sqlite:///{tmp_path}/airflow.db"
    code = """
import contextlib, json, sys
from airflow.models import Connection
from airflow.settings import configure_orm
from airflow import settings
if settings.Session is None:
    configure_orm()
with contextlib.suppress(ImportError):  # Airflow 2, 3.0: connections belong to no team
    from airflow.models.team import Team
    Team.__table__.create(settings.engine)
Connection.__table__.create(settings.engine)
session = settings.Session()
session.add(Connection(conn_id="stored", **json.loads(sys.argv[1])))
session.commit()
"""
    env = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database, "AIRFLOW__CORE__FERNET_KEY": ""}
    made = process(emulator.connection_json(), command=(sys.executable, "-c", code), **env)
    assert made.code == 0, made.err

    done = process("workflows", "--conn-id", "stored", "-o", "json", **env)

    assert done.code == 0, done.err
    assert isinstance(done.json, list)


def test_results_land_without_a_database(process, emulator, workflow, folder):
    job_id = emulator.completed_run(workflow)
    env = {"SIXTYFOUR_API_KEY": emulator.api_key, "SIXTYFOUR_API_URL": emulator.url}

    done = process("results", job_id, "--to", folder, "-o", "json", **env)

    assert done.code == 0, done.err
    assert done.json["rows"] == 2
    assert (folder / "_manifest.json").exists()


def test_the_module_runs_without_airflow_at_all(process, emulator):
    env = {"SIXTYFOUR_API_KEY": emulator.api_key, "SIXTYFOUR_API_URL": emulator.url}
    done = process("runs", "-o", "json", **env)

    assert (done.code, done.err) == (0, "")


# Not skipped elsewhere: an older Airflow has to report that there is no such command.
def test_airflow_has_the_commands_from_3_2_on(process, emulator):
    """By a function: the installed metadata need not be that of this source tree."""
    command = (
        sys.executable,
        "-c",
        """
import sys
from importlib.metadata import version
from airflow.providers_manager import ProvidersManager
from airflow_provider_sixtyfour.cli.airflow_command import get_cli_commands
ProvidersManager.cli_command_functions = property(lambda self: [get_cli_commands])
from airflow.__main__ import main
sys.argv = ["airflow", "sixtyfour", *sys.argv[1:]]
main()
""",
    )
    done = process(
        "workflows", "-o", "json", command=command, AIRFLOW_CONN_SIXTYFOUR_DEFAULT=emulator.connection_json()
    )

    if HAS_COMMANDS:
        assert done.code == 0, done.err
        assert isinstance(done.json, list)
        wrong = process("status", "..", command=command, AIRFLOW_CONN_SIXTYFOUR_DEFAULT=emulator.connection_json())
        assert wrong.code == 3
        assert "Traceback" not in wrong.err
        emulate = process("emulator", "--port", "no-number", command=command)
        assert emulate.code == 2
        assert "argument --port: invalid" in emulate.err
    else:
        assert done.code == 2
        assert "invalid choice: 'sixtyfour'" in done.err


def test_both_command_lines_have_the_same_commands_and_options():
    """On every Airflow: the classes that the table is turned into are as old as 2.11."""
    import argparse

    from airflow.cli.cli_config import GroupCommand

    from airflow_provider_sixtyfour.cli.airflow_command import get_cli_commands
    from airflow_provider_sixtyfour.cli.main import _parser

    def of(parser):
        [commands] = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
        return {
            name: {tuple(action.option_strings) or action.dest for action in command._actions}
            for name, command in commands.choices.items()
        }

    [group] = get_cli_commands()
    assert isinstance(group, GroupCommand)
    airflow = argparse.ArgumentParser()
    commands = airflow.add_subparsers()
    for command in group.subcommands:
        parser = commands.add_parser(command.name)
        for argument in command.args:
            argument.add_to_parser(parser)

    assert of(airflow) == of(_parser())
    assert group.name == "sixtyfour"


def test_the_table_is_all_that_airflow_imports():
    code = """
import sys
import airflow.cli.cli_config, airflow_provider_sixtyfour
before = set(sys.modules)
from airflow_provider_sixtyfour.cli.airflow_command import get_cli_commands
get_cli_commands()
print(*sorted(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    package = "airflow_provider_sixtyfour"
    assert done.stdout.split("\n")[-2].split() == [
        f"{package}.cli",
        f"{package}.cli.airflow_command",
        f"{package}.cli.commands",
    ]


def test_the_installed_script_and_metadata_name_what_there_is():
    import tomllib

    from airflow_provider_sixtyfour.cli import airflow_command, main
    from airflow_provider_sixtyfour.get_provider_info import get_provider_info

    project = tomllib.loads((Path(ROOT) / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"sixtyfour": f"{main.__name__}:{main.main.__name__}"}
    assert get_provider_info()["cli"] == [f"{airflow_command.__name__}.{airflow_command.get_cli_commands.__name__}"]
