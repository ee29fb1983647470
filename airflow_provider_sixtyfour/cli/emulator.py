"""The command that runs the emulator."""

from __future__ import annotations

from collections.abc import Sequence


def emulator(arguments: Sequence[str]) -> int:
    """Run the emulator with the arguments of its own command line."""
    from airflow_provider_sixtyfour.emulator.cli import main

    return main(list(arguments))
