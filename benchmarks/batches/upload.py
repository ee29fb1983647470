"""
How fast the batches of a split are uploaded, and in how much memory, compared with others that post the same bytes.

All post to the emulator, which stores a file and reads it through before it answers: that is what bounds them all. It
has no limit of requests here. Each sends every batch, one after the other, over one connection, and they take turns:

- this provider, as ``SixtyfourEnrichOperator`` does it: it opens each batch through its store, streams and hashes it,
  and holds the digest against the reference;
- ``httpx``, from bytes that are in memory already;
- ``curl``, from the files.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.batches.input import PLAIN, write_leads
from benchmarks.batches.interpreter import Taken, measure
from tests.emulator_process import EmulatorProcess

GOAL_MEMORY = 64.0  # MiB that the uploads may add
ROUTE = "/storage/csv/upload"

_SPLIT = """
from airflow_provider_sixtyfour.operators.batches import split_input
made = split_input(source=f"file://{path}", destination=f"file://{folder}", batch_rows=batch_rows)
with open(f"{folder}.json", "w") as file:
    json.dump(made, file)
"""
_OURS = """
from airflow_provider_sixtyfour.hooks.sixtyfour import SixtyfourHook
from airflow_provider_sixtyfour.tasks.batch_input import enrich_input
from airflow_provider_sixtyfour.inputs.file import send
client = SixtyfourHook("sixtyfour_default").client
with open(path) as file:
    batches = json.load(file)
def upload(batch):
    given = enrich_input(source=batch, rows=None, specs_override=None, max_rows=100_000)
    assert send(client, given.file)
"""
_HTTPX = f"""
import httpx
to = json.loads(os.environ["AIRFLOW_CONN_SIXTYFOUR_DEFAULT"])
client = httpx.Client(base_url=to["host"], headers={{"x-api-key": to["password"]}}, timeout=60, trust_env=False)
batches = []
with open(path) as file:
    for batch in json.load(file):
        with open(batch["path"].removeprefix("file://"), "rb") as content:
            batches.append(content.read())
def upload(content):
    client.post("{ROUTE}", files={{"file": ("batch.csv", content)}}).raise_for_status()
"""
_ALL = """
for batch in batches:
    upload(batch)
"""
PROVIDER, HTTPX, CURL = "this provider", "`httpx`, from memory", "`curl`, from the files"
_BEFORE = {PROVIDER: _OURS, HTTPX: _HTTPX}  # and one upload, which is not measured
_WHO = (PROVIDER, HTTPX, CURL)


def measure_uploads(folder: Path, rows: int, batch_rows: int, rounds: int) -> tuple[list[str], bool]:
    """Return the table, and whether the uploads kept to their memory."""
    write_leads(folder / PLAIN, rows)
    measure(_SPLIT, folder / PLAIN, folder / "sent", rows, batch_rows)
    batches = json.loads((folder / "sent.json").read_text())
    taken: dict[str, list[Taken]] = {name: [] for name in _WHO}
    for number in range(rounds):
        turn = number % len(_WHO)
        # A new one each round: it keeps what it is sent.
        with EmulatorProcess("--requests-per-minute", "0") as emulator:
            for name in _WHO[turn:] + _WHO[:turn]:
                before = _uploads(emulator)
                taken[name].append(_curl(emulator, batches) if name == CURL else _python(name, emulator, folder))
                posted, expected = _uploads(emulator) - before, len(batches) + (name != CURL)
                assert posted == expected, f"{name}: {posted} uploads instead of {expected}"
    megabytes = sum(batch["bytes"] for batch in batches) / 1e6
    limit = median(each.seconds for each in taken[CURL])
    lines = [
        f"{len(batches):,} batches, {megabytes:.0f} MB of CSV; median of {rounds} rounds (lowest to highest)",
        "",
        "| who uploads | MB/s | compared with `curl` | MiB more |",
        "|---|---|---|---|",
    ]
    for name, all_ in taken.items():
        speeds = [megabytes / each.seconds for each in all_]
        grown = f"{max(each.grown for each in all_):.0f}" if name == PROVIDER else ""
        lines.append(
            f"| {name} | {median(speeds):.1f} ({min(speeds):.1f} to {max(speeds):.1f}) "
            f"| {limit / median(each.seconds for each in all_):.2f} | {grown} |"
        )
    lines += ["", f"Goal for the memory: {GOAL_MEMORY:.0f} MiB at most."]
    return lines, max(each.grown for each in taken[PROVIDER]) <= GOAL_MEMORY


def _uploads(emulator: EmulatorProcess) -> int:
    return int(emulator.stats()["requests"].get(f"POST {ROUTE}", 0))


def _python(name: str, emulator: EmulatorProcess, folder: Path) -> Taken:
    return measure(
        _ALL,
        folder / "sent.json",
        folder / "sent",
        before=_BEFORE[name] + "\nupload(batches[0])",
        environment={"AIRFLOW_CONN_SIXTYFOUR_DEFAULT": emulator.connection_json()},
    )


def _curl(emulator: EmulatorProcess, batches: Sequence[Mapping[str, Any]]) -> Taken:
    """Upload with one process of curl; nothing is known of its memory."""
    options = []
    for batch in batches:
        options += [
            f'url = "{emulator.url}{ROUTE}"',
            f'header = "x-api-key: {emulator.api_key}"',
            'header = "Expect:"',  # else it would wait for a 100 Continue before each
            f'form = "file=@{str(batch["path"]).removeprefix("file://")}"',
            "fail",
            "silent",
            'noproxy = "*"',
            'output = "/dev/null"',
            "next",
        ]
    began = time.perf_counter()
    subprocess.run(["curl", "--config", "-"], input="\n".join(options[:-1]), text=True, check=True)
    return Taken(time.perf_counter() - began, 0.0, 0.0)
