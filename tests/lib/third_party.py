"""A web service as actions meet it: it counts, it makes callers wait, it delivers results."""

from __future__ import annotations

import collections
import contextlib
import http.server
import json
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator

HEADERS = (
    "Mistral-Workflow-Name",
    "Mistral-Workflow-Execution-Id",
    "Mistral-Task-Id",
    "Mistral-Action-Execution-Id",
    "Mistral-Callback-URL",
)
HOLD = 60.0


class ThirdParty(http.server.ThreadingHTTPServer):
    """``/?a=1&b=2`` delivers the sum as the documentation says; any other path is counted.

    Requests below ``/hold`` are answered when :attr:`release` is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.delivered = threading.Event()
        self.release = threading.Event()
        self.counts: collections.Counter[str] = collections.Counter()
        self._guard = threading.Lock()

    @property
    def url(self) -> str:
        """Where it can be reached."""
        return f"http://127.0.0.1:{self.server_port}"

    def count(self, path: str) -> None:
        """One more request."""
        with self._guard:
            self.counts[path] += 1

    def deliver(self, headers: dict[str, str], result: int) -> None:
        """Send a result back."""
        action_id = headers["Mistral-Action-Execution-Id"]
        request = urllib.request.Request(
            f"{headers['Mistral-Callback-URL']}/v2/action-executions/{action_id}",
            data=json.dumps({"state": "SUCCESS", "output": result}).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            self.answers.append(response.status)
        self.delivered.set()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ThirdParty

    def do_GET(self) -> None:
        """Take one request."""
        url = urllib.parse.urlsplit(self.path)
        if url.path != "/":
            self.server.count(url.path)
            if url.path.startswith("/hold"):
                self.server.release.wait(HOLD)
            with contextlib.suppress(OSError):  # the caller may be dead by now
                self._answer(200)
            return
        query = dict(urllib.parse.parse_qsl(url.query))
        self._answer(202)
        headers = {name: self.headers[name] for name in HEADERS if name in self.headers}
        self.server.seen.append(headers)
        self.server.deliver(headers, int(query["a"]) + int(query["b"]))

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Be silent."""


@contextlib.contextmanager
def running() -> Iterator[ThirdParty]:
    """A web service that serves."""
    server = ThirdParty()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
