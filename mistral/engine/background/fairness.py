"""Fairness of the relay: one execution with very many rows does not hold up the others."""

from __future__ import annotations

import collections
from collections.abc import Collection, Sequence


class Fairness:
    """Who steps back in the next look at one kind of rows.

    The relay looks at the oldest rows first. If a look is full and an execution has taken more
    than its share of it, the next look is without that execution, the one after it with all again:
    whatever belongs to others is found in every second look, however many older rows there are.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._share = limit // 4
        self._without: frozenset[str] = frozenset()

    @property
    def without(self) -> Collection[str]:
        """The executions whose rows are left for another time."""
        return self._without

    def took(self, owners: Sequence[str | None]) -> int:
        """A look has found rows of these executions; how many there are at least."""
        if self._without:
            self._without = frozenset()
            # those who stepped back have more
            return self._limit
        if len(owners) >= self._limit:
            counts = collections.Counter(owners)
            greedy = (owner for owner, count in counts.items() if count > self._share)
            self._without = frozenset(owner for owner in greedy if owner is not None)
        return len(owners)
