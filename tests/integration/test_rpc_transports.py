"""What every transport does: the same tests in this process, through RabbitMQ and through Redis."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amqp
import kombu
import pytest
import services

from mistral import config, exceptions
from mistral.context import RequestContext
from mistral.rpc.base import RPCClient, RPCServer, Transport
from mistral.rpc.plugins import create_transport

PATIENCE = 30.0


class Endpoint:
    """Records what arrives."""

    def __init__(self, name: str = "one") -> None:
        self.name = name
        self.seen: list[tuple[dict[str, Any], Any]] = []
        self.arrived = threading.Condition()
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)

    def echo(self, rpc_ctx: dict[str, Any], value: Any) -> Any:
        with self.arrived:
            self.seen.append((rpc_ctx, value))
            self.arrived.notify_all()
        return value

    def who(self, rpc_ctx: dict[str, Any]) -> str:
        return self.name

    def block(self, rpc_ctx: dict[str, Any]) -> str:
        self.entered.release()
        self.gate.wait(PATIENCE)
        return "done"

    def refuse(self, rpc_ctx: dict[str, Any]) -> None:
        raise exceptions.ResultConflictException("Another result: 7 against 8")

    def break_down(self, rpc_ctx: dict[str, Any]) -> None:
        raise ZeroDivisionError("password=secret")

    def unspeakable(self, rpc_ctx: dict[str, Any]) -> Any:
        return object()

    def stop(self, graceful: bool = False) -> str:
        return "stopped"

    def _hidden(self, rpc_ctx: dict[str, Any]) -> str:
        return "hidden"

    def wait_for(self, count: int) -> list[Any]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.seen) >= count, PATIENCE)
        return [value for _, value in self.seen]


class World:
    """A transport for a whole module: connecting takes longer than most tests.

    Stopping a server of oslo.messaging takes a second or two; they stop side by side, and only
    the end waits for them.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._stopping: list[threading.Thread] = []

    def stop(self, server: RPCServer) -> None:
        thread = threading.Thread(target=server.stop)
        thread.start()
        self._stopping.append(thread)

    def close(self) -> None:
        for thread in self._stopping:
            thread.join(PATIENCE)
        self.transport.close()


#: rpc_implementation, and the service that it talks to.
KINDS = {
    "local": ("oslo", None),
    "oslo": ("oslo", "rabbitmq"),
    "kombu-rabbitmq": ("kombu", "rabbitmq"),
    "kombu-redis": ("kombu", "redis"),
}


def make_transport(
    directory: Path, implementation: str, url: str, exchange: str, options: str
) -> Transport:
    """A transport; ``options`` are those of ``[oslo_messaging_rabbit]``."""
    path = directory / "mistral.conf"
    path.write_text(
        f"[DEFAULT]\nrpc_implementation = {implementation}\ntransport_url = {url}\n"
        f"control_exchange = {exchange}\ngraceful_shutdown_timeout = 5\n"
        f"rpc_response_timeout = {int(PATIENCE)}\n[oslo_messaging_rabbit]\n{options}\n"
    )
    return create_transport(config.load(["--config-file", str(path)], environ={}))


@pytest.fixture(params=KINDS, scope="module")
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    implementation, kind = KINDS[request.param]
    service = request.getfixturevalue(kind) if kind else None
    exchange = f"mistral_test_{secrets.token_hex(6)}"
    # the queues go with their last consumer: nothing is left in a shared broker
    transport = make_transport(
        tmp_path_factory.mktemp("transport"),
        implementation,
        service.url if service else "fake:/",
        exchange,
        "amqp_auto_delete = true",
    )
    with service.forgotten_names(exchange) if service else contextlib.nullcontext():
        world = World(transport)
        yield world
        world.close()


@pytest.fixture(scope="module")
def oslo(
    rabbitmq: services.Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Transport]:
    """oslo.messaging on RabbitMQ, apart from the other transports."""
    exchange = f"mistral_test_{secrets.token_hex(6)}"
    directory = tmp_path_factory.mktemp("oslo")
    with rabbitmq.forgotten_names(exchange):
        world = World(
            make_transport(directory, "oslo", rabbitmq.url, exchange, "amqp_auto_delete = true")
        )
        yield world.transport
        world.close()


@pytest.fixture
def transport(world: World) -> Transport:
    return world.transport


@pytest.fixture
def topic(unique_suffix: str) -> str:
    return f"topic{unique_suffix}"


Serve = Callable[..., RPCServer]


@pytest.fixture
def serve(world: World, topic: str) -> Iterator[Serve]:
    servers: list[RPCServer] = []

    def start(endpoint: object, host: str = "host1", threads: int = 4) -> RPCServer:
        server = world.transport.server(topic, host, endpoint, threads)
        server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        world.stop(server)


@pytest.fixture
def endpoint(serve: Serve) -> Endpoint:
    endpoint = Endpoint()
    serve(endpoint)
    return endpoint


@pytest.fixture
def client(transport: Transport, topic: str) -> RPCClient:
    return transport.client(topic)


@pytest.mark.parametrize(
    "value",
    [
        None,
        3,
        2**70,
        "ünï\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
        'q"\\',
        [1, {"a": None}],
        {"big": 'x"' * 100_000},
    ],
    ids=["null", "int", "bigint", "unicode", "quotes", "nested", "large"],
)
def test_values_pass_unchanged(endpoint: Endpoint, client: RPCClient, value: Any) -> None:
    assert client.call("echo", None, value=value) == value


def test_context_arrives(endpoint: Endpoint, client: RPCClient) -> None:
    client.call("echo", RequestContext(project_id="p1", roles=("admin",)), value=1)
    received = RequestContext.from_dict(endpoint.seen[0][0])
    assert (received.project_id, received.roles) == ("p1", ("admin",))
    assert received.deadline is not None and received.deadline > time.time()


def test_nobody_shares_objects(endpoint: Endpoint, client: RPCClient) -> None:
    sent = {"list": [1]}
    answer = client.call("echo", None, value=sent)
    sent["list"].append(2)
    assert answer == endpoint.seen[0][1] == {"list": [1]}
    assert answer is not endpoint.seen[0][1]


def test_cast_arrives_and_has_no_deadline(endpoint: Endpoint, client: RPCClient) -> None:
    client.cast("echo", RequestContext(deadline=1.0), value="ding")
    assert endpoint.wait_for(1) == ["ding"]
    assert "deadline" not in endpoint.seen[0][0]


def test_errors_keep_their_class_and_text(endpoint: Endpoint, client: RPCClient) -> None:
    with pytest.raises(exceptions.ResultConflictException, match="^Another result: 7 against 8$"):
        client.call("refuse", None)


def test_an_unforeseen_error_is_answered_without_its_text(
    endpoint: Endpoint, client: RPCClient
) -> None:
    with pytest.raises(exceptions.MistralException) as caught:
        client.call("break_down", None)
    assert str(caught.value) == "Internal error in break_down: ZeroDivisionError"
    assert client.call("who", None) == "one"


def test_an_answer_that_is_no_json_is_an_error(endpoint: Endpoint, client: RPCClient) -> None:
    with pytest.raises(exceptions.MistralException, match="Internal error in unspeakable"):
        client.call("unspeakable", None)


@pytest.mark.parametrize("method", ["stop", "_hidden", "wait_for", "nothing"])
def test_only_remote_methods_can_be_called(
    endpoint: Endpoint, client: RPCClient, method: str
) -> None:
    with pytest.raises(exceptions.RPCException, match="no remote method"):
        client.call(method, None)


def test_a_silent_server_is_a_timeout(endpoint: Endpoint, client: RPCClient) -> None:
    with pytest.raises(exceptions.RPCException, match="No answer to 'block'"):
        client.call("block", None, timeout=0.3)
    endpoint.gate.set()


def test_an_expired_call_is_dropped(serve: Serve, transport: Transport, topic: str) -> None:
    endpoint = Endpoint()
    serve(endpoint, threads=1)
    client = transport.client(topic)
    blocked = threading.Thread(target=client.call, args=("block", None))
    blocked.start()
    assert endpoint.entered.acquire(timeout=PATIENCE)
    with pytest.raises(exceptions.RPCException):
        client.call("echo", None, timeout=0.3, value="too late")
    endpoint.gate.set()
    blocked.join(PATIENCE)
    assert client.call("echo", None, value="in time") == "in time"
    assert [value for _, value in endpoint.seen] == ["in time"]


def test_target_addresses_one_server(serve: Serve, client: RPCClient) -> None:
    serve(Endpoint("one"), host="host1")
    serve(Endpoint("two"), host="host2")
    for _ in range(3):
        assert client.call("who", None, target="host1") == "one"
        assert client.call("who", None, target="host2") == "two"


def test_a_call_to_a_server_that_never_was_fails_at_once(
    endpoint: Endpoint, client: RPCClient
) -> None:
    client.call("who", None)
    begun = time.monotonic()
    with pytest.raises(exceptions.RPCException):
        client.call("who", None, target="nowhere")
    assert time.monotonic() - begun < PATIENCE / 2


def test_servers_share_a_topic(serve: Serve, client: RPCClient) -> None:
    endpoints = [Endpoint("one"), Endpoint("two")]
    for number, endpoint in enumerate(endpoints):
        serve(endpoint, host=f"host{number}")
    for number in range(20):
        client.cast("echo", None, value=number)
    deadline = time.monotonic() + PATIENCE
    while sum(len(endpoint.seen) for endpoint in endpoints) < 20:
        with endpoints[0].arrived:
            endpoints[0].arrived.wait(0.05)
        assert time.monotonic() < deadline
    values = [value for endpoint in endpoints for _, value in endpoint.seen]
    assert sorted(values) == list(range(20))


def test_many_threads_use_one_client(endpoint: Endpoint, client: RPCClient) -> None:
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        answers[number] = [client.call("echo", None, value=[number, i]) for i in range(10)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == {n: [[n, i] for i in range(10)] for n in range(12)}


def test_a_graceful_stop_lets_running_work_end(
    serve: Serve, transport: Transport, topic: str
) -> None:
    endpoint = Endpoint()
    server = serve(endpoint)
    client = transport.client(topic)
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(client.call("block", None)))
    caller.start()
    assert endpoint.entered.acquire(timeout=PATIENCE)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    endpoint.gate.set()
    stopping.join(PATIENCE)
    caller.join(PATIENCE)
    assert answers == ["done"]


@pytest.mark.parametrize("implementation", ["oslo", "kombu"])
def test_quorum_queues(implementation: str, rabbitmq_url: str, topic: str, tmp_path: Path) -> None:
    transport = make_transport(
        tmp_path, implementation, rabbitmq_url, f"exchange_{topic}", "rabbit_quorum_queue = true"
    )
    endpoint = Endpoint()
    server = transport.server(topic, "host1", endpoint, 2)
    server.start()
    client = transport.client(topic)
    assert client.call("who", None) == "one"
    assert client.call("who", None, target="host1") == "one"
    client.cast("echo", None, value="ding")
    assert endpoint.wait_for(1) == ["ding"]
    server.stop()
    transport.close()
    with kombu.Connection(rabbitmq_url.replace("rabbit://", "amqp://", 1)) as connection:
        for name in (topic, f"{topic}.host1"):
            with pytest.raises(amqp.PreconditionFailed, match="x-queue-type.*quorum"):
                connection.channel().queue_declare(name, durable=True, auto_delete=False)
            connection.channel().queue_delete(name)
        connection.channel().exchange_delete(f"exchange_{topic}")


@pytest.mark.parametrize("calls_once", [False, True])
def test_what_may_have_arrived_and_must_not_happen_twice_is_sent_again_with_a_mark(
    oslo: Transport, topic: str, monkeypatch: pytest.MonkeyPatch, calls_once: bool
) -> None:
    """The connection breaks between the request and its confirmation."""
    endpoint = Endpoint()
    server = oslo.server(topic, "host1", endpoint, 4)
    server.start()
    client = oslo.client(topic, calls_once=calls_once)
    assert client.call("echo", None, value=1) == 1
    publish, lost = amqp.Channel._basic_publish, []

    def publish_and_lose(self: amqp.Channel, *args: Any, **kwargs: Any) -> Any:
        sent = publish(self, *args, **kwargs)
        if threading.current_thread() is threading.main_thread() and not lost:
            lost.append(1)
            raise ConnectionResetError("before the confirmation")
        return sent

    monkeypatch.setattr(amqp.Channel, "_basic_publish", publish_and_lose)
    assert client.call("echo", None, value=2) == 2
    assert client.call("echo", None, value=3) == 3
    server.stop()
    assert lost
    marks = sorted(ctx.get("redelivered", False) for ctx, value in endpoint.seen if value == 2)
    assert marks == ([False, True] if calls_once else [False])
    assert len({ctx["call_id"] for ctx, value in endpoint.seen if value == 2}) == 1
    assert len({ctx["call_id"] for ctx, value in endpoint.seen}) == 3
    assert [ctx for ctx, value in endpoint.seen if value == 3 and "redelivered" in ctx] == []
