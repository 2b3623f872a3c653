"""Actions as somebody outside of the service writes them: only ``mistral_lib`` is used.

The documentation shows them.
"""

from __future__ import annotations

import contextvars
import ctypes
import functools
import logging
import threading
import time
from typing import Annotated, Any

from mistral_lib import actions


class Greet(actions.Action):
    """Greets somebody."""

    def __init__(self, name: str, greeting: str = "Hello") -> None:
        if not name:
            raise actions.ActionException("Nobody to greet.")
        self.name = name
        self.greeting = greeting

    def run(self, context: actions.ActionContext) -> dict[str, str | None]:
        return {
            "text": f"{self.greeting}, {self.name}!",
            "workflow": context.execution.workflow_name,
        }

    def test(self, context: actions.ActionContext) -> dict[str, str | None]:
        return {"text": "a greeting", "workflow": None}


class Unlock(actions.Action):
    """Opens a door."""

    def __init__(
        self,
        pin: actions.SecretStr,
        badge: Annotated[dict[str, Any] | None, actions.Secret()] = None,
        options: Annotated[dict[str, Any] | None, actions.Secret(by_name=True)] = None,
    ) -> None:
        self.pin = pin
        self.badge = badge
        self.options = options or {}

    def run(self, context: actions.ActionContext) -> bool:
        return self.pin == "2718" and self.options.get("door_token") != "***"


class Paint(actions.Action):
    """Paints something small or large."""

    def __init__(self, size: str, pin: actions.SecretStr = "") -> None:
        self.size = size
        self.pin = pin

    def run(self, context: actions.ActionContext) -> None:
        print("mixing colours")
        say = functools.partial(logging.warning, "all of %s", "the colours")
        helper = threading.Thread(target=contextvars.copy_context().run, args=(say,))
        helper.start()
        helper.join()
        raise ValueError(f"size must be small or large, not {self.size} (pin {self.pin})")


class Ask(actions.Action):
    """Asks somebody and waits for the answer."""

    def __init__(self, question: str) -> None:
        self.question = question

    def run(self, context: actions.ActionContext) -> actions.Result | None:
        if self.question == "impossible":
            return actions.Result(error="Nobody can answer that.")
        return None

    def is_sync(self) -> bool:
        return False


class Hold(actions.Action):
    """Lets nothing else of its process run for a while."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def run(self, context: actions.ActionContext) -> float:
        return hold(context, self.seconds)


def initials(context: Any, full_name: str) -> str:
    """First letters: a function for expressions; the context is the data they see."""
    return "".join(word[0] for word in full_name.split())


class Paths:
    """A language of paths: ``$[person.name]`` is a part of the data."""

    search_pattern = r"\$\[[^\[\]]*\]"

    def is_expression(self, text: str) -> bool:
        """Whether a text in which the pattern is found contains an expression."""
        return "$[" in text

    def validate(self, text: str) -> None:
        """Raise an exception for a syntax error."""
        if ".." in text:
            raise ValueError("a path has no empty steps")

    def evaluate(self, text: str, context: Any) -> Any:
        """The value of a text; the context has the ``data`` that expressions see."""
        found = context.data
        for step in text.removeprefix("$[").removesuffix("]").split("."):
            found = found[step]
        return found


def slumber(context: Any, seconds: float) -> float:
    """Takes its time; others run meanwhile."""
    time.sleep(seconds)
    return seconds


def hold(context: Any, seconds: float) -> float:
    """Takes its time inside of C, as a bad library does: the interpreter stands still."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
    return seconds
