"""
Receives webhooks of Sixtyfour's: each makes an event of an asset, by which Airflow runs the Dags that wait for it.

| answer | when |
|---|---|
| 202 recorded | an event was made |
| 202 ignored | no Dag uses the asset |
| 200 duplicate | the asset has the event |
| 400 | the body is signed, and names no run |
| 401 | the signature is missing, wrong or too old |
| 404 | the connection takes no webhooks, or there is none |
| 408, 413 | the body came too slowly, or is too large |
| 500, 503 | it could not be recorded: the vendor tries again |

Nothing of a delivery is believed before its signature was checked, and then ids alone are taken from it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from airflow_provider_sixtyfour.api.call import identifier
from airflow_provider_sixtyfour.exceptions import SixtyfourInputError
from airflow_provider_sixtyfour.ui.webhook_event import MalformedDelivery, read_event
from airflow_provider_sixtyfour.ui.webhook_signature import Signature

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.hooks.webhook_settings import WebhookSettings

log = logging.getLogger(__name__)
router = APIRouter()

LONGEST_BODY = 1_000_000  # bytes
LONGEST_RECEIPT = 15.0  # seconds for a body as a whole
MOST_HELD = 32_000_000  # bytes of bodies that this process holds at a time
AT_ONCE = 4  # threads of this process, so that Airflow's own routes keep theirs
SIGNATURE = "sixtyfour-signature"

_held = 0
_limiters: WeakKeyDictionary[asyncio.AbstractEventLoop, CapacityLimiter] = WeakKeyDictionary()
_warned: set[str] = set()  # of what was logged as a warning once


class _Refused(Exception):
    """A delivery that is answered with an error."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@router.post("/webhooks/{conn_id}")
async def receive(conn_id: str, request: Request) -> JSONResponse:
    """Receive a delivery."""
    try:
        with _holding() as hold:
            body = await _body(request, hold)
            signatures = request.headers.getlist(SIGNATURE)
            workflow_id = request.query_params.get("workflow_id")
            status, answer = await to_thread.run_sync(
                _handled, conn_id, ",".join(signatures) if signatures else None, body, workflow_id, limiter=_limiter()
            )
    except _Refused as refusal:
        # The rest of the body isn't read, so the connection is of no further use.
        headers = {"Connection": "close"} if refusal.status in (408, 413, 503) else None
        return JSONResponse({"detail": refusal.detail}, status_code=refusal.status, headers=headers)
    except ClientDisconnect:
        return JSONResponse({"detail": "The body did not arrive as a whole."}, status_code=400)
    except Exception as error:
        # Without the traceback, which some of Airflow's formatters show with the values of variables.
        log.error(
            "A webhook could not be recorded, and is answered with 500: %s. Connection %r.", _described(error), conn_id
        )
        return JSONResponse({"detail": "Could not be recorded. The API server's log says why."}, status_code=500)
    return JSONResponse(answer, status_code=status)


async def _body(request: Request, hold: Callable[[int], None]) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > LONGEST_BODY:
        raise _Refused(413, f"The body has more than {LONGEST_BODY:,} bytes.")
    body = bytearray()
    try:
        async with asyncio.timeout(LONGEST_RECEIPT):
            async for chunk in request.stream():
                if len(body) + len(chunk) > LONGEST_BODY:
                    raise _Refused(413, f"The body has more than {LONGEST_BODY:,} bytes.")
                hold(len(chunk))
                body += chunk
    except TimeoutError:
        raise _Refused(408, f"The body did not arrive within {LONGEST_RECEIPT:g} s.") from None
    return bytes(body)


@contextmanager
def _holding() -> Iterator[Callable[[int], None]]:
    """Count the bytes that are held, for as long as the block runs."""
    global _held
    mine = 0

    def hold(count: int) -> None:
        nonlocal mine
        global _held
        if _held + count > MOST_HELD:
            raise _Refused(503, "Too many deliveries arrive at the same time.")
        mine += count
        _held += count

    try:
        yield hold
    finally:
        _held -= mine


def _limiter() -> CapacityLimiter:
    loop = asyncio.get_running_loop()
    if loop not in _limiters:
        _limiters[loop] = CapacityLimiter(AT_ONCE)
    return _limiters[loop]


def _handled(
    conn_id: str, signature: str | None, body: bytes, workflow_id: str | None
) -> tuple[int, dict[str, str | None]]:
    """Check a delivery and record it, in a thread; return the answer."""
    try:
        from airflow_provider_sixtyfour.ui import asset_events
    except ImportError as error:
        raise _Refused(503, f"This Airflow has not what the receiver of webhooks needs: {error}") from None
    if lack := asset_events.missing():
        raise _Refused(503, lack)
    settings = _settings(conn_id)
    if settings is None:
        raise _Refused(404, "Not found.")
    if signature is None:
        if not settings.allows_unsigned:
            raise _refused_signature(conn_id)
        _warn_once(
            conn_id, "Deliveries without a signature are accepted, from whoever sends them: allow_unsigned is set."
        )
    else:
        given = Signature.read(signature)
        if given is None or not given.is_valid(body, settings.secrets, time.time()):
            raise _refused_signature(conn_id)
    try:
        event = read_event(body, workflow_id, is_signed=signature is not None)
    except MalformedDelivery as error:
        log.info("A webhook was refused: %s Connection %r.", error, conn_id)
        raise _Refused(400, str(error)) from None
    uri = event.asset_uri(conn_id)
    outcome = asset_events.record(uri, event.extra())
    log.info("Webhook %s. Run %s, asset %s, event %s.", outcome.value, event.job_id, uri, event.event_id)
    if outcome is asset_events.Outcome.DUPLICATE:
        return 200, {"outcome": outcome.value}
    if outcome is asset_events.Outcome.NO_ASSET:
        return 202, {"outcome": outcome.value, "reason": f"No Dag uses an asset with the URI {uri}."}
    return 202, {"outcome": outcome.value}


def _settings(conn_id: str) -> WebhookSettings | None:
    """Return what a connection says of webhooks, as it is now; ``None`` if it takes none."""
    from airflow.providers.common.compat.sdk import mask_secret

    from airflow_provider_sixtyfour.hooks.connection import webhook_settings
    from airflow_provider_sixtyfour.ui import asset_events

    try:
        connection = asset_events.connection(identifier(conn_id, "conn_id"))
    except SixtyfourInputError:
        return None
    if connection is None:
        return None
    try:
        settings = webhook_settings(connection, connection.extra_dejson)
    except ValueError as error:
        _warn_once(conn_id, f"Webhooks are not accepted: {error}.")
        return None
    for secret in () if settings is None else settings.secrets:
        mask_secret(secret)
    return settings


def _refused_signature(conn_id: str) -> _Refused:
    log.info("A webhook was refused: its signature is missing, wrong, or too old. Connection %r.", conn_id)
    return _Refused(401, "The signature is missing, wrong, or too old.")


def _warn_once(conn_id: str, text: str) -> None:
    if (key := f"{conn_id} {text}") not in _warned:
        _warned.add(key)
        log.warning("%s Connection %r.", text, conn_id)


def _described(error: Exception) -> str:
    from airflow_provider_sixtyfour.api.cleaning import Cleaner

    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"
    return Cleaner().message(f"{type(error).__name__}: {error}") + where
