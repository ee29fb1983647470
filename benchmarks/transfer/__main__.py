"""
Measure how fast result files land, and in how much memory, compared with tools that do less.

``python -m benchmarks.transfer --mebibytes 2048 --rounds 5`` prints a Markdown table. Everything is on this machine: a
host that sends a CSV file from the page cache, the emulator, whose links lead to it, and a SeaweedFS for S3.

In each round every contender has its turn, in an order that is turned by one from round to round. What is compared:

- to a file system: this provider's operator, which hashes, counts rows and syncs the file to disk, with ``curl -o``,
  and with ``curl -o`` and a sync of the file;
- to S3: this provider's operator, from the host to S3, with boto3's ``upload_fileobj`` of a file that is on local disk
  already; and the memory of ``HttpToS3Operator``, once.

Each transfer of Python runs in a fresh process that has done the same with a small file before; its seconds are those
of the transfer, its memory is the most by which the process grew in it. A ratio is the median of those of each round.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from demo.processes import Processes
from tests.emulator_process import EmulatorProcess
from tests.stores.servers import BUCKET, StoreServer, start_seaweedfs

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
CONTENTS = ("plain", "quoted")


def row(number: int, content: str) -> bytes:
    """Return a row of about 200 bytes: of plain cells, or with a quoted text of several lines as an agent writes it."""
    start = f"{number},Example Company {number},https://www.example-{number}.com,lead-{number}@example.com"
    if content == "plain":
        return (
            f"{start},Rotterdam,Netherlands,51-200,Manufacturing of industrial bakery equipment,0.{number}\n".encode()
        )
    text = f'Makes bakery equipment, ""ovens"" among it.\n\n- founded in 19{number % 100:02}\n- 120 people'
    return f'{start},"{text}",0.{number}\n'.encode()


def write_file(path: Path, size: int, content: str) -> dict[str, Any]:
    """Write a CSV file of about a size; return what is known of it."""
    block = b"".join(row(number, content) for number in range(10_000, 50_000))
    count = max(1, size // len(block)) if size > len(block) else 1
    block = block if size > len(block) else row(1, content) * 20
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for piece in (b"id,company,website,email,text,score\n", *[block] * count):
            file.write(piece)
            digest.update(piece)
    rows = count * (40_000 if len(block) > 10_000 else 20)
    return {"file": str(path), "bytes": path.stat().st_size, "rows": rows, "sha256": digest.hexdigest()}


@contextmanager
def host(path: Path) -> Iterator[str]:
    """Serve a file; give its URL."""
    command = [sys.executable, "-m", "benchmarks.transfer.host", str(path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def completed_run(emulator: EmulatorProcess, url: str, file: Mapping[str, Any]) -> str:
    """Return a run whose result file is at a URL."""
    blocks = [
        {"block_id": name, "sequence_number": number, "block_type": name, "block_name": name, "specs": {}}
        for number, name in ((1, "webhook"), (2, "find_email"))
    ]
    definition = {"blocks": blocks, "edges": [{"from_block_id": "webhook", "to_block_id": "find_email"}]}
    body = {"workflow_name": "n", "workflow_description": "d", "workflow_definition": definition}
    workflow = emulator.api("POST", "/workflows/create_workflow", body)["id"]
    result = {"download_url": url, "file_size": file["bytes"], "row_count": file["rows"], "filename": "result.csv"}
    emulator.plan(results=[{**result, "rows": [{"name": "x"}]}])
    rows = {"webhook_payload": [{"name": "x"}]}
    job_id: str = emulator.api("POST", f"/workflows/run?workflow_id={workflow}", rows)["job_id"]
    time.sleep(1.0)
    return job_id


def contend(kind: str, orders: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, float]:
    """Run one transfer in a fresh process; return its seconds and its memory."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.transfer.contender", kind],
        input=json.dumps(orders),
        cwd=ROOT,
        env={**os.environ, **environment, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def curl(url: str, target: Path, *, syncs: bool) -> dict[str, float]:
    """Fetch a file with curl."""
    target.unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", "--noproxy", "*", "-o", target, url], check=True)
    if syncs:
        with target.open("rb") as file:
            os.fsync(file.fileno())
    return {"seconds": time.perf_counter() - began, "grown": 0}


def client(server: StoreServer) -> dict[str, Any]:
    """Return the arguments of boto3's client for a store."""
    connection: Any = server.connection
    return {
        "endpoint_url": connection["extra"]["endpoint_url"],
        "region_name": "us-east-1",
        "aws_access_key_id": connection["login"],
        "aws_secret_access_key": connection["password"],
    }


def measure(content: str, size: int, rounds: int, folder: Path, *, with_s3: bool) -> list[str]:
    """Measure with one kind of file; return the lines of the table."""
    folder.mkdir()
    small, large = (
        write_file(folder / f"{name}.csv", number, content) for name, number in (("small", 1000), ("large", size))
    )
    landed = folder / "landed"
    results: dict[str, list[dict[str, float]]] = {}
    with (
        Processes(folder / "logs") as processes,
        EmulatorProcess("--run-seconds", "0", "--queue-seconds", "0") as emulator,
        host(folder / "small.csv") as small_url,
        host(folder / "large.csv") as large_url,
    ):
        store = start_seaweedfs(processes, folder)
        environment = {
            **store.environment,
            "AIRFLOW_HOME": str(folder / "airflow"),
            "AIRFLOW_CONN_SIXTYFOUR_DEFAULT": emulator.connection_json(),
            "AIRFLOW_CONN_STORAGE": json.dumps({"conn_type": "http", "host": large_url.partition("/result")[0]}),
        }
        for file, url in ((small, small_url), (large, large_url)):
            file["job_id"] = completed_run(emulator, url, file)
            file["endpoint"] = url[url.index("/result") :]
        orders = {"small": small, "large": large, "bucket": BUCKET, "client": client(store), "aws_conn_id": "store_s3"}
        contenders: dict[str, Callable[[], dict[str, float]]] = {
            "`curl -o`": lambda: curl(large_url, folder / "curl.csv", syncs=False),
            "`curl -o`, synced": lambda: curl(large_url, folder / "curl.csv", syncs=True),
            "operator, to `file://`": lambda: contend(
                "land", {**orders, "destination": f"file://{landed}", "leftover": f"{landed}/large"}, environment
            ),
        }
        if with_s3:
            contenders["boto3 `upload_fileobj`"] = lambda: contend("boto3", orders, environment)
            contenders["operator, to `s3://`"] = lambda: contend(
                "land", {**orders, "destination": f"{store.url}/landed"}, environment
            )
        names = list(contenders)
        for number in range(rounds):
            for name in names[number % len(names) :] + names[: number % len(names)]:
                os.sync()  # so that nobody writes what the one before has left to write
                results.setdefault(name, []).append(contend_once := contenders[name]())
                print(f"{content} {number} {name}: {contend_once}", file=sys.stderr, flush=True)
        if with_s3:
            results["`HttpToS3Operator`"] = [contend("http_to_s3", orders, environment)]
    baselines = {"operator, to `file://`": "`curl -o`", "operator, to `s3://`": "boto3 `upload_fileobj`"}
    return [line(content, name, found, results.get(baselines.get(name, ""))) for name, found in results.items()]


def line(content: str, name: str, found: list[dict[str, float]], other: list[dict[str, float]] | None) -> str:
    """Return a line of the table; the ratio is of speeds, 1 being as fast as the other."""
    seconds = median(one["seconds"] for one in found)
    grown = max(one["grown"] for one in found) / MIB
    ratio = ""
    if other:
        ratios = sorted(its["seconds"] / mine["seconds"] for mine, its in zip(found, other, strict=True))
        ratio = f"{median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    return f"| {content} | {name} | {seconds:.2f} | {ratio} | {f'{grown:.0f}' if grown else ''} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mebibytes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--contents", nargs="+", choices=CONTENTS, default=["plain"])
    parser.add_argument("--no-s3", action="store_true", help="only to the file system")
    given = parser.parse_args()
    lines = [
        "| file | who | s, median | speed compared with curl or boto3 | MiB more, at most |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(dir=ROOT / ".tmp" if (ROOT / ".tmp").is_dir() else None) as folder:
        for content in given.contents:
            size = given.mebibytes * MIB
            lines += measure(content, size, given.rounds, Path(folder) / content, with_s3=not given.no_s3)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
