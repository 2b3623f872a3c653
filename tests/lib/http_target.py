"""A web service that tells what it was asked: what ``std.http`` sends becomes visible."""

from __future__ import annotations

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Iterator

SLOW = 5.0


class _Handler(http.server.BaseHTTPRequestHandler):
    """``/json`` tells the request, ``/text`` is no JSON, ``/status/N`` answers so.

    ``/redirect`` leads to ``/json``; ``/slow`` answers late.
    """

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer a request of any method."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        path = self.path.partition("?")[0]
        if path == "/text":
            self._answer(200, "plain body", "text/plain; charset=utf-8")
        elif path.startswith("/status/"):
            status = int(path.removeprefix("/status/"))
            self._answer(status, json.dumps({"status": status}))
        elif path == "/redirect":
            self._answer(302, "{}", Location="/json")
        else:
            if path == "/slow":
                time.sleep(SLOW)
            self._answer(200, json.dumps(self._told(body)))

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_GET

    def _told(self, body: str) -> dict[str, object]:
        names = sorted(name.lower() for name in self.headers)
        return {
            "method": self.command,
            "path": self.path,
            "body": body,
            "ctype": self.headers.get("Content-Type"),
            "x_probe": self.headers.get("X-Probe"),
            "mistral": [name for name in names if name.startswith("mistral-")],
            "auth": self.headers.get("Authorization"),
        }

    def _answer(
        self, status: int, text: str, kind: str = "application/json", **headers: str
    ) -> None:
        raw = text.encode()
        with contextlib.suppress(OSError):  # the caller may have given up
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(raw)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


@contextlib.contextmanager
def running() -> Iterator[str]:
    """The base URL of a service that serves."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
