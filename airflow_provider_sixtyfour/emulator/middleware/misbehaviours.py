"""
What can go wrong with an answer: one table, in which a misbehaviour is one entry.

Invariant: a misbehaviour uses the members of its order (`FaultBody`) and the exchange, nothing else;
bodies of any size are made as they are sent.

===============  ===================================================================================================
``answer``       ``status``, ``headers`` and ``body`` instead of the true answer. In a text, ``{credential}`` becomes
                 the one that the request carries, ``{signed_url}`` a URL with a signature
``refuse``       ``status`` in the API's own JSON, in the shape that this emulator has for errors
``delay``        the true answer, ``delay`` seconds late
``hang``         no answer, until the client closes the connection
``drop``         the connection is closed without an answer
``reset``        the connection is reset without an answer
``cut``          the true answer, closed after ``cut_after`` bytes of its body
``cut_reset``    the true answer, reset after ``cut_after`` bytes of its body
``trickle``      ``chunk_bytes`` of the body each ``delay`` seconds; with ``whole`` the head trickles as well. The true
                 answer, or ``body`` where one is given
``bomb``         a gzip body that inflates to JSON of ``mib`` MiB
``rows``         a JSON list of ``rows`` items, each ``body`` (an object) with a ``job_id`` of its own
``edit``         the true answer with other members: ``members`` maps a path (``blocks.*.error_message``) to a value
``headers``      the true answer with other headers: ``headers`` (an empty value removes one), ``status`` if given
``empty``        the true status and type, without any body
``half``         the true answer with the first half of its body and a Content-Length that fits it
``half_short``   the same, but with the Content-Length of the whole
``http10_cut``   half of the body, as HTTP/1.0 without a Content-Length
``gzip_cut``     the body compressed with gzip, without the end of the compressed stream
``other_etag``   the true answer, a 206 included, with another ETag than before
===============  ===================================================================================================
"""

from __future__ import annotations

import gzip
import json
import uuid
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.middleware.exchange import Answer, Exchange

if TYPE_CHECKING:
    from airflow_provider_sixtyfour.emulator.middleware.fault_order import FaultBody

SIGNED_URL = "https://files.example/results/1.csv?X-Expires=9999999999&X-Signature=5ecret-5ignature"
_MIB = 1 << 20
_AT_ONCE = 1_000  # rows that are made before they are sent


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """How one goes. `may_be_late`: ``delay`` and ``when`` are carried out before it."""

    act: Callable[[FaultBody, Exchange], Awaitable[None]]
    may_be_late: bool = True


async def _answer(order: FaultBody, exchange: Exchange) -> None:
    await exchange.read_request()
    await exchange.send(_ordered(order, exchange, order.status))


def _ordered(order: FaultBody, exchange: Exchange, status: int) -> Answer:
    """Return the answer that the order describes."""
    headers = {name.lower(): value for name, value in order.headers.items()}
    if order.body is None:
        return Answer(status, headers)
    is_text = isinstance(order.body, str)
    text: str = order.body if is_text else json.dumps(order.body)
    for name, value in (("{credential}", exchange.credential()), ("{signed_url}", SIGNED_URL)):
        if name in text:
            text = text.replace(name, value if is_text else json.dumps(value)[1:-1])
    headers.setdefault("content-type", "text/html" if is_text else "application/json")
    return Answer(status, headers, text.encode("utf-8", "surrogatepass"))


async def _refuse(order: FaultBody, exchange: Exchange) -> None:
    await exchange.read_request()
    refusal = errors.refused(order.status).response()
    headers = {"content-type": "application/json"} | {name.lower(): value for name, value in order.headers.items()}
    await exchange.send(Answer(order.status, headers, bytes(refusal.body)))


async def _delay(order: FaultBody, exchange: Exchange) -> None:
    await exchange.run(exchange.asgi_send)


async def _hang(order: FaultBody, exchange: Exchange) -> None:
    await exchange.wait_for_the_client_to_leave()


async def _drop(order: FaultBody, exchange: Exchange) -> None:
    await exchange.read_request()
    await exchange.close()


async def _reset(order: FaultBody, exchange: Exchange) -> None:
    await exchange.read_request()
    await exchange.reset()


class _FarEnoughError(Exception):
    """Ends the making of an answer of which enough was sent."""


def _cut(end: Callable[[Exchange], Awaitable[None]]) -> Callable[[FaultBody, Exchange], Awaitable[None]]:
    """Return a misbehaviour that streams the true answer, however long, up to a point."""

    async def act(order: FaultBody, exchange: Exchange) -> None:
        left = order.cut_after

        async def cutting(message: Any) -> None:
            nonlocal left
            body = message.get("body", b"")
            if message["type"] != "http.response.body" or len(body) < left:
                left -= len(body)
                await exchange.asgi_send(message)
                return
            await exchange.asgi_send({"type": "http.response.body", "body": body[:left], "more_body": True})
            raise _FarEnoughError

        try:
            await exchange.run(cutting)
        except _FarEnoughError:
            await end(exchange)

    return act


async def _cut_reset_end(exchange: Exchange) -> None:
    await exchange.pause(0.05)  # an RST discards what was not sent yet
    await exchange.reset()


async def _trickle(order: FaultBody, exchange: Exchange) -> None:
    if order.body is None:
        answer = await exchange.real()
    else:
        await exchange.read_request()
        answer = _ordered(order, exchange, _status(order))
    head = exchange.head_of(answer, length=len(answer.content))
    slow = head + answer.content if order.whole else answer.content
    if not order.whole:
        exchange.write(head)
    for start in range(0, len(slow), order.chunk_bytes):
        exchange.write(slow[start : start + order.chunk_bytes])
        if not await exchange.pause(order.delay):
            return
    await exchange.close()


async def _bomb(order: FaultBody, exchange: Exchange) -> None:
    await exchange.read_request()
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    await exchange.stream(_status(order), headers | _lower(order.headers), _compressed(order.mib))


async def _compressed(mib: int) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(9, wbits=31)
    filling = b" " * (_MIB - 2)
    yield packer.compress(b"[")
    for _ in range(mib):
        yield packer.compress(filling + b"  ")
    yield packer.compress(b"]") + packer.flush()


async def _rows(order: FaultBody, exchange: Exchange) -> None:
    await exchange.read_request()
    item: dict[str, Any] = order.body if isinstance(order.body, dict) else {"status": "running"}

    async def chunks() -> AsyncIterator[bytes]:
        yield b"["
        for start in range(0, order.rows, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, order.rows))
            made = (json.dumps({"job_id": str(uuid.UUID(int=number + 1)), **item}) for number in numbers)
            yield (("," if start else "") + ",".join(made)).encode()
        yield b"]"

    await exchange.stream(_status(order), {"content-type": "application/json"} | _lower(order.headers), chunks())


async def _edit(order: FaultBody, exchange: Exchange) -> None:
    answer = await exchange.real()
    document = answer.json()
    for path, value in order.members.items():
        _put(document, path.split("."), value)
    answer.content = json.dumps(document).encode()
    answer.headers.pop("content-length", None)
    await exchange.send(answer)


def _put(document: Any, path: list[str], value: Any) -> None:
    """Set a member by its path; ``*`` means each item, and what is not there is not reached."""
    step, rest = path[0], path[1:]
    keys: list[Any]
    if isinstance(document, list):
        keys = list(range(len(document))) if step == "*" else [int(step)] if int(step) < len(document) else []
    elif isinstance(document, dict):
        keys = list(document) if step == "*" else [step]
    else:
        return
    for key in keys:
        if not rest:
            document[key] = value
        elif isinstance(document, list) or key in document:
            _put(document[key], rest, value)


async def _headers(order: FaultBody, exchange: Exchange) -> None:
    answer = await exchange.real()
    answer.headers |= _lower(order.headers)
    answer.headers = {name: value for name, value in answer.headers.items() if value}
    if "status" in order.model_fields_set:
        answer.status = order.status
    await exchange.send(answer)


async def _empty(order: FaultBody, exchange: Exchange) -> None:
    answer = await exchange.real()
    answer.content = b""
    await exchange.send(Answer(answer.status, answer.headers | {"content-length": "0"}))


async def _half(order: FaultBody, exchange: Exchange) -> None:
    answer = await exchange.real()
    content = answer.content[: len(answer.content) // 2]
    await exchange.send(Answer(answer.status, answer.headers | {"content-length": str(len(content))}, content))


def _half_and_closed(version: str, *, announced: bool) -> Callable[[FaultBody, Exchange], Awaitable[None]]:
    async def act(order: FaultBody, exchange: Exchange) -> None:
        answer = await exchange.real()
        length = len(answer.content) if announced else None
        head = exchange.head_of(answer, length=length, version=version)
        exchange.write(head + answer.content[: len(answer.content) // 2])
        await exchange.close()

    return act


async def _gzip_cut(order: FaultBody, exchange: Exchange) -> None:
    answer = await exchange.real()
    packed = gzip.compress(answer.content)
    packed = packed[: max(1, len(packed) - 16)]  # without the checksum and at least some of the data
    headers = answer.headers | {"content-encoding": "gzip", "content-length": str(len(packed))}
    await exchange.send(Answer(answer.status, headers, packed))


async def _other_etag(order: FaultBody, exchange: Exchange) -> None:
    answer = await exchange.real()
    answer.headers["etag"] = '"another"'
    await exchange.send(answer)


def _status(order: FaultBody) -> int:
    """Return the status of an answer that is a success unless the order has another."""
    return order.status if "status" in order.model_fields_set else 200


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


MISBEHAVIOURS: Mapping[str, Misbehaviour] = {
    "answer": Misbehaviour(_answer),
    "refuse": Misbehaviour(_refuse),
    "delay": Misbehaviour(_delay),
    "hang": Misbehaviour(_hang),
    "drop": Misbehaviour(_drop),
    "reset": Misbehaviour(_reset),
    "cut": Misbehaviour(_cut(Exchange.close)),
    "cut_reset": Misbehaviour(_cut(_cut_reset_end)),
    "trickle": Misbehaviour(_trickle, may_be_late=False),
    "bomb": Misbehaviour(_bomb),
    "rows": Misbehaviour(_rows),
    "edit": Misbehaviour(_edit),
    "headers": Misbehaviour(_headers),
    "empty": Misbehaviour(_empty),
    "half": Misbehaviour(_half),
    "half_short": Misbehaviour(_half_and_closed("1.1", announced=True)),
    "http10_cut": Misbehaviour(_half_and_closed("1.0", announced=False)),
    "gzip_cut": Misbehaviour(_gzip_cut),
    "other_etag": Misbehaviour(_other_etag),
}
