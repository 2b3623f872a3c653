"""Real servers for actions that talk to the outside."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mistral.actions.egress import EgressOptions
from mistral.actions.services import ActionServices


@dataclasses.dataclass
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class HTTPTarget:
    """A third party: answers by path and remembers what arrived."""

    def __init__(self) -> None:
        self.requests: list[Seen] = []
        self.routes: dict[str, Callable[[http.server.BaseHTTPRequestHandler], None]] = {}
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                target.requests.append(
                    Seen(self.command, self.path, dict(self.headers.items()), body)
                )
                path = self.path.partition("?")[0]
                target.routes.get(path, answer_json)(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

            def log_message(self, *args: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """Clients of these tests hang up in the middle on purpose."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def reply(
    status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None
) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """A route that always answers the same."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    return answer


def answer_json(handler: http.server.BaseHTTPRequestHandler) -> None:
    """The route of all other paths."""
    body = json.dumps({"path": handler.path}).encode()
    reply(200, body, {"Content-Type": "application/json"})(handler)


@pytest.fixture
def target() -> Iterator[HTTPTarget]:
    server = HTTPTarget()
    yield server
    server.close()


@pytest.fixture
def other_target() -> Iterator[HTTPTarget]:
    server = HTTPTarget()
    yield server
    server.close()


@pytest.fixture
def respond() -> Any:
    return reply


@pytest.fixture
def open_services() -> ActionServices:
    """Services that may reach this machine."""
    return ActionServices.with_egress(
        EgressOptions(denied_cidrs=(), default_timeout=5, max_response_size=100_000)
    )
