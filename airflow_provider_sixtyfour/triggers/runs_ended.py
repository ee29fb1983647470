"""
The trigger of an asset watcher: an event for each run that has ended, whoever started it. Airflow 3.0 and later.

Events come at least once. What was announced is stored with the asset only after the next poll, when Airflow has long
stored the events: a triggerer that is killed in between announces some runs again, and loses none.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

try:
    from airflow.triggers.base import BaseEventTrigger, TriggerEvent
except ImportError:
    from airflow import __version__

    raise ImportError(
        f"Asset watchers need Airflow 3.0 or later, and this is {__version__}: use a sensor, or upgrade Airflow."
    ) from None

from airflow_provider_sixtyfour.api import calls
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError, SixtyfourNotFoundError
from airflow_provider_sixtyfour.hooks.sixtyfour import DEFAULT_CONNECTION
from airflow_provider_sixtyfour.runs.ended import EndedRun, EndedRuns, Looked, read_statuses
from airflow_provider_sixtyfour.tasks.repeated_errors import RepeatedErrors

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.api.call import Call
    from airflow_provider_sixtyfour.api.models import ListedRun
    from airflow_provider_sixtyfour.tasks.asset_memory import AssetMemory
    from airflow_provider_sixtyfour.tasks.watched_api import WatchedApi

# Seconds between two polls at least. Within one, Airflow has to have stored the events of the poll before.
SHORTEST_POLL = 5.0
# Seconds in which the scheduler has made a Dag run for an event. Of several events it takes the first alone (Airflow
# 3.0 to 3.3): those that come while that one is queued wait for a later event, and go to a Dag run along with it. So
# the last of several is fired so much later than the others.
SCHEDULED_WITHIN = 15.0
KEY = "sixtyfour_seen"


class SixtyfourRunsEndedTrigger(BaseEventTrigger):
    """
    Watch for runs that have ended, for the ``AssetWatcher`` of an asset.

    .. code-block:: python

        runs = Asset(
            "enriched_leads",
            uri="sixtyfour://workflows/8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64",
            watchers=[AssetWatcher(name="ended", trigger=SixtyfourRunsEndedTrigger("8f4c2f0e-…"))],
        )

    Each event's payload is ``{"job_id", "workflow_id", "status", "metrics"}``: in a Dag that is scheduled on the asset,
    ``event.extra["payload"]`` of each of the ``triggering_asset_events``. ``metrics`` are the API's numbers, by their
    names; none for a run that had left the list of runs when it ended.

    What counts as new: at its first start, a watcher announces nothing; what is over is over. From Airflow 3.3 on it
    remembers in the asset's state store what it has announced, so that it also announces, after a restart, what ended
    while it didn't run: as far back as the list of runs goes, which is 500 runs. Airflow 3.0, 3.1 and 3.2 have no such
    store: there, each start is a first start, and runs that end while no triggerer runs the watcher are not announced.

    Of several runs that have ended since the last poll, the last is announced 15 s after the others: by then Airflow
    has made a Dag run for the first, and makes another one with all the rest.

    An event may come twice (a triggerer that was killed), so what consumes it should not mind.

    No error ends the watcher: an outage, a refused credential, a connection that is gone, a deleted workflow. It logs
    each cause once, and polls on; after a refusal it reads the connection again.

    A memory that can't be right (somebody has edited it) counts as none: the watcher logs a warning, begins as at its
    first start, and says how many ended runs the list has that it will not announce.

    :param workflow_id: the workflow whose runs are watched. ``None``: all runs of the credential's organisation,
        with bulk jobs where the API lists them.
    :param statuses: announce runs that end so: ``completed``, ``failed``, ``cancelled``, ``timeout``, ``terminated``,
        in any spelling of the API's. Together with the workflow and the connection they identify the memory: a watcher
        with other ones begins as at a first start.
    :param poll_interval: seconds between two polls, 5 at least. A poll is one request; a run that is still running
        when 500 younger ones have been queued costs one more each time.
    :param sixtyfour_conn_id: the connection.
    :raises SixtyfourInputError: if a parameter can't be right.
    """

    def __init__(
        self,
        workflow_id: str | None,
        statuses: Sequence[str] = ("completed",),
        poll_interval: float = 60.0,
        sixtyfour_conn_id: str = DEFAULT_CONNECTION,
    ) -> None:
        BaseEventTrigger.__init__(self)
        self.workflow_id = None if workflow_id is None else calls.identifier(workflow_id, "workflow_id")
        self.statuses = read_statuses(statuses)
        self.poll_interval = _read_interval(poll_interval)
        if not isinstance(sixtyfour_conn_id, str) or not sixtyfour_conn_id:
            raise SixtyfourInputError("sixtyfour_conn_id should name a connection.")
        self.sixtyfour_conn_id = sixtyfour_conn_id
        self._api: WatchedApi | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, plain JSON types all. Airflow takes them for the watcher's identity."""
        return (
            "airflow_provider_sixtyfour.triggers.runs_ended.SixtyfourRunsEndedTrigger",
            {
                "workflow_id": self.workflow_id,
                "statuses": self.statuses,
                "poll_interval": self.poll_interval,
                "sixtyfour_conn_id": self.sixtyfour_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll for ever, and yield an event for each run that has ended since."""
        from airflow_provider_sixtyfour.tasks.watched_api import WatchedApi

        api = self._api = WatchedApi(self.sixtyfour_conn_id, self.log)
        runs, memory = EndedRuns(self.statuses), self._memory()
        errors = RepeatedErrors(self.log, f"The watcher continues to poll. Watching {self._subject()}.")
        announced = stored = await self._restore(memory, runs)
        loop = asyncio.get_running_loop()
        fired_at = -math.inf
        try:
            while True:
                try:
                    news = await self._look(api, runs)
                except Exception as error:  # whatever it is: nobody would start the watcher again
                    errors.add(error)
                    await asyncio.sleep(self._pause(error, errors.count))
                    continue
                errors.clear()
                # These were announced before the poll that has just ended, so Airflow has stored their events by now.
                stored = await self._store(memory, announced, stored)
                for place, run in enumerate(news, start=1):
                    if place == len(news):
                        await asyncio.sleep(max(0.0, fired_at + SCHEDULED_WITHIN - loop.time()))
                    yield TriggerEvent(run.as_payload())
                    fired_at = loop.time()
                announced = runs.value()
                if stored is None and not news:  # what was over at the start: nothing of it was announced
                    stored = await self._store(memory, announced, stored)
                await asyncio.sleep(self._pause())
        finally:
            await api.close()

    @cached_property
    def _memory_errors(self) -> RepeatedErrors:
        return RepeatedErrors(self.log, f"The watcher's memory is tried again later. Watching {self._subject()}.")

    @cached_property
    def _run_errors(self) -> RepeatedErrors:
        return RepeatedErrors(
            self.log, f"Single runs are requested again at the next poll. Watching {self._subject()}."
        )

    async def cleanup(self) -> None:
        """Close the connections; also where Airflow has stopped this between two events."""
        if self._api is not None:
            await self._api.close()

    def _subject(self) -> str:
        return "all runs" if self.workflow_id is None else f"workflow {self.workflow_id}"

    def _memory(self) -> AssetMemory | None:
        """Return where this watcher remembers; ``None`` on an Airflow that has no such place."""
        from airflow_provider_sixtyfour.tasks.asset_memory import AssetMemory

        store = getattr(self, "asset_state_store", None)
        if store is None:
            self.log.warning(
                "Runs that end while no triggerer runs this watcher will not be announced: this Airflow has no state "
                "store for assets, 3.3 is the first that has. Watching %s.",
                self._subject(),
            )
            return None
        # Of what is announced: several watchers of an asset must not take one another's memory for theirs.
        identity = json.dumps([self.sixtyfour_conn_id, self.workflow_id, self.statuses])
        return AssetMemory(store, f"{KEY}_{hashlib.sha256(identity.encode()).hexdigest()[:12]}")

    async def _restore(self, memory: AssetMemory | None, runs: EndedRuns) -> Any:
        """Take up what an earlier start has stored, and return it; wait for as long as that can't be read."""
        if memory is None:
            return None
        while True:
            try:
                value = await memory.read()
                break
            except Exception as error:  # without it, it would announce nothing of what has ended meanwhile
                self._memory_errors.add(error)
                await asyncio.sleep(self._pause(error, self._memory_errors.count))
        self._memory_errors.clear()
        if value is None or runs.restore(value):
            return value
        self.log.warning(
            "What this watcher has announced can't be read from the asset's state: it has another form than this "
            "watcher writes. It begins as at its first start. Watching %s.",
            self._subject(),
        )
        return None

    async def _store(self, memory: AssetMemory | None, value: Any, stored: Any) -> Any:
        """Store what was announced, if that is something else; return what is stored then."""
        if memory is None or value == stored:
            return stored
        try:
            await memory.write(value)
        except Exception as error:
            self._memory_errors.add(error)
            return stored
        self._memory_errors.clear()
        return value

    async def _look(self, api: WatchedApi, runs: EndedRuns) -> list[EndedRun]:
        """Read the list of runs, and the status of those that have left it; return the runs to announce."""
        rows = await api.send(self._list())
        running = await api.send(self._list("active")) if runs.needs_running(rows) else ()
        looked = runs.looked(rows, api.host, running)
        self._log_looked(looked)
        return [*looked.new, *await self._ask(api, runs)]

    def _list(self, status: str | None = None) -> Call[tuple[ListedRun, ...]]:
        return calls.list_runs(status=status, workflow_id=self.workflow_id, limit=calls.MAX_LISTED_RUNS)

    def _log_looked(self, looked: Looked) -> None:
        watching = f"Watching {self._subject()}."
        if looked.over is not None:
            self.log.info("Begins: %d runs are over already and are not announced. %s", looked.over, watching)
        if looked.has_gap:
            self.log.warning(
                "Some runs may not be announced: more than %d were queued since the last poll, and the API lists no "
                "more. Poll more often. %s",
                calls.MAX_LISTED_RUNS,
                watching,
            )
        if looked.forgotten:
            self.log.warning(
                "%d runs that are still running are not watched any more: there are too many. %s",
                looked.forgotten,
                watching,
            )

    async def _ask(self, api: WatchedApi, runs: EndedRuns) -> list[EndedRun]:
        """Read the status of runs that were seen running and are in no list now; return those that have ended."""
        from airflow_provider_sixtyfour.runs.status import outcome_of

        found: list[EndedRun] = []
        for job_id in runs.to_ask():
            try:
                live = await api.send(calls.live_status(job_id))
            except SixtyfourNotFoundError:
                if runs.unknown(job_id):
                    self.log.warning("A run is not watched any more: the API doesn't know it. Run %s.", job_id)
                continue
            except Exception as error:  # of all of them; they are asked for again at the next poll
                self._run_errors.add(error)
                return found
            self._run_errors.clear()
            if (ended := runs.answered(job_id, outcome_of(job_id, live))) is not None:
                found.append(ended)
        return found

    def _pause(self, error: Exception | None = None, times: int = 0) -> float:
        """Return the seconds until the next poll; more where the API asks for it, or keeps failing."""
        from airflow_provider_sixtyfour.api.retry import pause
        from airflow_provider_sixtyfour.polling.intervals import jittered

        seconds = jittered(self.poll_interval)
        return seconds if error is None else max(seconds, pause(error, times))


def _read_interval(value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not SHORTEST_POLL <= value < math.inf:
        raise SixtyfourInputError(f"poll_interval should be {SHORTEST_POLL:g} seconds or more, not {value!r:.60}.")
    return float(value)
