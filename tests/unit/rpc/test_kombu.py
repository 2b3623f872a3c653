"""What the kombu transport decides before it talks to a broker."""

from __future__ import annotations

import dataclasses
import itertools
import ssl
from pathlib import Path
from typing import Any

import kombu
import pytest

from mistral import config
from mistral.exceptions import ConfigurationError
from mistral.rpc.kombu import payload
from mistral.rpc.kombu.addresses import Address, BrokerUrl, parse
from mistral.rpc.kombu.broker import Broker
from mistral.rpc.kombu.receiver import pauses
from mistral.rpc.plugins import create_transport

GUEST = Address("127.0.0.1", 5672, "guest", "guest")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rabbit://", BrokerUrl("rabbitmq", (GUEST,), "/")),
        ("kombu://guest:guest@127.0.0.1/", BrokerUrl("rabbitmq", (GUEST,), "/")),
        (
            "rabbit://u:p%40ss@a:1,v:q@[::1]:2/v%2Fh?ssl=1",
            BrokerUrl(
                "rabbitmq", (Address("a", 1, "u", "p@ss"), Address("::1", 2, "v", "q")), "v/h"
            ),
        ),
        ("redis://", BrokerUrl("redis", (Address("127.0.0.1", 6379),), "0")),
        (
            "rediss://:secret@r:7/3",
            BrokerUrl("redis", (Address("r", 7, None, "secret"),), "3", tls=True),
        ),
    ],
)
def test_addresses(url: str, expected: BrokerUrl) -> None:
    assert parse(url) == expected


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("amqp://h/", "unsupported backend 'amqp'.* knows rabbit, kombu, redis, rediss"),
        ("qpid://h/", "unsupported backend 'qpid'"),
        ("rabbit:/h", "unsupported backend 'rabbit'"),
        ("", "unsupported backend ''"),
        ("rabbit://u:secret@h:port/", "transport_url: a host or port"),
        ("redis://h/name", "'name' is no number of a Redis database"),
    ],
)
def test_bad_addresses_end_the_start(url: str, complaint: str) -> None:
    conf = config.load([], environ={})
    conf.set_override("rpc_implementation", "kombu")
    conf.set_override("transport_url", url)
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        create_transport(conf)
    assert "secret" not in str(caught.value)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in str(parse("rabbit://u:secret@h/"))


def test_back_off() -> None:
    assert list(itertools.islice(pauses(), 7)) == [1, 2, 4, 8, 10, 10, 10]


@pytest.mark.parametrize(
    "body", ["[]", "{}", "null", '{"method": 1, "ctx": {}, "args": {}}', "x", "cos\nsystem\n(S'x'"]
)
def test_only_requests_are_read(body: str) -> None:
    with pytest.raises(ValueError):
        payload.read_request(body.encode())


def test_requests_survive_the_way() -> None:
    body = payload.request("m", {"project_id": "p"}, {"a": [2**70]}, is_cast=True)
    assert dataclasses.astuple(payload.read_request(body)) == (
        "m",
        {"project_id": "p"},
        {"a": [2**70]},
    )


def load(tmp_path: Path, url: str, rabbit_options: str = "") -> Any:
    path = tmp_path / "mistral.conf"
    path.write_text(
        f"[DEFAULT]\nrpc_implementation = kombu\ntransport_url = {url}\ncontrol_exchange = ex\n"
        f"[oslo_messaging_rabbit]\n{rabbit_options}\n"
    )
    return config.load(["--config-file", str(path)], environ={})


class Refused(Exception):
    """Raised instead of connecting."""


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each connection, in place of connecting."""
    found: list[dict[str, Any]] = []

    def refuse(**options: Any) -> None:
        found.append(options)
        raise Refused

    monkeypatch.setattr(kombu, "Connection", refuse)
    return found


def test_hosts_take_turns(tmp_path: Path, connections: list[dict[str, Any]]) -> None:
    broker = Broker(load(tmp_path, "rabbit://u:p@a:1,u:p@b:2,u:p@c:3/v"))
    for _ in range(6):
        with pytest.raises(Refused):
            broker.connect()
    hosts = [one["hostname"] for one in connections]
    assert sorted(hosts[:3]) == ["a", "b", "c"]
    assert hosts[3:] == hosts[:3]
    assert {one["virtual_host"] for one in connections} == {"v"}


TLS_FILES = "ssl_ca_file = /ca\nssl_cert_file = /cert\nssl_key_file = /key"


def test_tls_to_rabbitmq(tmp_path: Path, connections: list[dict[str, Any]]) -> None:
    broker = Broker(load(tmp_path, "rabbit://u:p@h/", f"ssl = true\n{TLS_FILES}"))
    with pytest.raises(Refused):
        broker.connect()
    assert connections[0]["ssl"] == {
        "cert_reqs": ssl.CERT_REQUIRED,
        "ca_certs": "/ca",
        "certfile": "/cert",
        "keyfile": "/key",
        "server_hostname": "h",
    }


def test_tls_to_redis(tmp_path: Path, connections: list[dict[str, Any]]) -> None:
    broker = Broker(load(tmp_path, "rediss://:p@h/", TLS_FILES))
    with pytest.raises(Refused):
        broker.connect()
    assert connections[0]["ssl"] == {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_check_hostname": True,
        "ssl_ca_certs": "/ca",
        "ssl_certfile": "/cert",
        "ssl_keyfile": "/key",
    }


def test_no_tls_unless_asked_for(tmp_path: Path, connections: list[dict[str, Any]]) -> None:
    with pytest.raises(Refused):
        Broker(load(tmp_path, "rabbit://u:p@h/", TLS_FILES)).connect()
    assert connections[0]["ssl"] is False


@pytest.mark.parametrize(
    ("options", "durable", "auto_delete", "arguments"),
    [
        ("", False, False, None),
        ("amqp_durable_queues = true", True, False, None),
        ("amqp_auto_delete = true", False, True, None),
        ("rabbit_quorum_queue = true", True, False, {"x-queue-type": "quorum"}),
    ],
)
def test_queues(
    tmp_path: Path, options: str, durable: bool, auto_delete: bool, arguments: object
) -> None:
    broker = Broker(load(tmp_path, "rabbit://", options))
    for host, name in ((None, "topic"), ("h", "topic.h")):
        queue = broker.request_queue("topic", host)
        assert (queue.name, queue.routing_key) == (name, name)
        assert (queue.exchange.name, queue.exchange.type) == ("ex", "topic")
        assert (queue.durable, queue.auto_delete) == (durable, auto_delete)
        assert queue.queue_arguments == arguments
        assert (queue.exchange.durable, queue.exchange.auto_delete) == (durable, auto_delete)


def test_a_mistake_in_the_library_options_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="oslo_messaging_rabbit.*heartbeat"):
        load(tmp_path, "rabbit://", "heartbeat_timeout_threshold = soon")
