"""Clients that are slow, silent or many: the others don't notice."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest

from mistral.exceptions import ConfigurationError
from mistral.service.http.connections import Connections
from mistral.service.http.options import Bounds, TlsFiles
from mistral.service.http.server import HttpServer
from tests.lib.raw_http import PATIENCE, WORKERS, Echo, hear, parsed, served, talk
from tests.lib.tls_proxy import make_certificate

MANY = 300
GET = b"GET / HTTP/1.1\r\nHost: x\r\n"
ASK = GET + b"Connection: close\r\n\r\n"
SLOW_HEAD = GET + b"X: a"
SLOW_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc"
SLOW_CHUNKS = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"


@pytest.fixture
def app() -> Iterator[Echo]:
    found = Echo()
    yield found
    found.gate.set()


@pytest.fixture
def clients() -> Iterator[Callable[..., list[socket.socket]]]:
    """Opens many connections that say the same."""
    with contextlib.ExitStack() as opened:

        def open_them(server: HttpServer, count: int, said: bytes) -> list[socket.socket]:
            found = []
            for _ in range(count):
                one = opened.enter_context(socket.create_connection(server.address, PATIENCE))
                one.sendall(said)
                found.append(one)
            return found

        yield open_them


def _fastest(server: HttpServer) -> float:
    """Seconds of a request, the least of some: what else the machine does isn't ours."""

    def once() -> float:
        began = time.monotonic()
        assert parsed(talk(server, ASK)).status == 200
        return time.monotonic() - began

    return min(once() for _ in range(30))


@pytest.mark.parametrize("said", [b"", SLOW_HEAD, SLOW_BODY, SLOW_CHUNKS, GET + b"\r\n"])
def test_many_slow_clients_hold_nobody_up(
    app: Echo, clients: Callable[..., object], said: bytes
) -> None:
    with served(app) as server:
        alone = _fastest(server)
        clients(server, MANY, said)
        assert _fastest(server) < 2 * alone + 0.002


def test_clients_that_do_not_read_hold_nobody_up(
    app: Echo, clients: Callable[..., list[socket.socket]]
) -> None:
    with served(app, Bounds(send_timeout=1)) as server:
        deaf = clients(server, 4 * WORKERS, b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert parsed(talk(server, ASK)).status == 200
        processes.wait_until(lambda: not len(server._connections), "they are given up", PATIENCE)
        assert len(hear(deaf[0])) < 5 << 20


@pytest.mark.parametrize(
    ("said", "status"), [(b"", None), (SLOW_HEAD, 408), (SLOW_BODY, 408), (SLOW_CHUNKS, 408)]
)
def test_deadlines(app: Echo, said: bytes, status: int | None) -> None:
    with served(app, Bounds(header_timeout=0.3, body_timeout=0.3)) as server:
        began = time.monotonic()
        heard = talk(server, said)
        assert 0.2 < time.monotonic() - began < PATIENCE / 2
    if status is None:
        assert heard == b""
        return
    answer = parsed(heard)
    assert answer.status == status
    assert "[api] " in json.loads(answer.read())["faultstring"]
    assert app.asked == []


def test_dripping_does_not_move_a_deadline(app: Echo) -> None:
    with (
        served(app, Bounds(header_timeout=0.5)) as server,
        socket.create_connection(server.address, PATIENCE) as client,
    ):
        began = time.monotonic()
        client.sendall(GET)
        with contextlib.suppress(OSError):
            while time.monotonic() - began < PATIENCE:
                client.sendall(b"X: a\r\n")
                time.sleep(0.05)
        assert time.monotonic() - began < PATIENCE / 2


def test_idle_connections_end(app: Echo, clients: Callable[..., list[socket.socket]]) -> None:
    with served(app, Bounds(idle_timeout=0.3)) as server:
        (client,) = clients(server, 1, GET + b"\r\n")
        assert parsed(hear(client)).status == 200


def test_who_waits_longest_gives_place(
    app: Echo, clients: Callable[..., list[socket.socket]]
) -> None:
    with served(app, Bounds(connections=5)) as server:
        (busy,) = clients(server, 1, b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.entered.acquire(timeout=PATIENCE)
        silent = clients(server, 4, SLOW_HEAD)
        for _ in range(3):
            assert parsed(talk(server, ASK)).status == 200
        assert hear(silent[0]) == b""
        app.gate.set()
        assert busy.recv(1000).startswith(b"HTTP/1.1 200")


def test_who_gives_place_at_once_is_closed_at_once(
    app: Echo, clients: Callable[..., list[socket.socket]]
) -> None:
    """Many may come together, and be given up before anything else was done for them."""
    come = threading.Event()
    gc.disable()
    try:
        with served(app, Bounds(connections=2)) as server:
            server._loop.call_soon_threadsafe(come.wait, PATIENCE)
            early = clients(server, 20, b"")
            come.set()
            assert parsed(talk(server, ASK)).status == 200
            assert [hear(client) for client in early[:18]] == [b""] * 18
    finally:
        gc.enable()


def test_requests_that_are_handled_are_never_given_up(
    app: Echo, clients: Callable[..., list[socket.socket]]
) -> None:
    with served(app, Bounds(connections=3, unbounded_addresses=())) as server:
        busy = clients(server, 3, b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(WORKERS):
            assert app.entered.acquire(timeout=PATIENCE)
        places = server._connections
        processes.wait_until(
            lambda: len(places) == 3 and not places.waiting, "all have come", PATIENCE
        )
        answer = parsed(talk(server, b""))
        assert answer.status == 503
        assert int(answer.getheader("Retry-After") or 0) > 0
        app.gate.set()
        for client in busy:
            assert client.recv(1000).startswith(b"HTTP/1.1 200")


def _addresses(bounds: Bounds, *addresses: str) -> list[str]:
    """Which of these newcomers, none of whom says anything, are given up or sent away."""
    closed: list[str] = []
    connections = Connections(bounds)
    for number, address in enumerate(addresses):
        name = f"{address}#{number}"
        if connections.add(address, lambda name=name: closed.append(name)) is None:
            closed.append(name)
    return closed


def test_an_address_takes_nothing_from_others() -> None:
    bounds = Bounds(connections=9, connections_per_address=2, unbounded_addresses=("10.0.0.0/8",))
    assert _addresses(bounds, "1.1.1.1", "2.2.2.2", "1.1.1.1", "1.1.1.1") == ["1.1.1.1#0"]
    assert _addresses(bounds, *["10.1.1.1"] * 5) == []
    assert _addresses(bounds, *["::ffff:10.1.1.1"] * 5) == []
    assert _addresses(bounds, *["fe80::1%eth0"] * 3) == ["fe80::1%eth0#0"]


def test_a_network_that_is_none_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="unbounded_addresses"):
        Connections(Bounds(unbounded_addresses=("localhost",)))


def test_a_full_lane_holds_up_no_other(
    app: Echo, clients: Callable[..., list[socket.socket]]
) -> None:
    with served(app, Bounds(queue_timeout=0.5)) as server:
        clients(server, WORKERS, b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(WORKERS):
            assert app.entered.acquire(timeout=PATIENCE)
        other = b"GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        assert parsed(talk(server, other)).status == 200
        began = time.monotonic()
        answer = parsed(talk(server, ASK))
        assert 0.4 < time.monotonic() - began < PATIENCE / 2
        assert (answer.status, "engine_timeout" in answer.read().decode()) == (503, True)
        assert int(answer.getheader("Retry-After") or 0) > 0
        assert "GET /" not in app.asked


def test_a_queue_has_no_length(app: Echo, clients: Callable[..., list[socket.socket]]) -> None:
    with served(app) as server:
        waiting = clients(
            server, 150, b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        app.gate.set()
        assert {parsed(hear(client)).status for client in waiting} == {200}


def test_large_bodies_have_a_bound_together(
    app: Echo, clients: Callable[..., list[socket.socket]]
) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with served(app, Bounds(body_memory=500_000)) as server:
        clients(server, 2, head % 300_000 + b"a" * 249_000)
        processes.wait_until(
            lambda: server._gateway._buffered > 490_000, "they have come", PATIENCE
        )
        answer = parsed(talk(server, head % 200_000 + b"a" * 200_000))
        assert (answer.status, "max_buffered_mb" in answer.read().decode()) == (503, True)
        assert parsed(talk(server, head % 50_000 + b"a" * 50_000)).status == 200
    assert server._gateway._buffered == 0


def test_what_the_application_does_not_expect(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_environ: object, _start: object) -> list[bytes]:
        raise RuntimeError("no")

    with served(broken) as server:
        answer = parsed(talk(server, ASK))
    assert (answer.status, b"RuntimeError" in answer.read()) == (500, False)
    assert "RuntimeError: no" in caplog.text


@contextlib.contextmanager
def _all_files() -> Iterator[list[int]]:
    files: list[int] = []
    with contextlib.suppress(OSError):
        while True:
            files.append(os.dup(0))
    yield files
    for file in files:
        os.close(file)


def test_where_files_run_out_the_silent_give_place(
    app: Echo, clients: Callable[..., list[socket.socket]]
) -> None:
    with served(app) as server:
        silent = clients(server, 3, SLOW_HEAD)
        processes.wait_until(lambda: len(server._connections) == 3, "they are here", PATIENCE)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        used = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 8, limits[1]))
        try:
            with _all_files() as files:
                # one for the client, none for the server
                os.close(files.pop())
                heard = talk(server, ASK)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert parsed(heard).status == 200
        assert hear(silent[0]) == b""


# TLS


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    certificate, key = make_certificate(tmp_path)
    return TlsFiles(str(certificate), str(key), str(certificate))


def _secured(server: HttpServer, tls: TlsFiles, shown: bool = True) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=tls.certificate)
    if shown:
        context.load_cert_chain(tls.certificate, tls.key)
    plain = socket.create_connection(server.address, PATIENCE)
    return context.wrap_socket(plain, server_hostname="127.0.0.1")


def test_tls_with_certificates_of_clients(app: Echo, tls: TlsFiles) -> None:
    with served(app, tls=tls) as server:
        with _secured(server, tls) as client:
            client.sendall(b"GET /environ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert parsed(hear(client)).status == 200
        with contextlib.suppress(OSError), _secured(server, tls, shown=False) as client:
            client.sendall(ASK)
            assert hear(client) == b""
        assert app.asked == ["GET /environ"]
        # whoever speaks plainly is not understood
        assert b"HTTP/1.1 2" not in talk(server, ASK)


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_silence_before_a_handshake(
    app: Echo, tls: TlsFiles, clients: Callable[..., list[socket.socket]], said: bytes
) -> None:
    with served(app, Bounds(header_timeout=0.5, connections=50), tls=tls) as server:
        clients(server, 60, said)
        with _secured(server, tls) as client:
            client.sendall(ASK)
            assert parsed(hear(client)).status == 200
        assert len(server._connections) <= 50
        processes.wait_until(lambda: not len(server._connections), "they are gone", PATIENCE)


def test_a_stop_with_tls_answers_who_has_got_through(
    app: Echo, tls: TlsFiles, clients: Callable[..., list[socket.socket]]
) -> None:
    with served(app, tls=tls) as server, _secured(server, tls) as client:
        clients(server, 3, b"")
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert app.entered.acquire(timeout=PATIENCE)
        stopping = threading.Thread(target=server.stop, kwargs={"graceful": True})
        stopping.start()
        time.sleep(0.1)
        app.gate.set()
        assert parsed(hear(client)).status == 200
        stopping.join(PATIENCE)
        assert not stopping.is_alive()
