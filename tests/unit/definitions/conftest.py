"""What the tests of definitions work with: a database, expressions, actions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from mistral.actions.descriptors import PythonActionDescriptor
from mistral.db.core.database import Database
from mistral.definitions import Definitions
from mistral.expressions import (
    Expressions,
)
from mistral.lang import DocumentLimits
from mistral_lib.actions import Action


class Clock:
    """Goes on by a minute each time it is read."""

    def __init__(self) -> None:
        self.now = dt.datetime(2024, 5, 6, 7, 8, 9)

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(minutes=1)
        return self.now


_NAMES = ("std.echo", "book.builtin")


class Echo(Action):  # type: ignore[misc]
    """Says it again."""

    def __init__(self, output: object, delay: int = 0) -> None:
        self.output = output

    def run(self, context: object) -> object:
        return self.output


def _described(name: str) -> PythonActionDescriptor:
    return PythonActionDescriptor(name, Echo, is_system=True)


class Registry:
    """Knows one plug-in action, ``std.echo``, and one of a workbook's name."""

    def find_all(self) -> list[PythonActionDescriptor]:
        """Both."""
        return [_described(name) for name in _NAMES]

    def find(self, action_name: str, namespace: str | None = None) -> object | None:
        return _described(action_name) if action_name in _NAMES else None


@pytest.fixture
def definitions(database: Database, expressions: Expressions) -> Definitions:
    return Definitions(database, expressions, Registry(), Clock())


@pytest.fixture
def make_definitions(database: Database, expressions: Expressions) -> Callable[..., Definitions]:
    """The same with other limits."""

    def make(**limits: int) -> Definitions:
        return Definitions(database, expressions, Registry(), Clock(), DocumentLimits(**limits))

    return make
