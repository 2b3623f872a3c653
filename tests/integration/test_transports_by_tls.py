"""Brokers behind TLS: certificates are checked, and refused when nobody trusted signed them."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import services

from mistral import config
from mistral.exceptions import RPCException
from mistral.rpc.base import Transport
from mistral.rpc.plugins import create_transport
from tests.lib.tls_proxy import TlsProxy, make_certificate

KINDS = {
    "oslo": ("oslo", "rabbitmq", "rabbit"),
    "kombu-rabbitmq": ("kombu", "rabbitmq", "rabbit"),
    "kombu-redis": ("kombu", "redis", "rediss"),
}
LARGE = "x" * 300_000


class Endpoint:
    """Answers."""

    def echo(self, rpc_ctx: dict[str, Any], value: Any) -> Any:
        return value


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def proxied(
    request: pytest.FixtureRequest,
    certificate: tuple[Path, Path],
    unique_suffix: str,
    tmp_path: Path,
) -> Iterator[tuple[Path, str]]:
    """A configuration that leads to a broker by TLS, without the certificate it needs."""
    implementation, kind, scheme = KINDS[request.param]
    service: services.Service = request.getfixturevalue(kind)
    parts = urllib.parse.urlsplit(service.url)
    exchange = f"mistral_test{unique_suffix}"
    with (
        service.forgotten_names(exchange),
        TlsProxy(parts.hostname or "", parts.port or 0, *certificate) as proxy,
    ):
        credentials, at, _ = parts.netloc.rpartition("@")
        path = tmp_path / "mistral.conf"
        path.write_text(
            f"[DEFAULT]\nrpc_implementation = {implementation}\ncontrol_exchange = {exchange}\n"
            f"transport_url = {scheme}://{credentials}{at}127.0.0.1:{proxy.port}{parts.path}\n"
            "rpc_response_timeout = 10\ngraceful_shutdown_timeout = 5\n"
            "[oslo_messaging_rabbit]\nssl = true\namqp_auto_delete = true\n"
        )
        yield path, f"topic{unique_suffix}"


def connect(path: Path) -> Transport:
    return create_transport(config.load(["--config-file", str(path)], environ={}))


@pytest.mark.parametrize("proxied", KINDS, indirect=True)
def test_messages_pass(proxied: tuple[Path, str], certificate: tuple[Path, Path]) -> None:
    path, topic = proxied
    with path.open("a") as file:
        file.write(f"ssl_ca_file = {certificate[0]}\n")
    transport = connect(path)
    server = transport.server(topic, "host", Endpoint(), 2)
    server.start()
    client = transport.client(topic)
    for value in (1, LARGE, 2):
        assert client.call("echo", None, value=value) == value
    assert client.call("echo", None, target="host", value=3) == 3
    server.stop()
    transport.close()


@pytest.mark.parametrize("proxied", ["kombu-rabbitmq", "kombu-redis"], indirect=True)
def test_a_certificate_of_somebody_is_refused(proxied: tuple[Path, str]) -> None:
    path, topic = proxied
    transport = connect(path)
    with pytest.raises(RPCException, match="(?i)certificate"):
        transport.client(topic).cast("echo", None, value=1)
    transport.close()
