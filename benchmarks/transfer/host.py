"""
A storage host as fast as this machine: it sends one file from the page cache with ``sendfile``.

``python -m benchmarks.transfer.host FILE`` prints its URL, and ends when its input does.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def serve(path: str) -> ThreadingHTTPServer:
    """Return a server of the file on a free port of 127.0.0.1."""
    size = os.path.getsize(path)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("ETag", '"one"')
            self.send_header("Content-Type", "text/csv")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            self.wfile.flush()
            with open(path, "rb") as file:
                while start < size:
                    start += os.sendfile(self.connection.fileno(), file.fileno(), start, 1 << 20)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    return server


def main() -> None:
    """Serve until the input ends."""
    server = serve(sys.argv[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}/result.csv?X-Signature=benchmark", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
