"""Servers that never come to an end: a request has one deadline and a bound for all it reads."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mistral.actions.egress import EgressGuard, EgressOptions
from mistral.actions.egress_http import EgressHTTP
from mistral.actions.http_actions import HTTPAction
from mistral.actions.lookups import Lookups
from mistral.actions.services import ActionServices
from mistral_lib.actions import ActionContext, ActionException

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TLS_HELLO = b"\x16\x03\x03\x40\x00" + b"\x02\x00\x3f\xfc"

Say = Callable[[Iterable[bytes]], None]


class RawServer:
    """Answers every connection by a script of pieces, with a pause between them."""

    def __init__(self, pause: float, reads: bool = True) -> None:
        self.script: Callable[[], Iterable[bytes]] = lambda: ()
        self.ended = threading.Event()
        self._pause = pause
        self._reads = reads
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _answer(self, connection: socket.socket) -> None:
        # the client hangs up in the middle
        with contextlib.suppress(OSError), connection:
            if not self._reads:
                self._stop.wait(20)
                return
            connection.recv(65536)
            for piece in self.script():
                if self._stop.is_set():
                    return
                connection.sendall(piece)
                if not piece:
                    # nothing is sent that could fail: wait for the client to hang up
                    connection.recv(65536)
                    break
                if self._pause:
                    time.sleep(self._pause)
            connection.recv(1)
        self.ended.set()

    def close(self) -> None:
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def serve() -> Iterator[Any]:
    servers = []

    def make(script: Callable[[], Iterable[bytes]], **how: Any) -> RawServer:
        server = RawServer(**({"pause": 0.02} | how))
        server.script = script
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.close()


def run(url: str, guard: EgressGuard | None = None, **parameters: Any) -> Any:
    options = EgressOptions(denied_cidrs=(), max_response_size=100_000, max_header_size=50_000)
    action = HTTPAction(url, **({"timeout": 0.25} | parameters))
    action.equip(ActionServices(http=EgressHTTP(guard or EgressGuard(options))))
    return action.run(ActionContext())


def endless(start: bytes, piece: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain(filter(None, [start]), itertools.repeat(piece))


@pytest.mark.parametrize(
    "script",
    [
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        endless(b"", b"x"),
        endless(OK, b"X: y\r\n"),
        endless(OK + b"X: ", b"y"),
        endless(OK + b"Content-Length: 90000\r\n\r\n", b"x"),
        endless(OK + b"\r\n", b"x"),
        endless(CHUNKED, b"1\r\nx\r\n"),
        endless(CHUNKED, b"0"),
        endless(CHUNKED + b"1;", b"x"),
        endless(CHUNKED + b"0\r\n", b"X: y\r\n"),
        endless(OK, b""),
    ],
    ids=[
        "continue",
        "status",
        "header",
        "header-line",
        "body",
        "body-without-end",
        "chunks",
        "chunk-size",
        "chunk-extension",
        "trailers",
        "silence",
    ],
)
def test_what_drips_ends_in_time(serve: Any, script: Any) -> None:
    server = serve(script)
    begun = time.monotonic()
    with pytest.raises(ActionException, match="Failed to send HTTP request: .*timed out"):
        run(server.url)
    assert time.monotonic() - begun < 3
    assert server.ended.wait(5), "the connection is still open"


@pytest.mark.parametrize(
    "script",
    [
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
        endless(OK, b"X: " + b"y" * 1000 + b"\r\n"),
        endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
        endless(CHUNKED, b"1" + b";x" * 500 + b"\r\nx\r\n"),
    ],
    ids=["continue", "headers", "trailers", "chunk-extensions"],
)
def test_what_floods_ends_at_once(serve: Any, script: Any) -> None:
    server = serve(script, pause=0)
    with pytest.raises(ActionException, match="headers of the response are larger than 50000"):
        run(server.url, timeout=20)
    assert server.ended.wait(5)


def gzip_without_output() -> Iterable[bytes]:
    yield OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"")[:10]
    while True:
        # blocks of nothing
        yield b"\x00\x00\x00\xff\xff" * 1000


def packed(times: int, size: int) -> Callable[[], Iterable[bytes]]:
    body = b"0" * size
    for _ in range(times):
        body = gzip.compress(body)
    names = b", ".join([b"gzip"] * times)
    head = OK + b"Content-Encoding: %s\r\nContent-Length: %d\r\n\r\n" % (names, len(body))
    return lambda: [head + body]


@pytest.mark.parametrize(
    "script",
    [gzip_without_output, packed(1, 90_000_000), packed(2, 90_000_000), packed(3, 90_000_000)],
    ids=["no-output", "once", "twice", "three-times"],
)
def test_what_unpacks_without_end_ends_at_once(serve: Any, script: Any) -> None:
    server = serve(script, pause=0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ActionException, match="larger than 100000 bytes .*max_response_size"):
        run(server.url, timeout=20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_slow_handshake_ends_in_time(serve: Any) -> None:
    for script in (endless(b"", b""), endless(TLS_HELLO, b"\x00")):
        server = serve(script)
        with pytest.raises(ActionException, match="timed out"):
            run(server.url.replace("http:", "https:"))
        assert server.ended.wait(5)


def test_a_slow_proxy_ends_in_time(serve: Any) -> None:
    server = serve(endless(OK, b"X: y\r\n"))
    with pytest.raises(ActionException, match="timed out"):
        run("https://127.0.0.1:9/", proxies={"https": server.url})
    flood = serve(endless(OK, b"X: y\r\n" * 1000), pause=0)
    with pytest.raises(ActionException, match="headers of the response are larger"):
        run("https://127.0.0.1:9/", proxies={"https": flood.url}, timeout=20)


def test_who_does_not_read_the_request_ends_in_time(serve: Any) -> None:
    server = serve(lambda: [], reads=False)
    with pytest.raises(ActionException, match="timed out"):
        run(server.url, method="POST", body="x" * 30_000_000)


def test_redirects_share_the_time(serve: Any) -> None:
    def slow() -> Iterable[bytes]:
        time.sleep(0.1)
        yield b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    server = serve(slow)
    begun = time.monotonic()
    with pytest.raises(ActionException, match="timed out"):
        run(server.url)
    assert time.monotonic() - begun < 3


def test_a_slow_name_service_ends_in_time() -> None:
    asked = threading.Event()
    done = threading.Event()

    def resolve(host: str, port: int) -> Any:
        asked.set()
        done.wait(20)
        return socket.getaddrinfo("127.0.0.1", port)

    guard = EgressGuard(EgressOptions(denied_cidrs=()), resolve)
    try:
        with pytest.raises(ActionException, match="timed out"):
            run("http://slow.example/", guard)
        assert asked.is_set()
    finally:
        done.set()


def test_names_that_wait_are_bounded_and_addresses_need_no_look() -> None:
    done = threading.Event()

    def resolve(host: str, port: int) -> Any:
        if host == "slow.example":
            done.wait(20)
        return socket.getaddrinfo("127.0.0.1", port)

    lookups = Lookups(resolve, most=1)
    try:
        with pytest.raises(TimeoutError):
            lookups.find("slow.example", 80, 0.05)
        with pytest.raises(TimeoutError, match="too many names"):
            lookups.find("quick.example", 80, 0.05)
        assert lookups.find("127.0.0.1", 80, 0.05)
    finally:
        done.set()
    assert lookups.find("quick.example", 80, 5)


def test_the_operator_has_the_last_word_on_the_time(serve: Any) -> None:
    server = serve(endless(OK, b"X: y\r\n"))
    guard = EgressGuard(EgressOptions(denied_cidrs=(), total_timeout=0.3))
    begun = time.monotonic()
    with pytest.raises(ActionException, match=r"0.3 seconds.*\[action_std_http\].*total_timeout"):
        run(server.url, guard, timeout=0)
    assert time.monotonic() - begun < 2
