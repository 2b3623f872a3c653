"""The standard actions without effects outside (doc:language/standard_actions)."""

from __future__ import annotations

import math
import threading
from typing import Any

from mistral.actions.base import InstantAction
from mistral_lib.actions import ActionContext, ActionException, Result


def seconds_of(value: Any) -> float:
    """A number of seconds; what is none, or negative, counts as 0."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return seconds if 0 < seconds < math.inf else 0.0


def wait(seconds: float) -> None:
    """Let the time pass; nobody can end the wait early."""
    if seconds:
        threading.Event().wait(min(seconds, threading.TIMEOUT_MAX))


class NoOpAction(InstantAction):
    """Does nothing and returns null."""

    def run(self, context: ActionContext) -> None:
        return None


class AsyncNoOpAction(InstantAction):
    """Does nothing and waits for a result from outside."""

    def run(self, context: ActionContext) -> None:
        return None

    def is_sync(self) -> bool:
        return False


class EchoAction(InstantAction):
    """Returns its `output` unchanged, after `delay` seconds."""

    def __init__(self, output: Any, delay: Any = 0) -> None:
        self.output = output
        self.delay = seconds_of(delay)

    def is_instant(self) -> bool:
        return not self.delay

    def run(self, context: ActionContext) -> Any:
        wait(self.delay)
        return self.output

    def test(self, context: ActionContext) -> Any:
        return self.output


class FailAction(InstantAction):
    """Fails, with `error_data` as the error where it is given."""

    def __init__(self, error_data: Any = None) -> None:
        self.error_data = error_data

    def run(self, context: ActionContext) -> Result:
        if self.error_data:
            return Result(error=self.error_data)
        raise ActionException("Fail action expected exception.")

    def test(self, context: ActionContext) -> Result:
        return self.run(context)


class SleepAction(InstantAction):
    """Waits for `seconds` and returns null."""

    def __init__(self, seconds: Any = 1) -> None:
        self.seconds = seconds_of(seconds)

    def is_instant(self) -> bool:
        return not self.seconds

    def run(self, context: ActionContext) -> None:
        wait(self.seconds)


class TestDictAction(InstantAction):
    """Returns a mapping of `size` keys, each `key_prefix` and a number, with the value `val`."""

    __test__ = False  # not a test case, whatever its name says

    def __init__(self, size: int = 0, key_prefix: str = "", val: Any = "") -> None:
        self.size = size
        self.key_prefix = key_prefix
        self.val = val

    def run(self, context: ActionContext) -> dict[str, Any]:
        return {f"{self.key_prefix}{number}": self.val for number in range(int(self.size))}
