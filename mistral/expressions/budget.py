"""The finite budget of one evaluation: no expression may hold up the service."""

from __future__ import annotations

import math
import time
from typing import Any

from mistral.expressions.context import DataContext
from mistral.expressions.options import ExpressionOptions


class BudgetExceededError(ValueError):
    """An expression took more time, elements or memory than allowed."""


def or_infinite(limit: float) -> float:
    """A limit as a number to compare with; a negative one is lifted."""
    return limit if limit >= 0 else math.inf


class Evaluation:
    """One run of one expression: what it sees and until when it may run."""

    __slots__ = ("context", "deadline", "max_elements", "max_bytes")

    def __init__(self, context: DataContext, options: ExpressionOptions) -> None:
        self.context = context
        self.deadline = time.monotonic() + or_infinite(options.time_limit)
        self.max_elements = or_infinite(options.limit_iterators)
        self.max_bytes = or_infinite(options.memory_quota)

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
