"""What a transport is, how an endpoint is called, and how errors travel.

Transports move JSON. A request is ``(method, context, arguments)``; an answer is
``{"result": ...}`` or ``{"error": {"class": ..., "message": ...}}``, from which the caller gets the
same exception class with the same text again (:func:`mistral.exceptions.from_name`).
"""

from __future__ import annotations

import abc
import inspect
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from mistral import exceptions
from mistral.context import RequestContext
from mistral.utils import clock, ids

LOG = logging.getLogger(__name__)
Encoded = TypeVar("Encoded")


class RPCClient(abc.ABC):
    """Sends to the servers of one topic; may be used by any number of threads."""

    @abc.abstractmethod
    def call(
        self,
        method: str,
        ctx: RequestContext | None,
        timeout: float | None = None,
        target: str | None = None,
        **args: Any,
    ) -> Any:
        """Send and wait for the answer; RPCException when none comes within ``timeout`` seconds."""

    @abc.abstractmethod
    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        """Send and forget; RPCException when the message could not even be handed over."""


class RPCServer(abc.ABC):
    """Receives what is sent to one topic and calls an endpoint, on its own threads."""

    @abc.abstractmethod
    def start(self) -> None:
        """Begin to receive; returns when messages can arrive."""

    @abc.abstractmethod
    def stop(self, graceful: bool = True) -> None:
        """Receive no more; ``graceful`` waits for what is running, for a limited time."""


def stop_together(servers: Iterable[RPCServer], graceful: bool) -> None:
    """Stop several servers at the same time: each may wait a second for its broker."""
    threads = [
        threading.Thread(target=server.stop, args=(graceful,), name="rpc-stop", daemon=True)
        for server in servers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Transport(abc.ABC):
    """One connection to the world of messages; makes clients and servers."""

    @abc.abstractmethod
    def client(self, topic: str, *, calls_once: bool = False) -> RPCClient:
        """A client for a topic. Make one per topic and keep it.

        :param calls_once: what a call asks for must not happen twice: one of which nobody knows
            whether it arrived is sent again with the mark ``redelivered`` in its context.
        """

    @abc.abstractmethod
    def server(self, topic: str, host: str, endpoint: object, threads: int) -> RPCServer:
        """A server that calls ``endpoint`` for messages to the topic, or to this host on it."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release connections; clients and servers made here can't be used any more."""


class Dispatcher:
    """Calls the methods of an endpoint that are meant to be called from outside.

    Those are its public methods whose first parameter is ``rpc_ctx``; the life-cycle methods of a
    service that is an endpoint too can't be reached by a message.
    """

    def __init__(self, endpoint: object) -> None:
        self._methods: dict[str, Callable[..., Any]] = {}
        for name, method in inspect.getmembers(endpoint, callable):
            if not name.startswith("_") and _takes_context(method):
                self._methods[name] = method

    def answer(
        self,
        method: str,
        ctx: Mapping[str, Any],
        args: Mapping[str, Any],
        encode: Callable[[Any], Encoded],
    ) -> Encoded | None:
        """Run one request; the encoded answer, or None when nobody waits for one any more."""
        deadline = ctx.get("deadline")
        # who asks for the time has none to tell how long it waits
        if deadline is not None and deadline < clock.COMMON.seconds() and method != "ping":
            LOG.info("Dropped an expired request: %s", method)
            return None
        try:
            target = self._methods.get(method)
            if target is None:
                raise exceptions.RPCException(f"There is no remote method '{method}'.")
            return encode({"result": target(ctx, **args)})
        except exceptions.MistralError as error:
            LOG.debug("%s failed: %s", method, error)
            return encode(failure(error))
        # the edge of the process: the caller gets an answer, the log gets the cause
        except Exception as error:
            LOG.exception("%s failed", method)
            return encode(
                failure(
                    exceptions.MistralException(
                        f"Internal error in {method}: {type(error).__name__}"
                    )
                )
            )


def _takes_context(method: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False
    return next(iter(parameters), None) == "rpc_ctx"


def failure(error: exceptions.MistralError) -> dict[str, Any]:
    """An error as it travels."""
    return {"error": {"class": type(error).__name__, "message": error.text}}


def unwrap(answer: Mapping[str, Any]) -> Any:
    """The result of an answer, or the error it brings."""
    if "error" in answer:
        error = answer["error"]
        raise exceptions.from_name(error["class"], error["message"])
    return answer.get("result")


def context_to_send(ctx: RequestContext | None, timeout: float | None = None) -> dict[str, Any]:
    """The context of a message.

    A call's carries the moment after which nobody waits, and an id that is the same when the
    message is sent or delivered again.
    """
    values = ctx.to_dict() if ctx is not None else {}
    if timeout is not None:
        deadline = clock.COMMON.seconds() + timeout
        values["deadline"] = min(deadline, values.get("deadline", deadline))
        values["call_id"] = ids.new_id()
    else:
        # the work behind a cast is a committed row: it never expires
        values.pop("deadline", None)
    return values


def no_answer(topic: str, method: str, timeout: float) -> exceptions.RPCException:
    """What a caller gets whose time is up."""
    return exceptions.RPCException(
        f"No answer to '{method}' from '{topic}' within {timeout:g} seconds."
    )
