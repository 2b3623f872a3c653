"""What only the in-process transport promises."""

from __future__ import annotations

import pytest

from mistral import config, exceptions
from mistral.rpc import local
from mistral.rpc.local import LocalTransport


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def one(self, rpc_ctx: dict) -> int:
        self.count += 1
        return self.count


@pytest.fixture
def transport() -> LocalTransport:
    return LocalTransport(config.load([], environ={}))


def test_messages_wait_for_the_first_server(transport: LocalTransport) -> None:
    client = transport.client("t")
    client.cast("one", None)
    client.cast("one", None)
    server = transport.server("t", "h", Counter(), 1)
    server.start()
    assert client.call("one", None, timeout=5) == 3
    server.stop()


def test_a_full_queue_refuses_instead_of_blocking(
    transport: LocalTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "CAPACITY", 2)
    client = transport.client("t")
    client.cast("one", None)
    client.cast("one", None)
    with pytest.raises(exceptions.RPCException, match="full"):
        client.cast("one", None)


def test_transports_are_separate_worlds(transport: LocalTransport) -> None:
    other = LocalTransport(config.load([], environ={}))
    server = other.server("t", "h", Counter(), 1)
    server.start()
    with pytest.raises(exceptions.RPCException):
        transport.client("t").call("one", None, timeout=0.05)
    server.stop()


def test_work_goes_on_when_one_of_two_servers_stops(transport: LocalTransport) -> None:
    first = transport.server("t", "h1", Counter(), 2)
    second = transport.server("t", "h2", Counter(), 2)
    first.start()
    second.start()
    first.stop()
    client = transport.client("t")
    assert [client.call("one", None, timeout=5) for _ in range(5)] == [1, 2, 3, 4, 5]
    second.stop()


def test_stopping_a_server_that_never_started(transport: LocalTransport) -> None:
    transport.server("t", "h", Counter(), 2).stop()
