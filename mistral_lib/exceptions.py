"""Errors of the library, and the one an action raises to fail with a sentence of its own."""

from __future__ import annotations


class MistralLibError(Exception):
    """Base of the library's errors."""

    def __init__(self, message: str = "An unknown error occurred.") -> None:
        super().__init__(message)
        self.message = message


class ActionException(MistralLibError):
    """Raise it in an action to fail with a text meant for the workflow's author.

    The text becomes part of the action's stored error. Don't put secrets into it: neither the
    action's input nor what another system answered to a request that carried credentials.
    """


class SerializationError(MistralLibError):
    """An object can't travel between processes, or what arrived is not such an object."""
