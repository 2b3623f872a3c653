"""The kombu transport when connections break, brokers go away and processes die."""

from __future__ import annotations

import functools
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import kombu
import pytest
import services

from mistral import config, exceptions
from mistral.rpc.base import RPCClient, RPCServer, Transport
from mistral.rpc.kombu import payload
from mistral.rpc.kombu.outlets import RabbitOutlet, RedisOutlet, open_outlet
from mistral.rpc.plugins import create_transport
from tests.lib.tcp_proxy import TcpProxy

PATIENCE = 20.0
#: On Redis what a dead process held comes back after twice this.
RESPONSE_TIMEOUT = 2

Connect = Callable[..., Transport]


class Endpoint:
    """Answers, or blocks at its gate."""

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.contexts: list[dict[str, Any]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def who(self, rpc_ctx: dict[str, Any]) -> str:
        self.contexts.append(rpc_ctx)
        self.entered.release()
        self.gate.wait(PATIENCE)
        return self.name

    def wait_entered(self) -> dict[str, Any]:
        assert self.entered.acquire(timeout=PATIENCE)
        return self.contexts[-1]


@pytest.fixture(params=["rabbitmq", "redis"])
def broker(request: pytest.FixtureRequest) -> services.Service:
    found: services.Service = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def broker_url(broker: services.Service) -> str:
    return broker.url


@pytest.fixture
def proxy(broker_url: str) -> Iterator[TcpProxy]:
    parts = urllib.parse.urlsplit(broker_url)
    found = TcpProxy(parts.hostname or "", parts.port or 0)
    yield found
    found.close()


@pytest.fixture
def connect(broker: services.Service) -> Iterator[Connect]:
    """Makes transports that meet each other; ``port`` is another way to the broker."""
    transports: list[Transport] = []
    exchange = f"mistral_test_{secrets.token_hex(6)}"

    def make(port: int | None = None, url: str = broker.url) -> Transport:
        if port is not None:
            parts = urllib.parse.urlsplit(url)
            netloc = parts.netloc.replace(f":{parts.port}", f":{port}")
            url = urllib.parse.urlunsplit(parts._replace(netloc=netloc))
        conf = config.load([], environ={})
        conf.set_override("rpc_implementation", "kombu")
        conf.set_override("transport_url", url)
        conf.set_override("control_exchange", exchange)
        conf.set_override("rpc_response_timeout", RESPONSE_TIMEOUT)
        conf.set_override("graceful_shutdown_timeout", 5)
        conf.set_override("amqp_auto_delete", True, group="oslo_messaging_rabbit")
        transports.append(create_transport(conf))
        return transports[-1]

    with broker.forgotten_names(exchange):
        yield make
        side_by_side(transport.close for transport in transports)


def side_by_side(works: Iterable[Callable[[], None]]) -> None:
    """Ending a connection to Redis takes up to a second."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


@pytest.fixture
def topic(unique_suffix: str) -> str:
    return f"topic{unique_suffix}"


@pytest.fixture
def serve(topic: str) -> Iterator[Callable[..., RPCServer]]:
    servers: list[RPCServer] = []

    def start(transport: Transport, endpoint: Endpoint, host: str = "h", threads: int = 2) -> Any:
        server = transport.server(topic, host, endpoint, threads)
        servers.append(server)
        server.start()
        return server

    yield start
    side_by_side(functools.partial(server.stop, graceful=False) for server in servers)


Serve = Callable[..., RPCServer]


def ask(client: RPCClient, expected: str = "one") -> None:
    """Call until it works: a broken connection may cost a call."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            assert client.call("who", None) == expected
            return
        except exceptions.RPCException:
            assert time.monotonic() < deadline


def test_servers_and_clients_connect_again(
    connect: Connect, serve: Serve, proxy: TcpProxy, topic: str
) -> None:
    transport = connect(proxy.port)
    serve(transport, Endpoint())
    client = transport.client(topic)
    ask(client)
    proxy.cut()
    ask(client)
    ask(client)


def test_a_broken_pipe_costs_the_sender_nothing(
    connect: Connect, serve: Serve, proxy: TcpProxy, topic: str
) -> None:
    endpoint = Endpoint()
    serve(connect(), endpoint)
    client = connect(proxy.port).client(topic)
    client.cast("who", None)
    endpoint.wait_entered()
    for _ in range(3):
        proxy.cut()
        client.cast("who", None)
        endpoint.wait_entered()


def test_who_waits_for_an_answer_is_told_that_it_will_not_come(
    connect: Connect, serve: Serve, proxy: TcpProxy, topic: str
) -> None:
    endpoint = Endpoint()
    endpoint.gate.clear()
    serve(connect(), endpoint)
    client = connect(proxy.port).client(topic)
    errors: list[Exception] = []

    def call() -> None:
        try:
            client.call("who", None, timeout=10 * PATIENCE)
        except exceptions.RPCException as error:
            errors.append(error)

    caller = threading.Thread(target=call, daemon=True)
    caller.start()
    endpoint.wait_entered()
    proxy.cut()
    caller.join(PATIENCE)
    assert "broke before the answer to 'who' came" in str(errors[0])
    endpoint.gate.set()
    ask(client)


def test_a_server_starts_before_its_broker(
    connect: Connect, serve: Serve, proxy: TcpProxy, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral.rpc.kombu.server._START_PATIENCE", 0.1)
    proxy.close()
    transport = connect(proxy.port)
    serve(transport, Endpoint())
    client = transport.client(topic)
    with pytest.raises(exceptions.RPCException, match="not reachable"):
        client.cast("who", None)
    with pytest.raises(exceptions.RPCException, match="not reachable"):
        client.call("who", None, timeout=0.2)
    proxy.open()
    ask(client)


def test_nothing_holds_up_the_end_when_the_broker_is_away(
    connect: Connect, serve: Serve, proxy: TcpProxy, topic: str
) -> None:
    transport = connect(proxy.port)
    server = serve(transport, Endpoint())
    ask(transport.client(topic))
    proxy.close()
    begun = time.monotonic()
    server.stop(graceful=True)
    transport.close()
    assert time.monotonic() - begun < PATIENCE / 2


def test_a_broker_that_hangs_holds_up_nobody(
    connect: Connect, serve: Serve, proxy: TcpProxy, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral.rpc.kombu.receiver._STOP_PATIENCE", 0.2)
    transport = connect(proxy.port)
    server = serve(transport, Endpoint())
    client = transport.client(topic)
    ask(client)
    proxy.freeze()
    begun = time.monotonic()
    for _ in range(2):
        with pytest.raises(exceptions.RPCException):
            client.call("who", None, timeout=0.5)
    assert time.monotonic() - begun < PATIENCE / 2
    proxy.thaw()
    ask(client)
    proxy.freeze()
    begun = time.monotonic()
    server.stop(graceful=True)
    transport.close()
    assert time.monotonic() - begun < PATIENCE


def test_one_of_several_hosts_is_enough(
    connect: Connect, serve: Serve, broker_url: str, proxy: TcpProxy, topic: str
) -> None:
    proxy.close()
    parts = urllib.parse.urlsplit(broker_url)
    dead = parts.netloc.replace(f":{parts.port}", f":{proxy.port}")
    url = urllib.parse.urlunsplit(parts._replace(netloc=f"{dead},{parts.netloc}"))
    transport = connect(url=url)
    serve(transport, Endpoint())
    ask(transport.client(topic))


def test_what_a_dead_process_had_not_finished_comes_back_with_a_mark(
    connect: Connect, serve: Serve, proxy: TcpProxy, topic: str
) -> None:
    dying = Endpoint("dying")
    dying.gate.clear()
    serve(connect(proxy.port), dying, host="h1")
    client = connect().client(topic)
    client.cast("who", None)
    assert "redelivered" not in dying.wait_entered()
    living = Endpoint("living")
    serve(connect(), living, host="h2")
    # for the broker it is the same as a death
    proxy.close()
    assert living.wait_entered()["redelivered"] is True
    dying.gate.set()
    ask(client, "living")


def test_what_may_have_arrived_is_sent_again_with_a_mark(
    connect: Connect, serve: Serve, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose confirmation is lost may be there twice."""
    endpoint = Endpoint()
    serve(connect(), endpoint)
    client = connect().client(topic)
    ask(client)
    assert "redelivered" not in endpoint.wait_entered()
    lost = []

    def losing(send: Callable[..., None]) -> Callable[..., None]:
        def send_and_lose(*args: Any) -> None:
            send(*args)
            if not lost:
                lost.append(1)
                raise ConnectionResetError("the confirmation")

        return send_and_lose

    for kind in (RabbitOutlet, RedisOutlet):
        monkeypatch.setattr(kind, "send", losing(kind.send))
    assert client.call("who", None) == "one"
    endpoint.wait_entered()
    endpoint.wait_entered()
    assert sorted("redelivered" in ctx for ctx in endpoint.contexts[1:]) == [False, True]
    assert len({ctx["call_id"] for ctx in endpoint.contexts[1:]}) == 1
    assert endpoint.contexts[0]["call_id"] != endpoint.contexts[1]["call_id"]
    ask(client)
    assert "redelivered" not in endpoint.wait_entered()


def test_a_server_that_stops_at_once_gives_back_what_it_has(
    connect: Connect, serve: Serve, topic: str
) -> None:
    first, second = Endpoint("first"), Endpoint("second")
    first.gate.clear()
    server = serve(connect(), first, host="h1")
    connect().client(topic).cast("who", None)
    first.wait_entered()
    serve(connect(), second, host="h2")
    server.stop(graceful=False)
    second.wait_entered()
    first.gate.set()


def test_what_was_processed_does_not_come_back(connect: Connect, serve: Serve, topic: str) -> None:
    first, second = Endpoint("first"), Endpoint("second")
    server = serve(connect(), first, host="h1")
    client = connect().client(topic)
    for _ in range(10):
        client.cast("who", None)
        first.wait_entered()
    serve(connect(), second, host="h2")
    server.stop(graceful=True)
    ask(client, "second")
    assert len(first.contexts) == 10
    assert len(second.contexts) == 1


def test_callers_can_not_set_the_mark(connect: Connect, serve: Serve, topic: str) -> None:
    endpoint = Endpoint()
    transport = connect()
    serve(transport, endpoint)

    class Context:
        def to_dict(self) -> dict[str, Any]:
            return {"redelivered": True}

    transport.client(topic).cast("who", Context())  # type: ignore[arg-type]
    assert "redelivered" not in endpoint.wait_entered()


def test_a_busy_server_leaves_work_to_the_others(
    connect: Connect, serve: Serve, topic: str
) -> None:
    busy, free = Endpoint("busy"), Endpoint("free")
    busy.gate.clear()
    serve(connect(), busy, host="h1", threads=1)
    client = connect().client(topic)
    client.cast("who", None)
    busy.wait_entered()
    serve(connect(), free, host="h2", threads=1)
    for _ in range(5):
        assert client.call("who", None) == "free"
    busy.gate.set()


def test_each_thread_gets_a_message_and_no_more(connect: Connect, serve: Serve, topic: str) -> None:
    """Slow ones hold up nobody while there is a free thread, here or elsewhere."""
    threads = 10
    busy, free = Endpoint("busy"), Endpoint("free")
    busy.gate.clear()
    serve(connect(), busy, host="h1", threads=threads)
    client = connect().client(topic)
    for _ in range(threads):
        client.cast("who", None)
    for _ in range(threads):
        busy.wait_entered()
    serve(connect(), free, host="h2")
    for _ in range(5):
        assert client.call("who", None) == "free"
    busy.gate.set()


def test_what_is_no_json_is_refused_and_never_decoded(
    connect: Connect, serve: Serve, broker_url: str, topic: str
) -> None:
    endpoint = Endpoint()
    transport = connect()
    serve(transport, endpoint)
    client = transport.client(topic)
    ask(client)
    exchange = transport._broker.exchange  # type: ignore[attr-defined]
    outlet = open_outlet(transport._broker, PATIENCE)  # type: ignore[attr-defined]
    for body, options in (
        ({"method": "who"}, {"serializer": "pickle"}),
        (payload.request("who", {}, {}, is_cast=True), {"content_type": "x/y"}),
        ({"method": "who", "ctx": {}, "args": {}}, {"serializer": "yaml"}),
        ([1], {"serializer": "json"}),
        (b"\xff\x00", {"content_type": "application/json", "content_encoding": "binary"}),
        # one for each thread
        ({"method": "who", "ctx": {"deadline": "soon"}, "args": {}}, {"serializer": "json"}),
        ({"method": "who", "ctx": {"deadline": "soon"}, "args": {}}, {"serializer": "json"}),
    ):
        producer = kombu.Producer(outlet._channel)
        to = (
            {"routing_key": topic}
            if outlet._broker.is_redis
            else {"exchange": exchange, "routing_key": topic}
        )
        producer.publish(body, **to, **options)
    outlet.close()
    ask(client)
    assert len(endpoint.contexts) == 2
