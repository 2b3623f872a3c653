"""Fault points: named places at which a test can kill or delay a process. Off in production.

The environment variable ``MISTRAL_FAULT_POINTS`` lists them as ``name=action`` separated by
commas; the action is ``kill`` (as by SIGKILL), ``delay:SECONDS`` or ``fail``; ``@N`` behind it
lets the first N-1 passes go through.
"""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator, Mapping

ENVIRONMENT_VARIABLE = "MISTRAL_FAULT_POINTS"


class FaultInjected(RuntimeError):
    """The error that a ``fail`` point raises."""


class Faults:
    """The fault points of one process."""

    def __init__(self, points: str = "") -> None:
        self._actions: dict[str, tuple[str, int, Iterator[int]]] = {}
        for item in filter(None, (part.strip() for part in points.split(","))):
            name, _, action = item.partition("=")
            action, _, passes = action.partition("@")
            self._actions[name] = (action, int(passes or 1), itertools.count(1))

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Faults:
        """The points that a test has set for this process."""
        return cls(environment.get(ENVIRONMENT_VARIABLE, ""))

    def point(self, name: str) -> None:
        """Pass a point: nothing happens unless a test wants it."""
        if not self._actions or name not in self._actions:
            return
        action, wanted, passes = self._actions[name]
        if next(passes) < wanted:
            return
        kind, _, argument = action.partition(":")
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif kind == "delay":
            time.sleep(float(argument))
        elif kind == "fail":
            raise FaultInjected(f"The fault point '{name}' fails by order of a test.")
