"""Answers: JSON documents and faults (doc:rest/conventions#faults)."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import orjson
import webob

from mistral import exceptions as exc
from mistral.api.errors import MethodNotAllowedException
from mistral.utils import json

Response: TypeAlias = webob.Response

_JSON: Final = "application/json"
_TEXT_ENDPOINT: Final = "application/json;charset=utf-8"
_HEADER_STATUSES: Final = frozenset({401, 415, 423})
_HEADER_TEXT_LIMIT: Final = 2000


def _plain_dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dump_bytes(value)


def answer(value: Any, status: int = 200, text: bool = False) -> Response:
    """A JSON document; ``text`` is the form of the endpoints that take texts."""
    body = _plain_dumps(value)
    return Response(
        app_iter=[body],
        status=status,
        headerlist=[
            ("Content-Type", _TEXT_ENDPOINT if text else _JSON),
            ("Content-Length", str(len(body))),
        ],
    )


def empty(status: int = 204) -> Response:
    """An answer without body."""
    headers = [] if status == 204 else [("Content-Length", "0")]
    return Response(app_iter=[], status=status, headerlist=headers)


def fault(error: exc.MistralError, text: bool = False) -> Response:
    """An error's answer."""
    status = error.http_code
    body: dict[str, Any] = {"faultstring": str(error)}
    if not text:
        body = {"faultcode": "Server" if status >= 500 else "Client", **body, "debuginfo": None}
    response = answer(body, status, text)
    if status in _HEADER_STATUSES:
        response.headers["Server-Error-Message"] = _header_text(error)
    if status == 401:
        response.headers["WWW-Authenticate"] = _header_text(error)
    if isinstance(error, exc.UnavailableException):
        response.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, MethodNotAllowedException) and error.allowed:
        response.headers["Allow"] = ", ".join(error.allowed)
    return response


def _header_text(error: exc.MistralError) -> str:
    printable = "".join(c if 32 <= ord(c) < 127 else " " for c in str(error))
    return printable[:_HEADER_TEXT_LIMIT]
