"""The names of the Dags in ``dags``, for the tests and for those files alike."""

from __future__ import annotations

TASK_ID = "run"

MODES = ("deferred", "sync")
SHAPES = ("single", "mapped")


def usual(mode: str, shape: str = "single") -> str:
    """Return the Dag with two retries a second apart; ``conf`` has the workflow, API and ``timeout``."""
    return f"usual_{mode}_{shape}"


def keeping(mode: str) -> str:
    """Return the Dag whose task has ``cancel_on_kill=False``."""
    return f"keeping_{mode}"


def limited(mode: str) -> str:
    """Return the Dag whose task has an ``execution_timeout`` of `EXECUTION_TIMEOUT` seconds, and no retries."""
    return f"limited_{mode}"


def once(mode: str) -> str:
    """Return the Dag whose task has no retries."""
    return f"once_{mode}"


def dying(instant: str) -> str:
    """Return the Dag whose task, in its first try, is killed at an instant of `INSTANTS`."""
    return f"dying_{instant}"


def waiting(count: int) -> str:
    """Return the Dag with so many deferred tasks, one of `WAITING`, without retries."""
    return f"waiting_{count}"


WAITING = (5, 20)
FIFTY = "fifty"
BARE = "bare"  # nothing of this provider: a deferred task whose trigger logs a kill
BARE_KILLED = "The bare trigger received the kill"  # what that trigger logs
SHORT_MAPPED = "short_mapped"  # `SHORT_RUNS` deferred tasks without retries
SHORT_RUNS = 8
DAILY = "daily"  # one task a day, from a file of the day to a folder of the day, with retries
DAILY_ONCE = "daily_once"  # the same without
PARTITIONED = "partitioned"  # the same by partition, with outlets: `enriched_days`, and `enriched_regions` for each
REGIONS = ("north", "south")
LISTENING = "listening"  # runs for each partition of `enriched_days`
DAYS_CONNECTION = "sixtyfour_days"  # of these: an API of their own, where every request can be counted
WATCHED = "watched"  # runs for the ends of runs that the tests start; its task returns their ids
WATCHED_CONNECTION = "sixtyfour_watched"  # of it: an API of its own
WATCHED_WORKFLOW = "8f4c2f0e-0f53-4d0c-9d8e-3f0b6a1c5d64"  # that an emulator has from its start
WATCHED_ASSET = f"sixtyfour://workflows/{WATCHED_WORKFLOW}"
EXECUTION_TIMEOUT = 25  # seconds
INSTANTS = ("before_the_request", "after_the_answer")

DAG_IDS = (
    *(usual(mode, shape) for mode in MODES for shape in SHAPES),
    *(make(mode) for make in (keeping, limited, once) for mode in MODES),
    *(dying(instant) for instant in INSTANTS),
    *(waiting(count) for count in WAITING),
    FIFTY,
    BARE,
    SHORT_MAPPED,
    DAILY,
    DAILY_ONCE,
    PARTITIONED,
    LISTENING,
    WATCHED,
)
