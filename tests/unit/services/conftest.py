"""What the tests of definitions work with: a database, expressions, actions."""

from __future__ import annotations

import datetime as dt

import pytest

from mistral.actions.descriptors import PythonActionDescriptor
from mistral.db.transaction import Database
from mistral.expressions import (
    Expressions,
)
from mistral.services.definitions import Definitions
from mistral_lib.actions import Action


class Clock:
    """Goes on by a minute each time it is read."""

    def __init__(self) -> None:
        self.now = dt.datetime(2024, 5, 6, 7, 8, 9)

    def __call__(self) -> dt.datetime:
        self.now += dt.timedelta(minutes=1)
        return self.now


class Registry:
    """Knows one plug-in action, ``std.echo``, and one of a workbook's name."""

    def find(self, action_name: str, namespace: str | None = None) -> object | None:
        if action_name in ("std.echo", "book.builtin"):
            return PythonActionDescriptor(action_name, Action, is_system=True)
        return None


@pytest.fixture
def definitions(database: Database, expressions: Expressions) -> Definitions:
    return Definitions(database, expressions, Registry(), Clock())
