"""The built-in HTTP server."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import processes
import pytest

from mistral.exceptions import ConfigurationError
from mistral.service.http.lanes import Lanes
from mistral.service.http.options import HttpOptions, TlsFiles
from mistral.service.http.server import HttpServer

PATIENCE = 10.0


class App:
    def __init__(self) -> None:
        self.entered = threading.Event()
        self.gate = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/wait":
            self.entered.set()
            self.gate.wait(PATIENCE)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def server(app: App) -> Iterator[HttpServer]:
    server = make(app)
    server.start()
    yield server
    app.gate.set()
    server.stop()


def make(app: Any, **options: Any) -> HttpServer:
    options = {"port": 0, "grace": 5, **options}
    return HttpServer(app, HttpOptions(**options), Lanes({"all": 2}, lambda *_: "all"))


def connect(server: HttpServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*server.address, timeout=PATIENCE)


def test_one_connection_serves_many_requests(server: HttpServer) -> None:
    connection = connect(server)
    connection.connect()
    local = connection.sock.getsockname()
    for _ in range(5):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
        assert connection.sock.getsockname() == local
    connection.close()


def test_answers_do_not_wait_for_acknowledgements(server: HttpServer) -> None:
    """A client acknowledges the head of an answer only 40 ms later, unless the body comes, too."""
    connection = connect(server)
    taken = []
    for _ in range(20):
        began = time.monotonic()
        connection.request("GET", "/")
        connection.getresponse().read()
        taken.append(time.monotonic() - began)
    connection.close()
    assert min(taken[5:]) < 0.03


def test_more_idle_connections_than_threads(server: HttpServer) -> None:
    connections = [connect(server) for _ in range(30)]
    for _ in range(2):
        for connection in connections:
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"ok"
    for connection in connections:
        connection.close()


def test_a_graceful_stop_lets_a_request_end(server: HttpServer, app: App) -> None:
    connection = connect(server)
    connection.request("GET", "/wait")
    assert app.entered.wait(PATIENCE)
    stopping = threading.Thread(target=server.stop, kwargs={"graceful": True})
    stopping.start()
    app.gate.set()
    assert connection.getresponse().read() == b"ok"
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    connection.close()


def test_a_graceful_stop_breaks_no_connection(server: HttpServer, app: App) -> None:
    """Neither one that waits to be accepted nor an idle one whose client is about to go on."""
    idle = connect(server)
    idle.request("GET", "/")
    assert idle.getresponse().read() == b"ok"
    busy = [connect(server) for _ in range(2)]
    for connection in busy:
        connection.request("GET", "/wait")
    assert app.entered.wait(PATIENCE)
    # from now on nobody accepts
    asleep, awake = threading.Event(), threading.Event()
    server._loop.call_soon_threadsafe(lambda: (asleep.set(), awake.wait(PATIENCE)))
    assert asleep.wait(PATIENCE)
    waiting = [connect(server) for _ in range(20)]
    for connection in waiting:
        connection.request("GET", "/")
    stopping = threading.Thread(target=server.stop, kwargs={"graceful": True})
    stopping.start()
    awake.set()
    processes.wait_until(lambda: _refuses(server), "nobody listens", PATIENCE)
    idle.request("GET", "/")
    app.gate.set()
    for connection in [*busy, *waiting, idle]:
        answer = connection.getresponse()
        assert answer.read() == b"ok"
        connection.close()
    assert answer.getheader("Connection") == "close"
    stopping.join(PATIENCE)
    assert not stopping.is_alive()


def _refuses(server: HttpServer) -> bool:
    try:
        connect(server).connect()
    except ConnectionRefusedError:
        return True
    return False


def test_a_request_without_end_does_not_hold_up_a_stop(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    server = make(app, grace=0.3)
    server.start()
    connection = connect(server)
    connection.request("GET", "/wait")
    assert app.entered.wait(PATIENCE)
    stopping = threading.Thread(target=server.stop, kwargs={"graceful": True})
    stopping.start()
    stopping.join(PATIENCE / 2)
    assert not stopping.is_alive()
    app.gate.set()
    with pytest.raises(OSError):
        connection.getresponse()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_an_address_in_use_is_a_configuration_error(server: HttpServer, app: App) -> None:
    second = make(app, port=server.address[1])
    with pytest.raises(ConfigurationError, match="Can't listen on 127.0.0.1:"):
        second.start()
    second.stop()


def test_bad_certificates_are_a_configuration_error(app: App, tmp_path: Any) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    files = TlsFiles(str(tmp_path / "x.pem"), str(tmp_path / "x.pem"))
    with pytest.raises(ConfigurationError, match="ssl"):
        make(app, tls=files)


@pytest.mark.parametrize("said", [b"", b"GET / HT"], ids=["nothing", "half a request"])
def test_silent_clients_do_not_hold_up_a_stop(server: HttpServer, app: App, said: bytes) -> None:
    with socket.create_connection(server.address) as silent:
        silent.sendall(said)
        connection = connect(server)
        connection.request("GET", "/")
        connection.getresponse().read()
        connection.close()
        stopping = threading.Thread(target=server.stop, kwargs={"graceful": True})
        stopping.start()
        stopping.join(PATIENCE / 3)
        assert not stopping.is_alive()
