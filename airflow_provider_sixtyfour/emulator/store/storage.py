"""
The storage host: serves result files to whoever holds a signed link.

Invariant: bytes leave only for a link that is good at the time of asking, and a range is cut from the very file that
the ETag names. The body is streamed; no file is held in memory.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from airflow_provider_sixtyfour.emulator import errors
from airflow_provider_sixtyfour.emulator.config import Options
from airflow_provider_sixtyfour.emulator.engine import synthetic_file
from airflow_provider_sixtyfour.emulator.store.results import CONTENT_TYPES, ResultFile
from airflow_provider_sixtyfour.emulator.store.signed_urls import PREFIX, SignedUrls

_CHUNK = 1 << 18  # bytes


class Storage:
    """An ASGI application that knows files by the path of their link."""

    def __init__(self, options: Options, links: SignedUrls) -> None:
        self._options = options
        self._links = links
        self._files: dict[str, tuple[ResultFile, float]] = {}

    def link(self, job_id: str, number: int, file: ResultFile, now: float) -> str:
        """Publish a file and return a fresh link without its origin, which shows nothing of the file's name."""
        path = f"{PREFIX}{job_id}/{number}.{file.format}"
        self._files.setdefault(path, (file, now))
        return self._links.sign(path, now + self._options.link_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a download."""
        scope["emulator.route"] = f"{PREFIX}{{file}}"
        try:
            file, changed_at = self._find(scope)
        except errors.ApiError as error:
            await error.response(older=True)(scope, receive, send)
            return
        headers = self._headers(scope["path"], file, changed_at)
        asked = {name.lower().decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        span: tuple[int, int] | None = None
        if self._options.ranges and "range" in asked and self._still_same(asked.get("if-range"), headers):
            span = _span(asked["range"], file.size)
            if span is not None and span[0] >= span[1]:
                headers |= {"content-range": f"bytes */{file.size}", "content-length": "0"}
                await Response(status_code=416, headers=headers)(scope, receive, send)
                return
        start, stop = span or (0, file.size)
        headers["content-length"] = str(stop - start)
        if span:
            headers["content-range"] = f"bytes {start}-{stop - 1}/{file.size}"
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 206 if span else 200, "headers": raw})
        for chunk in _read(file, start, stop):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _find(self, scope: Scope) -> tuple[ResultFile, float]:
        if scope["method"] != "GET":
            raise errors.titled(405, "MethodNotAllowed", "Files can only be read", {"Allow": "GET"})
        self._links.check(scope["path"], scope["query_string"].decode("latin-1"), time.time())
        found = self._files.get(scope["path"])
        if found is None:
            raise errors.titled(404, "NoSuchKey", "There is no such file")
        return found

    def _headers(self, path: str, file: ResultFile, changed_at: float) -> dict[str, str]:
        headers = {
            "content-type": CONTENT_TYPES[file.format],
            "accept-ranges": "bytes" if self._options.ranges else "none",
            "last-modified": formatdate(changed_at, usegmt=True),
        }
        if self._options.etags:
            headers["etag"] = f'"{hashlib.blake2b(f"{path} {file.size}".encode(), digest_size=16).hexdigest()}"'
        return headers

    @staticmethod
    def _still_same(condition: str | None, headers: dict[str, str]) -> bool:
        """Return whether an If-Range, if there is one, names the file as it is."""
        if condition is None:
            return True
        if condition.startswith(('"', "W/")):
            return condition == headers.get("etag")
        try:
            return parsedate_to_datetime(condition) == parsedate_to_datetime(headers["last-modified"])
        except ValueError:
            return False


def _span(header: str, size: int) -> tuple[int, int] | None:
    """Return the first byte asked for and the one after the last; None for what is to be ignored (RFC 9110)."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header.strip())
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        return max(0, size - int(last)), size
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _read(file: ResultFile, start: int, stop: int) -> Iterator[bytes]:
    return _from_disk(file.path, start, stop) if file.path else synthetic_file.content(file.size, start, stop)


def _from_disk(path: Path, start: int, stop: int) -> Iterator[bytes]:
    with path.open("rb") as content:
        content.seek(start)
        while start < stop and (chunk := content.read(min(_CHUNK, stop - start))):
            start += len(chunk)
            yield chunk
