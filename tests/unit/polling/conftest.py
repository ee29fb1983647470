from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_sixtyfour.api.calls import Call
from airflow_provider_sixtyfour.polling.blocking import wait
from airflow_provider_sixtyfour.polling.run_watch import RunWatch
from airflow_provider_sixtyfour.runs.status import RunOutcome
from tests.emulator_process import EmulatorProcess


class Lines:
    """A log that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, event: str, *args: Any) -> None:
        self.lines.append(event % args)

    def warning(self, event: str, *args: Any) -> None:
        self.lines.append("WARNING " + event % args)

    def error(self, event: str, *args: Any) -> None:
        self.lines.append("ERROR " + event % args)


class World:
    """
    Time, an API and a log: each request takes the next answer, each pause moves the clock.

    An answer is a value to return or an exception to raise; the last one is given again and again.
    """

    def __init__(self, *answers: Any, rows: Any = ()) -> None:
        self.now = 1000.0
        self.log = Lines()
        self.asked_at: list[float] = []
        self.story_calls: list[tuple[Call[Any], int]] = []
        self._answers = list(answers)
        self._rows = rows

    def watch(self, **options: Any) -> RunWatch:
        options = {"poll_interval": 10.0, "deadline": None, **options}
        return RunWatch("job", log=self.log, clock=lambda: self.now, **options)

    def wait(self, *, reconnect: Any = None, **options: Any) -> RunOutcome:
        watch = self.watch(**options)
        return wait(self, "job", watch, sleep=self._sleep, reconnect=reconnect)  # type: ignore[arg-type]

    def send(self, call: Call[Any], *, attempts: int) -> Any:
        if "live_status" not in call.path:
            self.story_calls.append((call, attempts))
            return self._given(self._rows)
        assert attempts == 1, "a wait has its own patience"
        self.asked_at.append(self.now)
        assert len(self.asked_at) < 10_000, "no end in sight"
        return self._given(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])

    @staticmethod
    def _given(answer: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _sleep(self, seconds: float) -> None:
        assert seconds > 0, "a busy loop"
        self.now += seconds


@pytest.fixture
def world() -> Callable[..., World]:
    return World


@pytest.fixture(scope="module")
def emulator_process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess("--run-seconds", "0", "--queue-seconds", "0", "--requests-per-minute", "0") as process:
        yield process


@pytest.fixture
def emulator(emulator_process: EmulatorProcess, monkeypatch: pytest.MonkeyPatch) -> EmulatorProcess:
    monkeypatch.setenv("NO_PROXY", "*")
    emulator_process.clear()
    return emulator_process
