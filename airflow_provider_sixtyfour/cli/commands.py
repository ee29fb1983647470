"""
The table of all commands, for ``airflow sixtyfour`` and for ``python -m airflow_provider_sixtyfour``.

Every ``airflow`` command reads it, whatever it is about: it holds texts and types, and imports nothing else.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NamedTuple

PROGRAM = "sixtyfour"
DESCRIPTION = "Deploy and run Sixtyfour workflows, land their results, and clean up after tasks."
EXIT_CODES = (
    "Exit codes: 0 success, or no difference; 1 check: the workflow differs; 2 wrong usage; 3 invalid input, or "
    "refused by the API; 4 unavailable for now; 5 the run failed or was cancelled; 6 the run has not ended in time; "
    "130 Ctrl-C."
)
_NO_SETTINGS: Mapping[str, Any] = {}


class Option(NamedTuple):
    """
    An argument or an option of a command.

    :param settings: further arguments of ``ArgumentParser.add_argument``.
    """

    flags: tuple[str, ...]
    help: str
    settings: Mapping[str, Any] = _NO_SETTINGS


class Command(NamedTuple):
    """
    A command.

    :param function: where it is: the module in this package, and its name.
    :param options: of its own; `all_options` adds those that most commands have.
    :param output: the default of ``--output``; ``None`` if the command has no output of its own.
    :param passes_all: whether all arguments go to ``function`` as they are.
    :param needs_api: whether it sends requests, and so needs a credential.
    """

    name: str
    help: str
    function: str
    options: tuple[Option, ...] = ()
    output: str | None = "table"
    passes_all: bool = False
    needs_api: bool = True

    def all_options(self) -> tuple[Option, ...]:
        """Return its own options, and those that most commands have."""
        if self.passes_all:
            return (Option(("arguments",), "for the emulator; --help lists them", {"nargs": argparse.REMAINDER}),)
        output = () if self.output is None else (_output(self.output),)
        connection = (_CONNECTION,) if self.needs_api else ()
        return (*self.options, *connection, *output, _DEBUG)


def seconds(text: str) -> float:
    """Read a duration in seconds: more than 0, and finite."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"should be a positive number of seconds, not {text!r:.40}")
    return number


def hours(text: str) -> float:
    """Read a duration in hours: 0 or more, and finite."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"should be a number, 0 or more, and finite, not {text!r:.40}")
    return number


def minutes(text: str) -> float:
    """Read a duration in minutes: 0 or more, and finite."""
    return hours(text)


def listed(text: str) -> int:
    """Read how many runs to list: 1 to 500, which is what the API gives."""
    number = int(text)
    if not 1 <= number <= 500:
        raise argparse.ArgumentTypeError(f"should be 1 to 500, not {text!r:.40}")
    return number


def rows(text: str) -> int:
    """Read a number of rows."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"should be 0 or more, not {text!r:.40}")
    return number


# argparse names a function in its message of a text that it can't read at all.
listed.__name__ = rows.__name__ = "number"


def _output(default: str) -> Option:
    # By this very name: from 3.2 on, Airflow then sends what it logs to stderr.
    choices = ("table", "json", "yaml", "plain")
    settings = {"choices": choices, "default": default, "metavar": "FORMAT"}
    return Option(("-o", "--output"), f"{', '.join(choices)} (default: {default})", settings)


_CONNECTION = Option(
    ("--conn-id",),
    "the Airflow connection; without it SIXTYFOUR_API_KEY (and SIXTYFOUR_API_URL) in the environment, then "
    "sixtyfour_default",
    {"metavar": "ID"},
)
_DEBUG = Option(("--debug",), "show the traceback of an unexpected error", {"action": "store_true"})
_WORKFLOW = Option(("--workflow-id",), "the workflow", {"required": True, "metavar": "ID"})
_FILE = Option(("file",), "the workflow as JSON, as pull and the workflow editor write it; - for stdin")
_JOB = Option(("job_id",), "the run", {"metavar": "JOB"})
_TIMEOUT = Option(
    ("--timeout",), "give up waiting after so many seconds; the run keeps running", {"type": seconds, "metavar": "S"}
)
_VALIDATE = Option(
    ("--validate-specs",),
    "refuse what differs from the schemas that the API publishes, which are warnings otherwise",
    {"action": "store_true"},
)
_FLAG = {"action": "store_true"}
_FILE_NAME = {"metavar": "FILE"}
_COMPARE = (_FILE, _WORKFLOW, _VALIDATE)

_BULK = Option(("--bulk",), "the run is a job of Bulk Intelligence", {"action": "store_true"})
_POLL = Option(
    ("--poll-interval",),
    "seconds between two status checks (default: 5)",
    {"type": seconds, "default": 5.0, "metavar": "S"},
)
_FORMATS = ("csv", "json", "ndjson")

COMMANDS = (
    Command("check", "compare a file with the stored workflow; exit 1 if they differ", "workflows:check", _COMPARE),
    Command("diff", "the same as check", "workflows:check", _COMPARE),
    Command(
        "deploy",
        "make the stored workflow what a file says",
        "workflows:deploy",
        (*_COMPARE, Option(("--dry-run",), "print what would change, and save nothing", _FLAG)),
    ),
    Command(
        "pull", "print the stored workflow as check and deploy take it", "workflows:pull", (_WORKFLOW,), output="json"
    ),
    Command("workflows", "list the workflows", "workflows:workflows"),
    Command("blocks", "list the kinds of blocks, with the schemas of their specs", "workflows:blocks"),
    Command(
        "run",
        "start a run, which costs credits; says what it will probably cost, and asks",
        "starting:run",
        (
            _WORKFLOW,
            Option(("--rows",), "rows as JSON, NDJSON or CSV, for a webhook block; - for JSON from stdin", _FILE_NAME),
            Option(("--upload",), "a file (a path or a URL) to upload, for a read_csv block", _FILE_NAME),
            Option(
                ("--format",),
                "a format of the result files besides CSV; repeatable",
                {"action": "append", "choices": _FORMATS, "default": []},
            ),
            Option(("-y", "--yes"), "don't ask; required where stdin is no terminal", _FLAG),
            Option(
                ("--idempotency-key",),
                "starts one run however often it is repeated; made up, and printed, by default",
                {"metavar": "KEY"},
            ),
            Option(("--wait",), "wait until the run has ended", _FLAG),
            _TIMEOUT,
            _POLL,
        ),
    ),
    Command("wait", "wait until a run has ended", "runs:wait", (_JOB, _TIMEOUT, _POLL, _BULK)),
    Command("status", "print how far a run is; exit 5 if it failed", "runs:status", (_JOB, _BULK)),
    Command(
        "runs",
        "list runs, the newest first",
        "runs:runs",
        (
            Option(
                ("--status",),
                "active (queued and running), running, completed, failed or cancelled",
                {"choices": ("active", "running", "completed", "failed", "cancelled"), "metavar": "STATUS"},
            ),
            Option(("--workflow-id",), "of this workflow alone", {"metavar": "ID"}),
            Option(("--limit",), "how many (default: 50)", {"type": listed, "default": 50, "metavar": "N"}),
        ),
    ),
    Command("cancel", "cancel a run; one that has ended is no error", "runs:cancel", (_JOB, _BULK)),
    Command(
        "results",
        "write the result files of a run that has ended, each whole or not at all, and a manifest",
        "results:results",
        (
            _JOB,
            Option(
                ("--to",), "the folder, a path or a URL; one for each run", {"required": True, "metavar": "DIR_OR_URL"}
            ),
            Option(("--format",), "csv (default), json or ndjson", {"choices": _FORMATS, "default": "csv"}),
            Option(("--parquet",), "write them as Parquet, made of CSV or NDJSON", _FLAG),
            Option(
                ("--files",),
                "final (default): what the last block made; all; or numbers of blocks, with commas",
                {"default": "final"},
            ),
            _BULK,
        ),
    ),
    Command(
        "estimate",
        "estimate what rows cost, by the workflow's own completed runs",
        "costs:estimate",
        (
            _WORKFLOW,
            Option(("--rows",), "how many", {"type": rows, "metavar": "N"}),
            Option(("--file",), "a file (a path or a URL) whose rows count", _FILE_NAME),
        ),
    ),
    Command("balance", "print the credits that are left", "costs:balance"),
    Command(
        "orphans",
        "list active runs that no task waits for any more; needs Airflow's metadata database",
        "housekeeping:orphans",
        (
            Option(("--cancel",), "cancel them", _FLAG),
            Option(
                ("--older-than",),
                "leave runs alone that were submitted in the last so many minutes (default: 15)",
                {"type": minutes, "default": 15.0, "metavar": "MINUTES"},
            ),
            Option(("--dag-id",), "of this Dag alone; repeatable", {"action": "append", "metavar": "ID"}),
        ),
    ),
    Command(
        "cleanup",
        "list, and remove, what unfinished work has left below a destination",
        "cleanup:cleanup",
        (
            Option(("--destination",), "the folder, a path or a URL", {"required": True, "metavar": "DIR_OR_URL"}),
            Option(
                ("--older-than",),
                "what was written in the last so many hours stays (default: 24)",
                {"type": hours, "default": 24.0, "metavar": "HOURS"},
            ),
            Option(
                ("-y", "--yes"),
                "remove it: temporary files, batches that were sent, and on S3 unfinished uploads, by whomever",
                _FLAG,
            ),
        ),
        needs_api=False,
    ),
    Command(
        "examples",
        "copy the example Dags to a folder; files that are there are left as they are",
        "examples:examples",
        (Option(("--to",), "the folder, such as dags/", {"required": True, "metavar": "DIR"}),),
        needs_api=False,
    ),
    Command(
        "emulator", "run a local Sixtyfour API, to try things without credits", "emulator:emulator", passes_all=True
    ),
)
