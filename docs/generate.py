"""Tables of the reference that are made from the code, so that they say what it does."""

import argparse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from airflow_provider_sixtyfour.cli.commands import COMMANDS, EXIT_CODES
from airflow_provider_sixtyfour.emulator.cli import command_line_parser
from airflow_provider_sixtyfour.get_provider_info import get_provider_info


def pages(folder: Path) -> None:
    """Write the tables, each a file to be included by a page."""
    folder.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (folder / f"{name}.md").write_text("\n".join(make()) + "\n")


def _table(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    names = list(header)
    yield f"| {' | '.join(names)} |"
    yield f"|{'---|' * len(names)}"
    for row in rows:
        cells = (" ".join(str(cell).split()).replace("|", "\\|") for cell in row)
        yield f"| {' | '.join(cells)} |"


def _connection() -> Iterator[str]:
    [kind] = get_provider_info()["connection-types"]
    labels = kind["ui-field-behaviour"]["relabeling"]
    placeholders = kind["ui-field-behaviour"]["placeholders"]
    rows: list[list[object]] = [[f"`{name}`", label, placeholders.get(name, "")] for name, label in labels.items()]
    rows += [[f"`extra.{name}`", field["label"], field["description"]] for name, field in kind["conn-fields"].items()]
    return _table(["field", "in the form", ""], rows)


def _configuration() -> Iterator[str]:
    for section, described in get_provider_info()["config"].items():
        rows = [
            [f"`[{section}] {name}`", option["description"], f"`{option['default']}`", f"`{option['example']}`"]
            for name, option in described["options"].items()
        ]
        yield from _table(["option", "", "default", "example"], rows)


def _emulator() -> Iterator[str]:
    formatter = argparse.HelpFormatter(prog="")
    rows = [
        [
            f"`{' '.join(filter(None, (max(action.option_strings, key=len), action.metavar)))}`",
            formatter._expand_help(action) if action.help else "",
        ]
        for action in command_line_parser()._actions
        if action.help != argparse.SUPPRESS and "--help" not in action.option_strings
    ]
    return _table(["option", ""], rows)


def _cli() -> Iterator[str]:
    yield EXIT_CODES
    for command in COMMANDS:
        yield f"\n## {command.name}\n\n{command.help[0].upper()}{command.help[1:]}.\n"
        if command.passes_all:
            yield "Its options are [those of the emulator](emulator.md).\n"
            continue
        rows = [
            [f"`{' '.join(filter(None, (flag, option.settings.get('metavar', ''))))}`", option.help]
            for option in command.options
            for flag in option.flags[-1:]
        ]
        yield from _table(["option", ""], rows) if rows else ["It has no options of its own."]
    yield "\n## Options of most commands\n"
    shared = [option for option in COMMANDS[0].all_options() if option not in COMMANDS[0].options]
    yield from _table(["option", ""], [[f"`{option.flags[-1]}`", option.help] for option in shared])


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "connection": _connection,
    "configuration": _configuration,
    "emulator": _emulator,
    "cli": _cli,
}
