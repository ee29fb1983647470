"""
Runs one command and returns its exit code; no error leaves it as a traceback.

While a command runs, what anybody else prints to stdout goes to stderr: Airflow before 3.2 logs to stdout.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, TextIO

from airflow_provider_sixtyfour.cli import exit_codes
from airflow_provider_sixtyfour.cli.commands import Command
from airflow_provider_sixtyfour.cli.console import Console, OutputClosedError
from airflow_provider_sixtyfour.cli.quiet import as_an_airflow_command, logging_disabled
from airflow_provider_sixtyfour.exceptions import SixtyfourError

_DEBUG_VARIABLE = "SIXTYFOUR_DEBUG"


def run_command(command: Command, arguments: Any, *, program: str) -> int:
    """
    Run a command; return its exit code.

    :param arguments: what argparse has read.
    :param program: how the command line was called, for messages.
    """
    if command.passes_all:
        code: int = _function(command)(arguments.arguments)
        return code
    with _open_streams() as (out, err):
        console = Console(out, err, output=getattr(arguments, "output", "table"), program=program)
        try:
            # What libraries log of each request is for who debugs.
            level = logging.NOTSET if _is_debugging(arguments) else logging.INFO
            with contextlib.redirect_stdout(err), logging_disabled(level), as_an_airflow_command():
                code = _function(command)(arguments, console)
            console.finish()
        except OutputClosedError:
            return exit_codes.OUTPUT_CLOSED
        except KeyboardInterrupt:
            console.note("Interrupted.")
            return exit_codes.INTERRUPTED
        except SixtyfourError as error:
            console.note(str(error))
            _show_traceback(arguments, err)
            return exit_codes.exit_code(error)
        except Exception as error:
            console.note(f"Unexpected error, please report it: {_cleaned(error)}. --debug shows where it happened.")
            _show_traceback(arguments, err)
            return exit_codes.BUG
        return code


def _function(command: Command) -> Callable[..., int]:
    module, _, name = command.function.partition(":")
    function: Callable[..., int] = getattr(import_module(f"{__package__}.{module}"), name)
    return function


@contextlib.contextmanager
def _open_streams() -> Iterator[tuple[TextIO, TextIO]]:
    """Give stdout and stderr, or what swallows all where one of them is closed."""
    with contextlib.ExitStack() as ending:

        def opened(stream: TextIO | None) -> TextIO:
            return stream or ending.enter_context(open(os.devnull, "w", encoding="utf-8"))

        yield opened(sys.stdout), opened(sys.stderr)


def _cleaned(error: Exception) -> str:
    """Return what an error says, without what may be a secret."""
    from airflow_provider_sixtyfour.api.cleaning import Cleaner

    return Cleaner(_secrets()).message(f"{type(error).__name__}: {error}")


def _show_traceback(arguments: Any, err: TextIO) -> None:
    if not _is_debugging(arguments):
        return
    import traceback

    from airflow_provider_sixtyfour.api.cleaning import Cleaner

    print(Cleaner(_secrets()).without_known(traceback.format_exc()), file=err)


def _is_debugging(arguments: Any) -> bool:
    return getattr(arguments, "debug", False) or os.environ.get(_DEBUG_VARIABLE, "") not in ("", "0")


def _secrets() -> tuple[str, ...]:
    from airflow_provider_sixtyfour.cli.connecting import KEY_VARIABLE

    return tuple(filter(None, [os.environ.get(KEY_VARIABLE, "").strip()]))
