"""A request as controllers see it: caller, query and body, each read at most once."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any, Protocol
from urllib.parse import parse_qsl

import webob

from mistral import exceptions as exc
from mistral.api.errors import NotTextException, UnsupportedMediaTypeException
from mistral.api.routes import Route
from mistral.context import RequestContext
from mistral.db.reading.filters import parse_flag
from mistral.utils import ids, json

_CHUNK = 65536
_NUMBERS = ("limit", "max_depth")
_NOT_GIVEN = "None"
"""What openstacksdk sends as ``scope`` when its caller has given none; it is no scope."""
_DECIMAL = re.compile("[+-]?[0-9]+")


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ApiRequest(webob.BaseRequest):
    """A WebOb request without its thread-shared and ad-hoc attributes.

    What it is found to be is set on its way through the layers (:mod:`mistral.api.layers`):
    ``caller`` unless the route is open, the rest when it is routed.
    """

    route: Route
    arguments: tuple[str, ...]
    caller: RequestContext
    body_limit: int = 0
    containers: json.ContainerLimit = json.USUAL_CONTAINERS
    public_url: str | None = None

    @property
    def service_url(self) -> str:
        """The address of the service, without a version, as its clients know it."""
        return self.public_url or self.host_url

    @functools.cached_property
    def query(self) -> dict[str, str]:
        """The query's parameters; of repeated ones the last counts, numbers may not be repeated."""
        text = self.environ.get("QUERY_STRING", "")
        pairs = parse_qsl(text, keep_blank_values=True) if text else []
        query = dict(pairs)
        if len(query) < len(pairs):
            _refuse_repeated([name for name, _ in pairs])
        for name, value in query.items():
            if "\0" in name or "\0" in value:
                raise exc.InputException(f"Argument {name!r} contains the character NUL.")
        if query.get("scope") == _NOT_GIVEN:
            del query["scope"]
        return query

    def allow_query(self, *names: str) -> dict[str, str]:
        """The query, which may have no other parameters.

        :raises InputException: naming the unknown one.
        """
        refuse_unknown(self.query, names)
        return self.query

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean parameter."""
        text = self.query.get(name)
        return default if text is None else parse_flag(name, text)

    def number(self, name: str, default: int) -> int:
        """An integer parameter."""
        text = self.query.get(name)
        return default if text is None else parse_number(name, text)

    def fields(self) -> list[str]:
        """The parameter ``fields``."""
        return word_list(self.query.get("fields", ""))

    @functools.cached_property
    def raw_body(self) -> bytes:
        """The body, within the limit.

        :raises RequestTooLargeException: the body is longer.
        :raises UnsupportedMediaTypeException: it is XML.
        """
        kind = self.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind.endswith(("/xml", "+xml")):
            raise UnsupportedMediaTypeException(f"Unsupported content type: {kind}.")
        length = self.environ.get("CONTENT_LENGTH") or None
        stream: _Stream = self.environ["wsgi.input"]
        if length is not None:
            if not (length.isascii() and length.isdigit()):
                raise exc.InputException(f"Invalid Content-Length: {length!r}.")
            self._check_size(int(length))
            return _read_whole(stream, int(length))
        if "HTTP_TRANSFER_ENCODING" in self.environ or self.environ.get("wsgi.input_terminated"):
            return self._read_all(stream)
        return b""

    def _read_all(self, stream: _Stream) -> bytes:
        parts, size = [], 0
        while part := _read_some(stream, _CHUNK):
            size += len(part)
            self._check_size(size)
            parts.append(part)
        return b"".join(parts)

    def _check_size(self, size: int) -> None:
        if 0 <= self.body_limit < size:
            raise exc.RequestTooLargeException(
                f"Request body is larger than the limit of {self.body_limit} bytes "
                "([api] max_request_body_size)."
            )

    def text_body(self) -> str:
        """The body as UTF-8 text.

        :raises NotTextException: it is none.
        """
        try:
            return self.raw_body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise NotTextException(f"The request body is not UTF-8 text: {error}.") from error

    def json_body(self) -> dict[str, Any]:
        """The body as a JSON object."""
        raw = self.raw_body
        kind = self.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind and kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaTypeException(
                f"Unsupported content type: {kind}; application/json is expected."
            )
        try:
            body = json.parse(raw, self.containers)
        except ValueError as error:
            raise exc.InputException(f"Request is not in valid JSON format: {error}.") from error
        if not isinstance(body, dict):
            raise exc.InputException("The request body has to be a JSON object.")
        return body


def _read_whole(stream: _Stream, length: int) -> bytes:
    body = _read_some(stream, length) if length else b""
    if len(body) < length:
        # half of a document may well be a valid one
        raise exc.InputException(
            f"The request body is incomplete: {len(body)} of {length} bytes have come."
        )
    return body


def _read_some(stream: _Stream, size: int) -> bytes:
    try:
        return stream.read(size)
    except (OSError, ValueError) as error:
        # the client is gone or silent, or its chunks are none
        raise exc.InputException(f"The request body can't be read: {error}.") from error


def _refuse_repeated(names: list[str]) -> None:
    for name in _NUMBERS:
        if names.count(name) > 1:
            raise exc.InputException(f"Argument {name} is given more than once.")


def refuse_unknown(query: Iterable[str], known: Iterable[str]) -> None:
    """Raise InputException for a query parameter that nobody knows."""
    unknown = set(query).difference(known)
    if unknown:
        raise exc.InputException(f"Unknown argument: {', '.join(sorted(map(repr, unknown)))}.")


def parse_number(name: str, text: str) -> int:
    """A decimal number of a query."""
    try:
        if _DECIMAL.fullmatch(text) is None:
            raise ValueError
        return int(text)
    except ValueError:
        raise exc.InputException(
            f"Invalid input for argument {name}: {text!r} is not an integer."
        ) from None


def word_list(text: str) -> list[str]:
    """A comma separated list: trimmed, lower-cased, without empty and repeated words."""
    words = (word.strip().lower() for word in text.split(","))
    return list(dict.fromkeys(word for word in words if word))


def require_uuid(text: str) -> str:
    """The text, which has to look like a UUID."""
    if not ids.looks_like_uuid(text):
        raise exc.InputException(f"Value should be a UUID, not {text!r}.")
    return text
