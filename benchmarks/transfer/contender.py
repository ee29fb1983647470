"""
One transfer in a fresh process; prints its seconds and by how many bytes the process's memory grew at most.

``python -m benchmarks.transfer.contender KIND`` reads what to transfer from its input, as JSON. Before it measures, it
does the same with a small file, so that what is loaded or connected once counts for neither. What it left behind in the
round before goes only then, as with curl: to write to memory that has been free for some seconds may take three times
as long, where a virtual machine has to get it from its host again.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module  # by name: what is measured is in an environment of its own
from pathlib import Path
from typing import Any

Orders = Mapping[str, Any]


def land(orders: Orders) -> Callable[[str], object]:
    """Return this provider's operator, to a file system or to S3."""
    from airflow_provider_sixtyfour.transfers.sixtyfour_to_object_storage import SixtyfourToObjectStorageOperator

    def transfer(which: str) -> object:
        operator = SixtyfourToObjectStorageOperator(
            task_id="land", job_id=orders[which]["job_id"], destination=f"{orders['destination']}/{which}"
        )
        [landed] = operator.execute({})
        assert landed["bytes"] == orders[which]["bytes"], landed
        assert landed["rows"] == orders[which]["rows"], landed
        assert landed["sha256"] == orders[which]["sha256"], landed
        return landed

    return transfer


def boto3_upload(orders: Orders) -> Callable[[str], object]:
    """Return boto3's own upload of a file that is on local disk."""
    config = import_module("botocore.config").Config(s3={"addressing_style": "path"})
    client = import_module("boto3").client("s3", **orders["client"], config=config)

    def transfer(which: str) -> object:
        with open(orders[which]["file"], "rb") as file:
            client.upload_fileobj(file, orders["bucket"], f"boto3/{which}.csv")
        return None

    return transfer


def http_to_s3(orders: Orders) -> Callable[[str], object]:
    """Return the operator that Airflow's Amazon provider has for the same work."""
    operator = import_module("airflow.providers.amazon.aws.transfers.http_to_s3").HttpToS3Operator

    def transfer(which: str) -> object:
        operator(
            task_id="transfer",
            http_conn_id="storage",
            endpoint=orders[which]["endpoint"],
            s3_bucket=orders["bucket"],
            s3_key=f"http_to_s3/{which}.csv",
            replace=True,
            aws_conn_id=orders["aws_conn_id"],
        ).execute({})
        return None

    return transfer


KINDS: Mapping[str, Callable[[Orders], Callable[[str], object]]] = {
    "land": land,
    "boto3": boto3_upload,
    "http_to_s3": http_to_s3,
}


def memory(name: str) -> int:
    """Return a figure of this process's memory, in bytes: ``VmRSS`` now, ``VmHWM`` at most."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, name
    return int(found[1]) * 1024


def main() -> None:
    """Warm up, transfer, print."""
    logging.disable(logging.CRITICAL)
    orders = json.load(sys.stdin)
    transfer = KINDS[sys.argv[1]](orders)
    transfer("small")
    if "leftover" in orders:
        shutil.rmtree(orders["leftover"], ignore_errors=True)
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = memory("VmRSS")
    began = time.perf_counter()
    transfer("large")
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "grown": memory("VmHWM") - before}))


if __name__ == "__main__":
    main()
