"""urllib3's connections, opened by the guard and bounded in what they read."""

from __future__ import annotations

import functools
import http.client
import socket
from collections.abc import Callable, Mapping
from typing import Any

import urllib3
import urllib3.connection
import urllib3.exceptions

from mistral.actions.bounded import Allowance, BoundedReader
from mistral.actions.deadlines import Deadline
from mistral.actions.egress import EgressGuard

_SLACK = 64 * 1024
#: Bytes of the wire for one of the body: chunks of one byte, and what compresses badly.
_WIRE_PER_BYTE = 4

SIZE_OPTION = "[action_std_http] max_response_size_bytes"
HEADER_OPTION = "[action_std_http] max_response_header_size_bytes"


class Exchange:
    """One request with all its redirects: they share the deadline and what may come."""

    def __init__(self, guard: EgressGuard, deadline: Deadline) -> None:
        self.guard = guard
        self.deadline = deadline
        limit, header_limit = guard.options.max_response_size, guard.options.max_header_size
        self.allowance = Allowance(
            header_limit,
            f"the headers of the response are larger than {header_limit} bytes ({HEADER_OPTION})",
            _WIRE_PER_BYTE * limit + _SLACK if limit else 0,
            too_large(limit),
        )

    def pool_classes(self) -> Mapping[str, Callable[..., Any]]:
        """What makes urllib3's pools of connections, by scheme."""
        http_kind = (urllib3.HTTPConnectionPool, GuardedHTTPConnection)
        https_kind = (urllib3.HTTPSConnectionPool, GuardedHTTPSConnection)
        return {
            "http": functools.partial(self._pool, *http_kind),
            "https": functools.partial(self._pool, *https_kind),
        }

    def _pool(
        self, pool_class: Callable[..., Any], connection_class: type, *args: Any, **kwargs: Any
    ) -> Any:
        pool = pool_class(*args, **kwargs)
        pool.ConnectionCls = functools.partial(connection_class, exchange=self)
        return pool


def too_large(limit: int) -> str:
    """The refusal of an answer."""
    return f"the response is larger than {limit} bytes ({SIZE_OPTION})"


class _Guarded:
    """Mixed into urllib3's connections: replaces how a socket is opened and read."""

    def __init__(self, *args: Any, exchange: Exchange, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exchange = exchange
        vars(self)["response_class"] = functools.partial(_Response, allowance=exchange.allowance)

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        timeout = connection.timeout
        try:
            return self._exchange.guard.connect(
                connection._dns_host,
                connection.port,
                timeout if isinstance(timeout, (int, float)) else None,
                self._exchange.deadline,
                connection.socket_options or (),
            )
        except socket.gaierror as exc:
            raise urllib3.exceptions.NameResolutionError(connection.host, connection, exc) from exc
        except TimeoutError as exc:
            raise urllib3.exceptions.ConnectTimeoutError(connection, "timed out") from exc
        except OSError as exc:
            raise urllib3.exceptions.NewConnectionError(connection, str(exc)) from exc


class GuardedHTTPConnection(_Guarded, urllib3.connection.HTTPConnection):
    """Without encryption."""


class GuardedHTTPSConnection(_Guarded, urllib3.connection.HTTPSConnection):
    """With TLS."""


class _Response(http.client.HTTPResponse):
    """Counts headers, chunk lines and trailers: the library reads any number of them."""

    def __init__(self, *args: Any, allowance: Allowance, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fp: Any = BoundedReader(self.fp, allowance)
