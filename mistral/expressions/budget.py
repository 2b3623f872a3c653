"""The finite budget of one evaluation (design §6)."""

from __future__ import annotations

import time
from typing import Any

from mistral.expressions.context import DataContext
from mistral.expressions.options import ExpressionOptions


class BudgetExceededError(ValueError):
    """An expression took more time, elements or memory than allowed."""


class Evaluation:
    """One run of one expression: what it sees and until when it may run."""

    __slots__ = ("context", "deadline", "max_elements", "max_bytes")

    def __init__(self, context: DataContext, options: ExpressionOptions) -> None:
        self.context = context
        limit = options.time_limit
        self.deadline = time.monotonic() + limit if limit >= 0 else float("inf")
        self.max_elements = _limit(options.limit_iterators)
        self.max_bytes = _limit(options.memory_quota)

    def check_time(self) -> None:
        """Raise when the time is over."""
        if time.monotonic() > self.deadline:
            raise BudgetExceededError("the expression took too much time")

    def check_elements(self, count: float) -> None:
        """Raise when a collection has too many elements."""
        if count > self.max_elements:
            raise BudgetExceededError(f"a collection exceeds {self.max_elements} elements")

    def check_bytes(self, size: Any) -> None:
        """Raise when a value would become too large."""
        if size > self.max_bytes:
            raise BudgetExceededError("the expression needs too much memory")


def _limit(value: int) -> float:
    return value if value >= 0 else float("inf")
