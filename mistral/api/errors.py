"""Errors that only HTTP knows."""

from __future__ import annotations

from collections.abc import Iterable

from mistral import exceptions as exc


class MethodNotAllowedException(exc.MistralException):
    """The path exists but not with this verb."""

    http_code = 405
    message = "Method not allowed."

    def __init__(self, message: str | None = None, allowed: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allowed = sorted(allowed)


class UnsupportedMediaTypeException(exc.MistralException):
    """A body of a kind that is never read."""

    http_code = 415
    message = "Unsupported media type."


class NotBuiltException(exc.MistralException):
    """The path belongs to the API, but this version has nothing behind it."""

    http_code = 501
    message = "Not implemented."


class NotTextException(exc.InputException):
    """A document that is not UTF-8 text."""

    message = "The request body is not UTF-8 text."
