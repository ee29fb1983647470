"""
The command line of the emulator.

Invariant: what it can't use it refuses before anything is started, with exit code 2 and a line that says why. The
API key is never printed unless it is the default, which is no secret.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airflow_provider_sixtyfour.emulator.config import OAuthClient, Options

_KEY_VARIABLE = "SIXTYFOUR_EMULATOR_API_KEY"
_DEFAULTS = Options()
_EPILOG = """\
An Airflow connection to it:
  AIRFLOW_CONN_SIXTYFOUR_DEFAULT='{"conn_type": "sixtyfour", "host": "http://127.0.0.1:6464", "password": "emulator"}'

The control API, for tests; no credential, from this machine only:
  GET, DELETE  /_emulator/requests           what the API was asked, oldest first, with headers; forget it
  GET, DELETE  /_emulator/storage-requests   the same of the storage
  GET          /_emulator/stats              counts by route and status, connections, runs by status, credits
  GET          /_emulator/runs               all runs, with the body that was submitted (?bodies=false: without)
  PATCH        /_emulator/runs/{job_id}      {"status": "failed", "error_message": "..."}: force a status
  POST         /_emulator/faults             {"action": "...", "method", "path" (regex), "query" (regex),
               "where": "api|storage", "when": "before|after", "times", "seconds", "skip", "delay", ...}:
               what the requests that match get instead of their answer. The actions, with members of their own:
               answer, refuse (status, headers, body), delay, hang, drop, reset, cut, cut_reset (cut_after),
               trickle (chunk_bytes, whole), bomb (mib), rows (rows, body), edit (members), headers, empty,
               half, half_short, http10_cut, gzip_cut, other_etag
  GET, DELETE  /_emulator/faults             the faults and how often each fired; cancel all
  POST         /_emulator/plans              {"times", "workflow_id", "seconds", "queue_seconds", "status", "ends",
               "fail_block", "error_message", "hide_for_seconds", "cancel_seconds",
               "links_after_seconds", "late_files", "results", "synthetic_bytes"}: how the next runs go
  GET, DELETE  /_emulator/plans              the plans that wait; cancel all
  POST         /_emulator/outage             {"seconds": 60}: break all connections and don't listen meanwhile
  GET          /_emulator/deliveries         the outgoing webhooks, and what came of them
  DELETE       /_emulator/tokens             make all access tokens worthless
  DELETE       /_emulator/rate-limit         give every credential a fresh minute

  curl -X POST localhost:6464/_emulator/plans -d '{"fail_block": 2}' -H 'Content-Type: application/json'
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator; return its exit code."""
    parser = command_line_parser()
    given = parser.parse_args(arguments)
    key, hint = _key(given.api_key)
    if not key:
        parser.error("the API key is empty")
    try:
        clients = tuple(_client(text) for text in given.oauth_client)
    except ValueError as error:
        parser.error(f"argument --oauth-client: {error}")
    try:
        workflows = tuple(_workflow(path) for path in given.workflow)
    except ValueError as error:
        parser.error(f"argument --workflow: {error}")
    options = Options(
        host=given.host,
        port=given.port,
        storage_port=given.storage_port,
        allowed_hosts=frozenset(given.allow_host),
        api_key=key,
        oauth_clients=clients,
        token_seconds=given.token_seconds,
        run_seconds=given.run_seconds,
        queue_seconds=given.queue_seconds,
        fail_rate=given.fail_rate,
        latency=given.latency,
        credits=given.credits,
        data_dir=given.data_dir,
        link_seconds=given.link_seconds,
        ranges=given.ranges,
        etags=given.etags,
        requests_per_minute=given.requests_per_minute,
        retry_after=given.retry_after,
        inline_rows=given.inline_rows,
        fill_defaults=given.fill_defaults,
        older_errors=given.older_errors,
        workflows=workflows,
        webhook_secret=given.webhook_secret,
        webhook_pauses=tuple(given.webhook_pauses),
        webhook_hosts=frozenset(given.allow_webhook_hosts),
        show_credentials=given.show_credentials,
        verbose=given.verbose,
        stop_with_stdin=given.stop_with_stdin,
    )
    logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(message)s")
    try:
        # Imported late, so that --help and a wrong option need no FastAPI.
        from airflow_provider_sixtyfour.emulator.server import serve
        from airflow_provider_sixtyfour.emulator.store.workflows import Workflows
    except ImportError as error:
        print(f"{error}. Install airflow-provider-sixtyfour[emulator].", file=sys.stderr)
        return 1
    for path, document in zip(given.workflow, workflows, strict=True):
        try:
            Workflows().load(document, 0.0)
        except ValueError as error:
            parser.error(f"argument --workflow: {path}: {error}")
    try:
        serve(options, hint)
    except OSError as error:
        print(f"Can't listen on {options.host}: {error}", file=sys.stderr)
        return 1
    return 0


def command_line_parser() -> argparse.ArgumentParser:
    """Return what reads the options; the documentation lists them from it."""
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_sixtyfour.emulator",
        description="A local Sixtyfour workflow API, to develop Dags against without spending credits.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_server(parser.add_argument_group("server"))
    _add_access(parser.add_argument_group("access"))
    _add_runs(parser.add_argument_group("runs"))
    _add_results(parser.add_argument_group("results"))
    return parser


def _add_server(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default=_DEFAULTS.host, help="address to listen on (%(default)s)")
    group.add_argument("--port", type=_port, default=_DEFAULTS.port, help="0: a free one (%(default)s)")
    group.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME[:PORT]",
        help="answer requests whose Host is this, besides those for this machine's own address; repeatable",
    )
    group.add_argument("--storage-port", type=_port, help="serve downloads from a port of their own; 0: a free one")
    group.add_argument("--data-dir", type=Path, help="keep files here (default: a temporary directory)")
    group.add_argument(
        "--latency", type=_seconds, default=_DEFAULTS.latency, help="added to every answer of the API, in s"
    )
    group.add_argument("--older-errors", action="store_true", help='refuse as {"error": ...}, not as {"detail": ...}')
    group.add_argument("--verbose", action="store_true", help="write a line for each request to stderr")
    group.add_argument("--stop-with-stdin", action="store_true", help="stop when stdin closes: with the parent")


def _add_access(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--api-key", help=f"default: ${_KEY_VARIABLE}, else {_DEFAULTS.api_key!r}")
    group.add_argument(
        "--oauth-client",
        action="append",
        default=[],
        metavar="CLIENT_ID:KEY_ID:PUBLIC_PEM_PATH",
        help="a client that may ask for tokens with private_key_jwt; repeatable",
    )
    group.add_argument(
        "--token-seconds", type=_seconds, default=_DEFAULTS.token_seconds, help="life of a token (%(default)g)"
    )
    group.add_argument(
        "--requests-per-minute",
        type=_count,
        default=_DEFAULTS.requests_per_minute,
        help="limit for each credential; 0: none (%(default)s)",
    )
    group.add_argument(
        "--show-credentials",
        action="store_true",
        help="show credentials in the request log of the control API, not their fingerprints",
    )
    group.add_argument(
        "--no-retry-after", dest="retry_after", action="store_false", help="send a 429 without Retry-After"
    )


def _add_runs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--run-seconds", type=_seconds, default=_DEFAULTS.run_seconds, help="how long a run runs (%(default)g)"
    )
    group.add_argument(
        "--queue-seconds", type=_seconds, default=_DEFAULTS.queue_seconds, help="and is queued before (%(default)g)"
    )
    group.add_argument(
        "--fail-rate", type=_share, default=_DEFAULTS.fail_rate, help="share of runs that fail, evenly spread: 0 to 1"
    )
    group.add_argument("--credits", type=_seconds, help="credits to spend before a 402 (default: no limit)")
    group.add_argument(
        "--workflow",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="store this workflow at the start: JSON, a body of create_workflow with or without an id; repeatable",
    )
    group.add_argument("--fill-defaults", action="store_true", help="store blocks with their schema's defaults")
    group.add_argument("--webhook-secret", help="signs outgoing webhooks (default: none until one is made by the API)")
    group.add_argument(
        "--webhook-pauses",
        nargs="*",
        type=_seconds,
        default=_DEFAULTS.webhook_pauses,
        metavar="SECONDS",
        help="before each repetition of a delivery that got no 2xx (1 5 25 125 625); none: deliver once",
    )
    group.add_argument(
        "--allow-webhook-hosts",
        nargs="+",
        default=[],
        metavar="HOST",
        help="deliver outgoing webhooks to these hosts too, not to this machine only; *: to any",
    )


def _add_results(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--link-seconds", type=_seconds, default=_DEFAULTS.link_seconds, help="life of a download link (%(default)g)"
    )
    group.add_argument(
        "--inline-rows", type=_count, default=_DEFAULTS.inline_rows, help="give so many rows inline (%(default)s)"
    )
    group.add_argument("--no-ranges", dest="ranges", action="store_false", help="ignore Range on downloads")
    group.add_argument("--no-etags", dest="etags", action="store_false", help="send no ETag with downloads")


def _key(given: str | None) -> tuple[str, str]:
    """Return the API key, and what to say of it."""
    if given is not None:
        return given, "the one given with --api-key"
    if _KEY_VARIABLE in os.environ:
        return os.environ[_KEY_VARIABLE], f"the one in {_KEY_VARIABLE}"
    return _DEFAULTS.api_key, _DEFAULTS.api_key


def _client(text: str) -> OAuthClient:
    client_id, _, rest = text.partition(":")
    key_id, _, path = rest.partition(":")
    if not (client_id and key_id and path):
        raise ValueError("expected CLIENT_ID:KEY_ID:PUBLIC_PEM_PATH")
    try:
        pem = Path(path).read_text(encoding="ascii")
    except (OSError, UnicodeError) as error:
        raise ValueError(f"can't read {path}: {error}") from error
    if not _is_rsa_public_key(pem):
        raise ValueError(f"{path} is not a public RSA key in PEM")
    return OAuthClient(client_id, key_id, pem)


def _workflow(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"can't read {path}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no JSON object")
    return found


def _is_rsa_public_key(pem: str) -> bool:
    # Imported late: only who has OAuth clients pays for it.
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return isinstance(load_pem_public_key(pem.encode()), RSAPublicKey)
    except ValueError:
        return False


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is between 0 and 65535")
    return port


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def _share(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError("must be between 0 and 1")
    return number
