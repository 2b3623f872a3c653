"""What an exception of an action's code says to users and to the log: without secrets."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Mapping
from typing import Any

from mistral.actions import secrets

MAX_MESSAGE = 65_000
_MAX_TRACE = 20_000


@dataclasses.dataclass(frozen=True)
class Failure:
    """The message is for the one who runs the action, the trace for the one who wrote it."""

    message: str
    trace: str


def describe(error: BaseException, parameters: Mapping[str, Any]) -> Failure:
    """Both texts; the parameters say what has to be masked in them."""
    # what is cut off may have begun within a secret, so there is more than is kept
    message = secrets.mask(_text_of(error)[: 2 * MAX_MESSAGE], parameters)[:MAX_MESSAGE]
    trace = secrets.mask(_trace_of(error), parameters)
    return Failure(message, trace if len(trace) <= _MAX_TRACE else f"... {trace[-_MAX_TRACE:]}")


def _text_of(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001  (foreign code)
        return type(error).__name__


def _trace_of(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(error)
    except Exception:  # noqa: BLE001  (foreign code again)
        lines = [*traceback.format_tb(error.__traceback__), type(error).__name__]
    return "".join(lines).strip()[-2 * MAX_MESSAGE :]
