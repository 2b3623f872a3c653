"""What an operator may say about the built-in server."""

from __future__ import annotations

import dataclasses

MEBIBYTE = 1024 * 1024


@dataclasses.dataclass(frozen=True)
class TlsFiles:
    """PEM files of an HTTPS server; with ``ca`` clients must show a certificate signed by it."""

    certificate: str
    key: str
    ca: str | None = None


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What clients may take; times are in seconds, sizes in bytes."""

    connections: int = 2000
    connections_per_address: int = 500
    #: Networks of proxies, whose connections are those of many clients.
    unbounded_addresses: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    header_size: int = 64 * 1024
    #: Many empty fields take long.
    header_fields: int = 256
    #: Requests that come on a connection ahead of the answer to an earlier one.
    requests_ahead: int = 32
    #: Each takes as long as thousands of bytes in a larger one.
    small_chunks: int = 4096
    header_timeout: float = 20.0
    body_size: int = 20 * MEBIBYTE
    body_timeout: float = 60.0
    #: All bodies together that are being read or wait for a worker.
    body_memory: int = 256 * MEBIBYTE
    #: How long an answer may wait for a client to read on.
    send_timeout: float = 60.0
    #: How long an idle connection is kept for its client's next request.
    idle_timeout: float = 30.0
    #: How long a request may wait for a worker.
    queue_timeout: float = 10.0


@dataclasses.dataclass(frozen=True)
class HttpOptions:
    """Where and how to listen. ``port`` 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 8989
    tls: TlsFiles | None = None
    #: Seconds that requests get to end when the server stops.
    grace: float = 60.0
    #: Connections that wait to be accepted: bursts of callbacks come from many senders at once.
    backlog: int = 1024
    bounds: Bounds = Bounds()
