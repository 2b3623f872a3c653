"""Expressions assembled without entry points, and facts made of dictionaries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mistral.expressions import (
    BUILTIN,
    DataContext,
    ExpressionOptions,
    Expressions,
    JinjaEvaluator,
    YaqlEvaluator,
)


class DictFacts:
    """Facts from dictionaries; notes what was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.records = {
            "t1": {"name": "t1", "state": "SUCCESS", "result": {"a": [1, 2], "n": None}},
            "t2": {"name": "t2", "state": "ERROR", "result": "bad"},
        }
        self.current: str | None = "t1"
        self.environment: dict[str, Any] = {"a": 1, "b": {"c": 2}}

    def task(self, name: str | None) -> dict[str, Any] | None:
        """By name, or the current one."""
        return self.records.get(name or self.current or "")

    def tasks(self, **filters: Any) -> list[dict[str, Any]]:
        """All of a state."""
        self.asked.append(filters)
        state = filters["state"]
        return [r for r in self.records.values() if state in (None, r["state"])]

    def execution(self) -> dict[str, Any]:
        """The current one."""
        return {"id": "e1", "params": {"x": 1}}

    def executions(self, **filters: Any) -> list[dict[str, Any]]:
        """One, telling how it was asked for."""
        self.asked.append(filters)
        return [{"id": "e1"}]

    def env(self) -> dict[str, Any]:
        """The environment."""
        return self.environment

    def global_(self, name: str) -> Any:
        """One global."""
        return {"g": 7}.get(name)


def assemble(**options: Any) -> Expressions:
    """Both languages with the built-in functions."""
    chosen = ExpressionOptions(**options)
    return Expressions([YaqlEvaluator(chosen, BUILTIN), JinjaEvaluator(chosen, BUILTIN)], chosen)


@pytest.fixture(scope="session", name="assemble")
def assemble_fixture() -> Callable[..., Expressions]:
    """Makes one with other options."""
    return assemble


@pytest.fixture(scope="session")
def expressions() -> Expressions:
    """Shared: it has no state but its caches."""
    return assemble()


@pytest.fixture
def facts() -> DictFacts:
    """A small workflow execution."""
    return DictFacts()


@pytest.fixture
def ctx(facts: DictFacts) -> DataContext:
    """A small context."""
    data = {
        "a": 2,
        "s": "text",
        "secret": "hunter2",
        "n": None,
        "l": [1, 2, 3],
        "m": {"a": 1, "k": "v"},
        "rows": [{"x": 1}, {"x": 2}],
        "json": '{"a": [1, null]}',
    }
    return DataContext(data, facts, {"__env": {"a": 1}})
