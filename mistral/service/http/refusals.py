"""Answers that the server gives itself, because a request can't be handed on."""

from __future__ import annotations

import dataclasses
import http

from mistral.utils import json

RETRY_AFTER = 2


@dataclasses.dataclass(frozen=True)
class Refusal:
    """Why a request is answered at once. The connection is closed after it."""

    status: int
    text: str

    @property
    def body(self) -> bytes:
        """The fault, in the form that the API's have."""
        side = "Server" if self.status >= 500 else "Client"
        return json.dump_bytes({"faultcode": side, "faultstring": self.text, "debuginfo": None})

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Header fields that describe the body."""
        found = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        if self.status == http.HTTPStatus.SERVICE_UNAVAILABLE:
            found.append((b"retry-after", str(RETRY_AFTER).encode()))
        return found

    @property
    def message(self) -> bytes:
        """The whole answer as it is sent."""
        phrase = http.HTTPStatus(self.status).phrase
        head = f"HTTP/1.1 {self.status} {phrase}\r\n".encode()
        fields = b"".join(b"%b: %b\r\n" % field for field in self.headers)
        return b"%b%b\r\n%b" % (head, fields, self.body)


class RequestRefused(Exception):
    """Raised where a request turns out to be unacceptable."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.text)
        self.refusal = refusal


MALFORMED = Refusal(400, "This is not a valid HTTP request.")
SMALL_CHUNKS = Refusal(
    400, "The body has too many small chunks ([api] max_small_chunks), send it in larger ones."
)
INCOMPLETE = Refusal(400, "The request is incomplete.")
TOO_SLOW = Refusal(408, "The request has not come completely in time ([api] header_timeout).")
BODY_TOO_SLOW = Refusal(408, "The body has not come completely in time ([api] body_timeout).")
CROWDED = Refusal(503, "There are too many connections ([api] max_connections), try again.")
OUT_OF_MEMORY = Refusal(
    503, "Too many large requests are on their way ([api] max_buffered_mb), try again."
)
OVERDUE = Refusal(
    503, "The request has waited too long for its turn ([api] engine_timeout), try again."
)
BROKEN = Refusal(500, "Internal server error.")
STOPPING = Refusal(503, "The service stops, try again.")
