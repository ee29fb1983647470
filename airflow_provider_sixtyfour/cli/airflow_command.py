"""``airflow sixtyfour``: the table of commands as Airflow 3.2 and later take it from a provider."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from airflow_provider_sixtyfour.cli.commands import COMMANDS, DESCRIPTION, EXIT_CODES, PROGRAM, Command


def get_cli_commands() -> list[Any]:
    """Return the group of commands; every ``airflow`` command calls this."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    class AllArguments(Arg):
        """All that follows the command, options too."""

        def add_to_parser(self, parser: Any) -> None:
            parser.prefix_chars = "\0"  # nothing is an option of Airflow's parser
            super().add_to_parser(parser)

    commands = []
    for command in COMMANDS:
        kind: Any = AllArguments if command.passes_all else Arg
        arguments = [kind(flags=option.flags, help=option.help, **option.settings) for option in command.all_options()]
        commands.append(ActionCommand(command.name, command.help, _function(command), arguments, epilog=EXIT_CODES))
    return [
        GroupCommand(
            name=PROGRAM, help="Manage Sixtyfour workflows and runs", description=DESCRIPTION, subcommands=commands
        )
    ]


def _function(command: Command) -> Callable[[Any], None]:
    """Return what Airflow calls with the arguments; it exits with the command's code."""

    def run(arguments: Any) -> None:
        from airflow_provider_sixtyfour.cli.running import run_command

        sys.exit(run_command(command, arguments, program=f"airflow {PROGRAM}"))

    run.__name__ = command.name
    return run
