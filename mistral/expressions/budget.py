"""The finite budget of one evaluation: no expression may hold up the service.

Time is looked at wherever Python code runs. What a single call of C code does can't be
interrupted, so it is measured before: texts and containers that would become too large, integers
too long, and searches that compare too much are refused. Each refusal names its option.
"""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Iterator, Mapping, Set
from typing import Any

from mistral.expressions.context import DataContext
from mistral.expressions.options import ExpressionOptions
from mistral.expressions.sizes import Sizes

#: all that an expression builds, one value after the other, as a multiple of one value's limit
_BUILT_FACTOR = 4
_SMALL_TEXT = 200
#: how many times longer an evaluation may take when it has to wait for others
_PATIENCE = 1.5
_HASHED = (Set, Mapping)
_LOOK_AGAIN = 0.05


class BudgetExceededError(ValueError):
    """An expression took more time, elements or memory than allowed."""


def or_infinite(limit: float) -> float:
    """A limit as a number to compare with; a negative one is lifted."""
    return limit if limit >= 0 else math.inf


class Evaluation:
    """One run of one expression: what it sees and until when it may run."""

    __slots__ = (
        "context",
        "max_elements",
        "_start",
        "_computed",
        "_deadline",
        "options",
        "_max_bytes",
        "_built",
        "_sizes",
    )

    def __init__(self, context: DataContext, options: ExpressionOptions) -> None:
        self.context = context
        self._start = time.monotonic()
        self._computed = time.thread_time()
        self._deadline = self._start + or_infinite(options.time_limit)
        self.max_elements = or_infinite(options.limit_iterators)
        self.options = options
        self._max_bytes = or_infinite(options.memory_quota)
        self._built = 0
        self._sizes: Sizes | None = None

    def check_time(self) -> None:
        """Raise when the time is over.

        What counts is the time in which this thread computed: a busy process is no fault of the
        expression. But nobody waits for ever.
        """
        if time.monotonic() < self._deadline:
            return
        limit = self.options.time_limit
        computed = time.thread_time() - self._computed
        waited = time.monotonic() - self._start
        if computed > limit or waited > limit * _PATIENCE:
            raise BudgetExceededError(
                f"the expression took longer than [expressions] time_limit = {limit:g} seconds"
            )
        self._deadline = time.monotonic() + min(limit - computed, _LOOK_AGAIN)

    def check_elements(self, count: float) -> None:
        """Raise when a collection has too many elements."""
        if count > self.max_elements:
            raise BudgetExceededError(
                f"a collection has more than [yaql] limit_iterators = {self.max_elements} elements"
            )

    def check_bytes(self, size: float) -> None:
        """Raise when a value would become too large."""
        if size > self._max_bytes:
            raise BudgetExceededError(
                "the expression needs too much memory: a value is larger than "
                f"[yaql] memory_quota = {self._max_bytes} bytes"
            )

    def check_bits(self, bits: float) -> None:
        """Raise when an integer would become too long."""
        if bits > or_infinite(self.options.max_integer_bits):
            raise BudgetExceededError(
                "an integer is longer than [expressions] max_integer_bits = "
                f"{self.options.max_integer_bits}"
            )

    def check_compared(self, characters: int) -> None:
        """Raise when a search would compare each character with very many others."""
        if characters > or_infinite(self.options.max_compared):
            raise BudgetExceededError(
                "the texts are too long for this search: it compares more than [expressions] "
                f"max_compared = {self.options.max_compared} characters"
            )

    def size_of(self, value: Any) -> int:
        """About the bytes of a value; raises as soon as they are too many."""
        return self._measures().of(value)

    def _measures(self) -> Sizes:
        if self._sizes is None:
            self._sizes = Sizes(self.check_bytes)
        return self._sizes

    def built(self, value: Any) -> Any:
        """Count what a function has built: a text, a container, a number."""
        kind = type(value)
        if kind is int:
            self.check_bits(value.bit_length())
        elif kind is str:
            if len(value) > _SMALL_TEXT:
                self.charge(self.size_of(value))
        elif kind is not bool and kind is not float and value is not None:
            self.charge(self._measures().of_built(value))
            if isinstance(value, _HASHED):
                self._check_collisions(value)
        return value

    def _check_collisions(self, value: Collection[Any]) -> None:
        """Numbers can be chosen so that each has to be compared with all others."""
        limit = or_infinite(self.options.max_equal_hashes)
        if len(value) > limit and len(value) - len(set(map(hash, value))) > limit:
            raise BudgetExceededError(
                "more of these numbers than [expressions] max_equal_hashes = "
                f"{limit} have the same hash"
            )

    def returned(self, value: Any) -> Any:
        """Count what a function returned; an iterator counts what it will yield."""
        return self.counted(value) if isinstance(value, Iterator) else self.built(value)

    def charge(self, size: int) -> None:
        """Add a value to what has been built so far; raise when it, or all of it, is too large."""
        self.check_bytes(size)
        self._built += size
        if self._built > self._max_bytes * _BUILT_FACTOR:
            raise BudgetExceededError(
                "the expression needs too much memory: all it builds is more than "
                f"{_BUILT_FACTOR} x [yaql] memory_quota = {self._max_bytes} bytes"
            )

    def counted(self, items: Iterator[Any]) -> Iterator[Any]:
        """The same iterator, with an eye on time and number; a ``filter`` stays one."""
        count = 0

        def seen(item: Any) -> Any:
            nonlocal count
            count += 1
            if count > self.max_elements:
                self.check_elements(count)
            if not count & 63:
                self.check_time()
            return item

        if type(items) is filter:
            return filter(lambda item: (seen(item), True)[1], items)
        return map(seen, items)
