"""How far a run is: a bar on a terminal, a line for each change elsewhere; all on stderr."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from airflow_provider_sixtyfour.cli.text import one_line
from airflow_provider_sixtyfour.runs.status import describe_progress

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.models import LiveStatus
    from airflow_provider_sixtyfour.cli.console import Console


class RunProgress:
    """The progress of one run; the log of a `RunWatch`, and what takes in each of its statuses."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar: Any = None
        self._task: Any = None
        self.last: str | None = None  # as of the last status

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.console import Console as Terminal
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            text = TextColumn("{task.description}", markup=False)
            terminal = Terminal(file=self._console.err)
            self._bar = Progress(BarColumn(), text, TimeElapsedColumn(), console=terminal, transient=True)
            self._task = self._bar.add_task("waiting", total=100.0)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def took_in(self, live: LiveStatus) -> None:
        """Take in a status."""
        self.last = describe_progress(live)
        if self._bar is not None:
            self._bar.update(self._task, completed=live.percent, description=one_line(self.last))

    def info(self, event: str, *args: Any) -> None:
        """Take in what happens; a bar shows it already."""
        if self._bar is None:
            self._console.info(event, *args)

    def warning(self, event: str, *args: Any) -> None:
        """Take in what the reader should look at."""
        if self._bar is None:
            self._console.warning(event, *args)
        else:
            self._bar.console.print("Warning: " + one_line(event % args), markup=False, highlight=False)

    error = warning
