"""The life of the built-in HTTP server: it listens on one address with a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import ssl
import threading

from uvicorn.config import Config

from mistral.exceptions import ConfigurationError
from mistral.service.base import MistralService
from mistral.service.http.connections import Connections
from mistral.service.http.gateway import Gateway, WsgiApp
from mistral.service.http.lanes import Lanes
from mistral.service.http.listener import Listener
from mistral.service.http.options import Bounds, HttpOptions, TlsFiles
from mistral.utils import hosts

LOG = logging.getLogger(__name__)

#: Seconds that a stopping server goes on with clients who are silent or have not said everything.
_SILENT_CLIENTS = 1.0
_LOOK = 0.02
_OTHER_FILES = 256


class HttpServer(MistralService):
    """Serves one application on one address."""

    def __init__(self, app: WsgiApp, options: HttpOptions, lanes: Lanes) -> None:
        self._options = options
        self._lanes = lanes
        self._tls = None if options.tls is None else _tls_context(options.tls)
        self._gateway = Gateway(app, lanes, options.bounds)
        self._connections = Connections(options.bounds)
        self._address = (options.host, options.port)
        self._loop = asyncio.new_event_loop()
        self._stopping: asyncio.Future[float] = self._loop.create_future()
        self._thread: threading.Thread | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on, once started."""
        return self._address

    def start(self) -> None:
        _allow_files(self._options.bounds.connections + _OTHER_FILES)
        sock = _listening_socket(self._options)
        self._address = sock.getsockname()[:2]
        self._thread = threading.Thread(target=self._serve, args=(sock,), name="http", daemon=True)
        self._thread.start()
        host, port = self._address
        LOG.info("The API listens on %s:%d", hosts.shown(host), port)

    def stop(self, graceful: bool = False) -> None:
        if self._thread is None:
            self._lanes.stop()
            self._loop.close()
            return
        grace = self._options.grace if graceful else 0.0
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ask_to_stop, grace)
            self._thread.join(grace + 2 * _SILENT_CLIENTS)

    def _ask_to_stop(self, grace: float) -> None:
        if not self._stopping.done():
            self._stopping.set_result(grace)

    def _serve(self, sock: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._run(sock))
        finally:
            self._lanes.stop()
            self._loop.close()

    async def _run(self, sock: socket.socket) -> None:
        bounds, connections = self._options.bounds, self._connections
        listener = Listener(
            sock, _configuration(self._gateway, bounds), self._tls, bounds, connections
        )
        grace = await self._stopping
        give_up_at = self._loop.time() + grace
        self._gateway.is_closing = True
        listener.close()
        if grace:
            await self._until_no_connection(min(give_up_at, self._loop.time() + _SILENT_CLIENTS))
            listener.shut_down_connections()
            await self._until_no_connection(give_up_at)
        connections.close_all()
        await self._until_no_connection(self._loop.time() + _SILENT_CLIENTS)
        await listener.give_up_requests()

    async def _until_no_connection(self, moment: float) -> None:
        """For a while all are answered: closing an idle one may cross a request on its way."""
        while len(self._connections) and self._loop.time() < moment:
            await asyncio.sleep(_LOOK)


def _configuration(gateway: Gateway, bounds: Bounds) -> Config:
    found = Config(
        gateway,
        http="httptools",
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=bounds.idle_timeout,  # type: ignore[arg-type]
    )
    found.load()
    return found


def _listening_socket(options: HttpOptions) -> socket.socket:
    is_any_ipv6 = options.host == "::"
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server(
            (options.host, options.port),
            family=family,
            backlog=options.backlog,
            dualstack_ipv6=is_any_ipv6 and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        where = f"{options.host}:{options.port}"
        raise ConfigurationError(f"[api] Can't listen on {where}: {error}") from error


def _allow_files(wanted: int) -> None:
    """Connections are files, of which a process may often have but 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _tls_context(files: TlsFiles) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca)
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        named = f"cert_file {files.certificate}, key_file {files.key}"
        named += f", ca_file {files.ca}" if files.ca else ""
        raise ConfigurationError(
            f"[ssl] One of these can't be used, or they don't fit together: {named}: {error}"
        ) from error
    if files.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
