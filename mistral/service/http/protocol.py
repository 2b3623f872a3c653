"""One connection: uvicorn's HTTP protocol, and what a client may not do with it.

uvicorn reads and writes HTTP, with httptools as its parser (llhttp, which is strict about lengths,
chunks, blanks and line ends). Added here are limits, deadlines, faults in the API's form, and that
a client who sends on is not cut off before it has read why it was refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from mistral.service.http import refusals
from mistral.service.http.connections import Connection
from mistral.service.http.options import Bounds
from mistral.service.http.refusals import Refusal, RequestRefused

#: Seconds in which a refused client may read the answer.
LINGER = 2.0
#: Bytes of chunk heads and trailers, beyond what small chunks need.
_FRAMING = 64 * 1024
_FRAMING_SHARE = 8
#: Bytes of a chunk that is none too small.
_USUAL_CHUNK = 16

Field = tuple[bytes, bytes]


class RequestProtocol(HttpToolsProtocol):
    """Serves one connection."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        place: Connection,
        bounds: Bounds,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config, state, {}, loop)
        self._place = place
        self._bounds = bounds
        self._deadline: asyncio.TimerHandle | None = None
        self._send_deadline: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._refusal = refusals.MALFORMED
        self._in_body = False
        self._chunk = 0
        #: Bytes since the last request was complete; of the body, all and without framing.
        self._head_bytes = 0
        self._raw_bytes = 0
        self._body_bytes = 0
        self._chunks = 0

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._place.close = transport.abort
        self._await_head()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client says nothing more; whoever has said everything is answered."""
        if not self.transport.can_write_eof():
            return False
        if self._is_refused:
            return self._in_flight
        if self._in_body or self._head_bytes:
            self._refuse(refusals.INCOMPLETE)
        elif self._in_flight:
            self.cycle.keep_alive = False
        else:
            return False
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_clock()
        self.resume_writing()
        self._place.is_gone()

    def pause_writing(self) -> None:
        """The client doesn't read: it gets some time, and holds nobody up but itself."""
        super().pause_writing()
        if self._send_deadline is None:
            self._send_deadline = self.loop.call_later(
                self._bounds.send_timeout, self.transport.abort
            )

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_deadline is not None:
            self._send_deadline.cancel()
            self._send_deadline = None

    def shutdown(self) -> None:
        """Nothing more is wanted after what is being answered."""
        if self._in_body:
            self.transport.abort()
        elif self._in_flight:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    # reading

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._chunk = len(data)
        if self._in_body:
            self._raw_bytes += self._chunk
        super().data_received(data)
        if self._is_refused:
            return
        if self._in_body:
            self._check_framing()
            return
        self._head_bytes += self._chunk
        if self._head_bytes > self._bounds.header_size:
            self._refuse(self._too_large)
        elif self._head_bytes and self._deadline is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        # what follows a body never changes what its head has said
        if self._in_body:
            return
        most = self._bounds.header_fields
        if len(self.headers) >= most:
            words = f"There are more than {most} header fields ([api] max_request_header_fields)."
            self._refusal = Refusal(431, words)
            raise RequestRefused(self._refusal)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._stop_clock()
        self._head_bytes = -self._chunk
        if len(self.pipeline) >= self._bounds.requests_ahead:
            # each answer lets more be read than it answers: they would pile up without limit;
            # the answer to the last one before says that the connection closes
            raise RequestRefused(refusals.MALFORMED)
        self._check_head()
        self._in_body = True
        self._raw_bytes = self._body_bytes = self._chunks = 0
        if self.url.startswith(b"//"):
            # not the host of some URL, but a path
            self.url = b"http://localhost" + self.url
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # it is answered in the protocol that it came in, and nothing is understood after it
            self.cycle.keep_alive = False
            self._is_refused = True

    def on_chunk_header(self) -> None:
        """Called by the parser."""
        self._chunks += 1
        if self._chunks > self._bounds.small_chunks + self._body_bytes // _USUAL_CHUNK:
            self._refusal = refusals.SMALL_CHUNKS
            raise RequestRefused(self._refusal)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._head_bytes = -self._chunk
        self._place.is_served()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._in_flight and not self._in_body:
            self._place.waits_for_client()

    # refusing

    def send_400_response(self, msg: str) -> None:
        """What uvicorn calls when the parser, or one of the methods above, has complained."""
        self._refuse(self._refusal)

    @property
    def _in_flight(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _too_large(self) -> Refusal:
        return Refusal(
            431,
            f"The header is larger than the limit of {self._bounds.header_size} bytes "
            "([api] max_request_header_size).",
        )

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        refusal = self._too_large if size > self._bounds.header_size else None
        refusal = refusal or head_fault(
            self.parser.get_method(),
            self.parser.get_http_version(),
            self.headers,
            self.parser.should_upgrade(),
        )
        if refusal is not None:
            self._refusal = refusal
            raise RequestRefused(refusal)

    def _check_framing(self) -> None:
        if self._raw_bytes > _FRAMING + (1 + _FRAMING_SHARE) * self._body_bytes:
            self._refuse(Refusal(400, "The chunks of the body are more than the body."))

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(self._bounds.header_timeout, self._head_is_late)

    def _head_is_late(self) -> None:
        self._deadline = None
        if self._in_flight:
            # the next request began to come before this one is answered
            self._await_head()
        elif self._head_bytes:
            self._refuse(refusals.TOO_SLOW)
        else:
            self.transport.abort()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _refuse(self, refusal: Refusal) -> None:
        """Answer and close; what comes meanwhile is thrown away."""
        self._is_refused = True
        self._stop_clock()
        if self.transport.is_closing():
            return
        if self._in_flight and not self._in_body:
            # what came before is answered, and the client is told nothing more
            self.cycle.keep_alive = False
            self.flow.resume_reading()
            return
        if self._in_flight:
            if self.pipeline or self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(refusal.message)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self._deadline = self.loop.call_later(LINGER, self.transport.abort)
        else:
            self.transport.close()


def head_fault(
    method: bytes, version: str, headers: Sequence[Field], is_upgrade: bool
) -> Refusal | None:
    """What the parser allows and we don't. Names are in lower case."""
    if version not in ("1.0", "1.1"):
        return Refusal(505, f"HTTP/{version} is not supported.")
    hosts = sum(name == b"host" for name, _ in headers)
    if hosts > 1 or (version == "1.1" and not hosts):
        return Refusal(400, "A request needs one Host.")
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if codings and version == "1.0":
        return Refusal(400, "HTTP/1.0 has no Transfer-Encoding.")
    if codings and [coding.strip().lower() for coding in codings] != [b"chunked"]:
        return Refusal(501, "The only Transfer-Encoding is chunked.")
    has_body = codings or any(name == b"content-length" for name, _ in headers)
    if method == b"CONNECT" or (is_upgrade and has_body):
        return Refusal(501, "The protocol can't be changed.")
    return None
