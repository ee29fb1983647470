from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.calls import Calls
from tests.emulator_process import EmulatorProcess

RUN_SECONDS = 0.3


@pytest.fixture(scope="session")
def shared_emulator() -> Iterator[EmulatorProcess]:
    options = ("--run-seconds", str(RUN_SECONDS), "--queue-seconds", "0", "--requests-per-minute", "0")
    with EmulatorProcess(*options) as process:
        yield process


@pytest.fixture
def emulator(shared_emulator: EmulatorProcess) -> EmulatorProcess:
    """An emulator without a rate limit, whose runs take 0.3 s and whose storage has an origin of its own."""
    shared_emulator.clear()
    return shared_emulator


@pytest.fixture
def calls(emulator: EmulatorProcess) -> Iterator[Calls]:
    made = Calls(emulator)
    yield made
    made.close()
