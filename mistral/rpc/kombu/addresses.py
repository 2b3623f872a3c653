"""Reads ``transport_url``: which kind of broker, and where it can be found."""

from __future__ import annotations

import dataclasses
import urllib.parse

from mistral.exceptions import ConfigurationError

RABBITMQ, REDIS = "rabbitmq", "redis"
_KINDS = {"rabbit": RABBITMQ, "kombu": RABBITMQ, "redis": REDIS, "rediss": REDIS}
_PORTS = {RABBITMQ: 5672, REDIS: 6379}
_TLS_SCHEME = "rediss"
_GUEST = "guest"


@dataclasses.dataclass(frozen=True)
class Address:
    """One host of a broker and the credentials for it."""

    host: str
    port: int
    user: str | None = None
    password: str | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass(frozen=True)
class BrokerUrl:
    """What a ``transport_url`` says; ``virtual_host`` is the database's number on Redis."""

    kind: str
    addresses: tuple[Address, ...]
    virtual_host: str
    tls: bool = False


def parse(url: str) -> BrokerUrl:
    """Take a ``transport_url`` apart; ConfigurationError when it names no broker known here."""
    scheme, separator, rest = url.partition("://")
    kind = _KINDS.get(scheme)
    if kind is None or not separator:
        raise ConfigurationError(
            f"transport_url: unsupported backend '{scheme.partition(':')[0]}'; "
            f"rpc_implementation = kombu knows {', '.join(_KINDS)}."
        )
    hosts, _, path = rest.partition("?")[0].partition("/")
    addresses = tuple(_address(kind, entry) for entry in hosts.split(","))
    return BrokerUrl(kind, addresses, _virtual_host(kind, path), tls=scheme == _TLS_SCHEME)


def _address(kind: str, entry: str) -> Address:
    try:
        parts = urllib.parse.urlsplit(f"//{entry}")
        host, port = parts.hostname or "127.0.0.1", parts.port or _PORTS[kind]
    except ValueError:
        # not quoted: there is a password in it
        raise ConfigurationError("transport_url: a host or port in it can't be read.") from None
    user, password = (
        urllib.parse.unquote(text) if text else None for text in (parts.username, parts.password)
    )
    if kind == RABBITMQ:
        return Address(host, port, user or _GUEST, password or _GUEST)
    return Address(host, port, user, password)


def _virtual_host(kind: str, path: str) -> str:
    name = urllib.parse.unquote(path)
    if kind == RABBITMQ:
        return name or "/"
    if name and not name.isdigit():
        raise ConfigurationError(
            f"transport_url: '{name}' is no number of a Redis database; write redis://HOST/0."
        )
    return name or "0"
