"""From ASGI to WSGI: the body is read, then a worker calls the application, then it is answered.

Only the middle holds a thread.
"""

from __future__ import annotations

import asyncio
import functools
import io
import logging
import sys
import time
import urllib.parse
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from typing import Any

from mistral.service.http import refusals
from mistral.service.http.lanes import Lanes
from mistral.service.http.options import Bounds
from mistral.service.http.refusals import Refusal, RequestRefused

LOG = logging.getLogger(__name__)

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

#: Bodies up to this size are always taken: delivered results are hardly ever larger.
SMALL_BODY = 64 * 1024
#: What a refused client may send on, and for how many seconds.
_THROWN_AWAY = 4 * 1024 * 1024
_LINGER = 2.0
_OWN_NAMES = ("CONTENT_TYPE", "CONTENT_LENGTH")


class _Disconnected(Exception):
    """Nobody waits for an answer any more."""


class Gateway:
    """The ASGI application around a WSGI one. Used by the server's thread alone."""

    def __init__(self, app: WsgiApp, lanes: Lanes, bounds: Bounds) -> None:
        self._app = app
        self._lanes = lanes
        self._bounds = bounds
        self._buffered = 0
        self._date = (0, b"")
        #: Whether connections end with the answer.
        self.is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            body = await self._read(scope, receive)
        except _Disconnected:
            return
        except RequestRefused as error:
            await self._refuse(error.refusal, receive, send)
            return
        try:
            answer = await self._handle(scope, body)
        except RequestRefused as error:
            refusal = error.refusal
            answer = refusal.status, refusal.headers, refusal.body
        except asyncio.CancelledError:
            # the server ends without it
            return
        finally:
            self._buffered -= len(body)
        await self._answer(answer, send)

    # reading

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        length = _declared_length(scope)
        if length == 0:
            return b""
        if length is not None and length > self._bounds.body_size:
            raise RequestRefused(self._too_large)
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self._bounds.body_timeout):
                await self._read_into(parts, receive)
        except BaseException as error:
            self._buffered -= sum(map(len, parts))
            if isinstance(error, TimeoutError):
                raise RequestRefused(refusals.BODY_TOO_SLOW) from error
            raise
        return b"".join(parts)

    async def _read_into(self, parts: list[bytes], receive: Receive) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Disconnected
            part, more = message["body"], message["more_body"]
            parts.append(part)
            size += len(part)
            self._buffered += len(part)
            if size > self._bounds.body_size:
                raise RequestRefused(self._too_large)
            if size > SMALL_BODY and self._buffered > self._bounds.body_memory:
                raise RequestRefused(refusals.OUT_OF_MEMORY)

    @property
    def _too_large(self) -> Refusal:
        return Refusal(
            413,
            f"Request body is larger than the limit of {self._bounds.body_size} bytes "
            "([api] max_request_body_size).",
        )

    # handling

    async def _handle(self, scope: Scope, body: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        work = functools.partial(_call, self._app, environment(scope, body))
        future = self._lanes.submit(scope["method"], scope["path"], work)
        # has no effect on what has begun
        overdue = loop.call_later(self._bounds.queue_timeout, future.cancel)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not future.cancelled():
                raise
            why = refusals.STOPPING if self.is_closing else refusals.OVERDUE
            raise RequestRefused(why) from None
        except Exception as error:  # the edge of the application: the log gets the cause
            LOG.exception("%s %s failed", scope["method"], scope["path"])
            raise RequestRefused(refusals.BROKEN) from error
        finally:
            overdue.cancel()

    # answering

    async def _answer(self, answer: Answer, send: Send) -> None:
        status, fields, body = answer
        headers = [*fields, (b"date", self._now())]
        if self.is_closing:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _refuse(self, refusal: Refusal, receive: Receive, send: Send) -> None:
        """Answer in the middle of a body, and go on reading: who is cut off reads no answer."""
        headers = [*refusal.headers, (b"date", self._now())]
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": refusal.body, "more_body": True})
        thrown, more = 0, True
        try:
            async with asyncio.timeout(_LINGER):
                while more and thrown < _THROWN_AWAY:
                    message = await receive()
                    more = message.get("more_body", False)
                    thrown += len(message.get("body", b""))
        except TimeoutError:
            LOG.debug("A refused client sends on")
        await send({"type": "http.response.body", "body": b""})

    def _now(self) -> bytes:
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, formatdate(second, usegmt=True).encode())
        return self._date[1]


def _declared_length(scope: Scope) -> int | None:
    """The length that the head tells; None if it is unknown until the end."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value)
        if name == b"transfer-encoding":
            return None
    return 0


def environment(scope: Scope, body: bytes) -> dict[str, Any]:
    """The WSGI environment of a request whose body is here (PEP 3333)."""
    path = urllib.parse.unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    server, client = scope["server"] or ("localhost", None), scope["client"] or ("", 0)
    found = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 0),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw, value in scope["headers"]:
        if b"_" in raw or raw == b"transfer-encoding":
            # X_Auth is not X-Auth, though both would have one name here; chunks are read already
            continue
        name = raw.decode("latin-1").upper().replace("-", "_")
        key = name if name in _OWN_NAMES else f"HTTP_{name}"
        text = value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    if body:
        found["CONTENT_LENGTH"] = str(len(body))
    return found


def _call(app: WsgiApp, environ: dict[str, Any]) -> Answer:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], _error: object = None
    ) -> Callable[[bytes], None]:
        started[:] = [(status, headers)]
        return written.append

    answer = app(environ, start_response)
    try:
        written.extend(answer)
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()
    status, headers = started[0]
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return int(status[:3]), fields, b"".join(written)
