"""A storage host that holds a download in its middle, or breaks it off: for what the emulator's can't time."""

from __future__ import annotations

import contextlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

PIECE = 256 * 1024  # bytes


class Host:
    """
    Serves one content.

    :param hold_after: bytes after which it sends no more until `release`.
    :param cut_after: for each of the first downloads, the bytes after which its connection is closed.
    :param ranges: whether a part can be asked for.
    """

    def __init__(
        self, content: bytes, *, hold_after: int | None = None, cut_after: tuple[int, ...] = (), ranges: bool = True
    ) -> None:
        self.held = threading.Event()
        self.asked: list[str | None] = []
        self._content = content
        self._hold_after = hold_after
        self._cuts = list(cut_after)
        self._ranges = ranges
        self._released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    outer._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/f?X-Signature=held-5ecret"

    def release(self) -> None:
        """Hold nothing any more."""
        self._hold_after = None
        self._released.set()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range")
        self.asked.append(asked)
        start = 0
        if asked and self._ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
        size = len(self._content)
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if self._ranges:
            handler.send_header("ETag", '"one"')
        handler.send_header("Content-Length", str(size - start))
        handler.end_headers()
        cut_at = self._cuts.pop(0) if self._cuts else None
        position = start
        while position < size:
            if cut_at is not None and position - start >= cut_at:
                return
            if self._hold_after is not None and position >= self._hold_after:
                handler.wfile.flush()
                self.held.set()
                self._released.wait(120)
            handler.wfile.write(self._content[position : position + PIECE])
            position += PIECE

    def __enter__(self) -> Host:
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()
