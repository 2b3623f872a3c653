"""Transport over oslo.messaging: threads, RabbitMQ, one client per topic.

The library gets a configuration object of its own, read from the same files: it registers options
as it pleases, and everything in ``[oslo_messaging_rabbit]`` (durable or quorum queues, TLS ...)
reaches it untouched.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kombu.exceptions import KombuError
from oslo_config import cfg

from mistral.context import RequestContext
from mistral.exceptions import ConfigurationError, RPCException
from mistral.rpc import base
from mistral.rpc.oslo.library import messaging, rabbit_opts
from mistral.rpc.oslo.payload import pack, unpack

LOG = logging.getLogger(__name__)

#: Read by the library from the global configuration unless they are known here; both stay off.
_FOREIGN_SWITCHES = {
    "oslo_messaging_tracing": "tracing_enabled",
    "oslo_messaging_metrics": "metrics_enabled",
}
#: Unanswered messages that the broker gives one consumer. Each is acknowledged when it is read, so
#: this is what a process that is stopped, or a host that vanished, can keep from all others.
_PREFETCH = 4
_UNDELIVERED = (
    messaging.MessagingException,
    messaging.MessageUndeliverable,
    KombuError,
    OSError,
)
#: A broken connection is tried again once: senders must not hang while the broker is away.
_RETRIES = 1
_START_PATIENCE = 10.0
_CLOSE_PATIENCE = 1.0


class OsloTransport(base.Transport):
    """One connection pool to the broker."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._exchange = conf.control_exchange
        self._grace = float(conf.graceful_shutdown_timeout)
        self._default_timeout = float(conf.rpc_response_timeout)
        try:
            self._transport = messaging.get_rpc_transport(library_conf(conf), conf.transport_url)
        except messaging.DriverLoadFailure as error:
            raise ConfigurationError(
                f"transport_url: unsupported backend '{error.driver}'; rpc_implementation = oslo "
                "is for rabbit://, kombu for rabbit:// and redis://."
            ) from error
        except messaging.MessagingException as error:
            raise ConfigurationError(f"transport_url: {error}") from error
        self._ready = _ReplyQueue(self._transport, self._exchange)

    def client(self, topic: str, *, calls_once: bool = False) -> base.RPCClient:
        self._ready.prepare()
        target = messaging.Target(topic=topic, exchange=self._exchange)
        client = messaging.get_rpc_client(self._transport, target, retry=_RETRIES)
        return OsloClient(client, topic, self._default_timeout, self._ready, calls_once)

    def server(self, topic: str, host: str, endpoint: object, threads: int) -> base.RPCServer:
        target = messaging.Target(topic=topic, server=host, exchange=self._exchange)
        dispatcher = _LibraryDispatcher(base.Dispatcher(endpoint))
        server = _LibraryServer(self._transport, target, dispatcher)
        return OsloServer(server, threads, self._grace)

    def close(self) -> None:
        if self._ready.may_clean_up():
            # the thread that reads answers may sleep; the end of the process ends it as well
            _run_for(self._transport.cleanup, _CLOSE_PATIENCE)


class OsloClient(base.RPCClient):
    """Keeps one prepared call context for each way of sending: nothing is built per message."""

    def __init__(
        self,
        client: Any,
        topic: str,
        default_timeout: float,
        ready: _ReplyQueue,
        calls_once: bool = False,
    ) -> None:
        self._client = client
        self._calls_once = calls_once
        self._topic = topic
        self._default_timeout = default_timeout
        self._ready = ready
        self._must_arrive = messaging.TransportOptions(at_least_once=True)
        self._contexts: dict[tuple[float | None, str | None], Any] = {}

    def call(
        self,
        method: str,
        ctx: RequestContext | None,
        timeout: float | None = None,
        target: str | None = None,
        **args: Any,
    ) -> Any:
        timeout = self._default_timeout if timeout is None else timeout
        if not self._ready.wait(timeout):
            raise RPCException("The message broker is not reachable.")
        body = pack(args)
        sending = base.context_to_send(ctx, timeout)
        try:
            answer = self._called(self._context(timeout, target), sending, method, body)
        except messaging.MessagingTimeout as error:
            raise base.no_answer(self._topic, method, timeout) from error
        except _UNDELIVERED as error:
            raise self._undelivered(method, target) from error
        if answer is None:
            # the server's clock says that nobody waits any more
            raise base.no_answer(self._topic, method, timeout)
        return base.unwrap(unpack(answer))

    def _called(self, context: Any, sending: dict[str, Any], method: str, body: Any) -> Any:
        if not self._calls_once:
            return context.call(sending, method, body=body)
        try:
            return context.prepare(retry=0).call(sending, method, body=body)
        except messaging.MessageDeliveryFailure:
            # it may have arrived before the connection broke
            return context.call({**sending, "redelivered": True}, method, body=body)

    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        body = pack(args)
        try:
            self._context(None, target).cast(base.context_to_send(ctx), method, body=body)
        except _UNDELIVERED as error:
            raise self._undelivered(method, target) from error

    def _context(self, timeout: float | None, target: str | None) -> Any:
        key = (timeout, target)
        context = self._contexts.get(key)
        if context is None:
            options: dict[str, Any] = {} if target is None else {"server": target}
            if timeout is not None:
                options.update(timeout=timeout, transport_options=self._must_arrive)
            context = self._client.prepare(**options)
            # few timeouts and targets exist; a caller with many must not fill the memory
            if len(self._contexts) < 256:
                self._contexts[key] = context
        return context

    def _undelivered(self, method: str, target: str | None) -> RPCException:
        whom = f"{self._topic}.{target}" if target else self._topic
        return RPCException(f"'{method}' could not be delivered to '{whom}'.")


class OsloServer(base.RPCServer):
    """A topic's consumer; the library's reading thread hands messages to its pool of threads."""

    def __init__(self, server: Any, threads: int, grace: float) -> None:
        self._server = server
        self._threads = threads
        self._grace = grace
        self._started = threading.Event()

    def start(self) -> None:
        # the library tries for ever to reach a broker that is away: that must not hold up a
        # process which has been told to stop meanwhile
        threading.Thread(target=self._start, name="rpc-start", daemon=True).start()
        if not self._started.wait(_START_PATIENCE):
            LOG.warning("The message broker is not reachable; the server starts when it is.")

    def _start(self) -> None:
        self._server.start(override_pool_size=self._threads)
        self._started.set()

    def stop(self, graceful: bool = True) -> None:
        if not self._started.is_set():
            return
        self._server.stop()
        if graceful:
            # the library waits without a limit for what its threads run
            _run_for(self._server.wait, self._grace)


class _LibraryServer(messaging.rpc.server.RPCServer):  # type: ignore[name-defined]
    """The library's server on the standard library's pool of threads.

    Each idle thread of its own pool wakes up every second, and its queue takes longer to pass.
    """

    def __init__(self, transport: Any, target: Any, dispatcher: _LibraryDispatcher) -> None:
        super().__init__(transport, target, dispatcher)
        self._executor_cls = ThreadPoolExecutor


class _LibraryDispatcher:
    """What the library calls with each message; an answer is always an ordinary result."""

    serializer = None

    def __init__(self, dispatcher: base.Dispatcher) -> None:
        self._dispatcher = dispatcher

    def dispatch(self, incoming: Any) -> str | None:
        message = incoming.message
        return self._dispatcher.answer(
            message["method"], incoming.ctxt, unpack(message["args"]["body"]), pack
        )


class _ReplyQueue:
    """Sees to it that answers can arrive before the first call is sent.

    The library makes its queue for answers inside the first call, holding a lock, and waits for
    ever if the broker is away. A call to nobody, made by a thread that may wait, gets this done.
    """

    def __init__(self, transport: Any, exchange: str) -> None:
        self._transport = transport
        self._nobody = messaging.Target(topic="mistral_nobody", exchange=exchange)
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def prepare(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._call_nobody, name="rpc-reply-queue", daemon=True
                )
                self._thread.start()

    def wait(self, timeout: float) -> bool:
        return self._done.is_set() or self._done.wait(timeout)

    def may_clean_up(self) -> bool:
        """Not while the library holds its lock and waits for the broker."""
        return self._thread is None or self._done.is_set()

    def _call_nobody(self) -> None:
        client = messaging.get_rpc_client(
            self._transport,
            self._nobody,
            timeout=1,
            transport_options=messaging.TransportOptions(at_least_once=True),
        )
        try:
            client.call({}, "nothing")
        except _UNDELIVERED:
            LOG.debug("The queue for answers exists.")
        self._done.set()


def _run_for(work: Callable[[], object], seconds: float) -> None:
    thread = threading.Thread(target=work, name="rpc-stop", daemon=True)
    thread.start()
    thread.join(seconds)


def library_conf(conf: cfg.ConfigOpts) -> cfg.ConfigOpts:
    """The library's own view of the same configuration files."""
    own = cfg.ConfigOpts()
    own(
        args=[],
        project="mistral",
        default_config_files=list(conf.config_file or []),
        default_config_dirs=list(conf.config_dir or []),
    )
    for group, switch in _FOREIGN_SWITCHES.items():
        own.register_opt(cfg.BoolOpt(switch, default=False), group=group)
        own.set_override(switch, False, group=group)
    rabbit = "oslo_messaging_rabbit"
    own.register_opts(rabbit_opts(), group=rabbit)
    own.set_default("rabbit_qos_prefetch_count", _PREFETCH, group=rabbit)
    return own
