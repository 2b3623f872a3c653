"""The built-in server around any application, and clients that say exactly what a test wants."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
from collections.abc import Iterator
from typing import Any

from mistral.service.http.lanes import Lanes
from mistral.service.http.options import Bounds, HttpOptions
from mistral.service.http.server import HttpServer

PATIENCE = 10.0
WORKERS = 2


class Echo:
    """Answers what it was asked; ``/wait`` waits for the test, ``/big`` is five MiB."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.asked: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path = environ["PATH_INFO"]
        self.asked.append(f"{environ['REQUEST_METHOD']} {path}")
        if path == "/wait":
            self.entered.release()
            assert self.gate.wait(PATIENCE)
        body = environ["wsgi.input"].read()
        if path == "/big":
            body = b"x" * (5 << 20)
        if path == "/environ":
            body = repr(sorted((k, v) for k, v in environ.items() if k.isupper())).encode()
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]


def lane(_method: str, path: str) -> str:
    """Paths below ``/other`` have workers of their own."""
    return "other" if path.startswith("/other") else "usual"


def make_server(app: Any, bounds: Bounds | None = None, **options: Any) -> HttpServer:
    """A server on a free port, with two workers and one for others."""
    options = {"port": 0, "grace": 5, "bounds": bounds or Bounds(), **options}
    return HttpServer(app, HttpOptions(**options), Lanes({"usual": WORKERS, "other": 1}, lane))


@contextlib.contextmanager
def served(app: Any, bounds: Bounds | None = None, **options: Any) -> Iterator[HttpServer]:
    """The same, started."""
    server = make_server(app, bounds, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Kept:
    """What http.client takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def makefile(self, _mode: str) -> io.BytesIO:
        return self._file


def talk(server: HttpServer, said: bytes, then_silent: bool = True) -> bytes:
    """Say something and hear everything until the server closes the connection."""
    with socket.create_connection(server.address, timeout=PATIENCE) as client:
        client.sendall(said)
        if not then_silent:
            client.shutdown(socket.SHUT_WR)
        return hear(client)


def hear(client: socket.socket) -> bytes:
    """Everything until the end; a reset is one, too."""
    heard = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65536):
            heard += part
    return heard


def parsed(heard: bytes, method: str = "GET") -> http.client.HTTPResponse:
    """One answer; its body can be read."""
    answer = http.client.HTTPResponse(_Kept(heard), method=method)  # type: ignore[arg-type]
    answer.begin()
    return answer
