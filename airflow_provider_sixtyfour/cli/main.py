"""The command line by argparse alone: it needs no Airflow where a command doesn't."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from airflow_provider_sixtyfour import __version__
from airflow_provider_sixtyfour.cli.commands import COMMANDS, DESCRIPTION, EXIT_CODES, PROGRAM, Command


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run a command; return its exit code.

    :param arguments: those of this process if ``None``.
    """
    given = _parser().parse_args(arguments)
    command: Command = given.command
    from airflow_provider_sixtyfour.cli.running import run_command

    return run_command(command, given, program=PROGRAM)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description=DESCRIPTION, epilog=EXIT_CODES)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        its = commands.add_parser(command.name, help=command.help, description=f"{command.help}.", epilog=EXIT_CODES)
        if command.passes_all:
            its.prefix_chars = "\0"  # nothing is an option of this parser
        for option in command.all_options():
            its.add_argument(*option.flags, help=option.help, **option.settings)
        its.set_defaults(command=command)
    return parser
