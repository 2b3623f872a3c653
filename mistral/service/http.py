"""The built-in HTTP server: cheroot around a WSGI application."""

from __future__ import annotations

import dataclasses
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from cheroot import wsgi
from cheroot.ssl import builtin

from mistral.exceptions import ConfigurationError
from mistral.service.base import MistralService

LOG = logging.getLogger(__name__)

#: Seconds after which a stopping server no longer reads from clients who have not said everything;
#: requests that are being handled are not affected.
_SILENT_CLIENTS = 1

_DRAIN_LOOK = 0.02

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclasses.dataclass(frozen=True)
class TlsFiles:
    """PEM files of an HTTPS server; with ``ca`` clients must show a certificate signed by it."""

    certificate: str
    key: str
    ca: str | None = None


@dataclasses.dataclass(frozen=True)
class HttpOptions:
    """Where and how to listen. ``port`` 0 takes a free one. Times are in seconds."""

    host: str = "127.0.0.1"
    port: int = 8989
    threads: int = 16
    tls: TlsFiles | None = None
    grace: int = 60
    #: Connections that wait to be accepted: bursts of callbacks come from many senders at once.
    backlog: int = 1024
    #: Idle connections kept for their clients' next request, and for how long.
    idle_connections: int = 2000
    idle_timeout: int = 30


class HttpServer(MistralService):
    """Serves one application on one address."""

    def __init__(self, app: WsgiApp, options: HttpOptions) -> None:
        self._options = options
        self._server = _Server(
            (options.host, options.port),
            app,
            numthreads=options.threads,
            request_queue_size=options.backlog,
            timeout=options.idle_timeout,
            shutdown_timeout=_SILENT_CLIENTS,
            server_name="mistral",
        )
        self._server.keep_alive_conn_limit = options.idle_connections
        if options.tls is not None:
            self._server.ssl_adapter = _tls_adapter(options.tls)
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on, once started."""
        host, port = self._server.bind_addr[:2]
        return host, port

    def start(self) -> None:
        try:
            self._server.prepare()
        except OSError as error:
            where = f"{self._options.host}:{self._options.port}"
            raise ConfigurationError(f"[api] Can't listen on {where}: {error}") from error
        self._thread.start()
        LOG.info("The API listens on %s:%d", *self.address)

    def stop(self, graceful: bool = False) -> None:
        if self._thread.ident is None:
            return
        # cheroot waits for its threads without a limit
        stopping = threading.Thread(
            target=self._drain_and_stop if graceful else self._server.stop,
            name="http-stop",
            daemon=True,
        )
        stopping.start()
        stopping.join(self._options.grace if graceful else _SILENT_CLIENTS)
        self._thread.join(_SILENT_CLIENTS)

    def _drain_and_stop(self) -> None:
        self._server.drain(_SILENT_CLIENTS)
        self._server.stop()

    def _serve(self) -> None:
        self._server.serve()


class _Server(wsgi.Server):
    """cheroot with its complaints in our log, and a way to end that breaks no connection."""

    def drain(self, patience: float) -> None:
        """Stop listening, and serve whoever has got through to us before.

        Closing a listening socket resets the connections that wait to be accepted, whose clients
        may have sent their requests already; closing an idle one may cross a request on its way.
        So what waits is accepted, and all are answered with ``Connection: close`` for a while.
        """
        connections: Any = self._connections  # type: ignore[attr-defined]
        listener = self.socket
        # the loop of the serving thread pauses
        connections.stop()
        self.timeout = patience
        self.keep_alive_conn_limit = -1
        connections._selector.unregister(listener.fileno())
        listener.setblocking(False)
        while (connection := connections._from_server_socket(listener)) is not None:
            self.process_conn(connection)
        listener.close()
        self.socket = None
        # and goes on
        connections._stop_requested = False
        give_up_at = time.monotonic() + patience
        while len(connections._selector) and time.monotonic() < give_up_at:
            time.sleep(_DRAIN_LOOK)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        LOG.log(level, "%s", msg, exc_info=traceback)


def _tls_adapter(files: TlsFiles) -> builtin.BuiltinSSLAdapter:
    try:
        adapter = builtin.BuiltinSSLAdapter(files.certificate, files.key)
        if files.ca is not None:
            adapter.context.load_verify_locations(files.ca)
            adapter.context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"[ssl] The files can't be used: {error}") from error
    return adapter
