"""Counting publications, so that the most often updated value of a variable wins at joins.

Off unless the operator wants it (contract language §16.7). The counts travel with the context of a
branch, beside its variables; nobody who looks at contexts sees them.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable

from mistral.workflow.values import Bag

_KEY_LENGTH = 16


@dataclasses.dataclass(frozen=True)
class Versioning:
    """Whether publications are counted, and whether under hashes of the variables' names."""

    enabled: bool = False
    hashed: bool = True

    def count(self, context: Bag, name: str) -> int:
        """How often a variable was published on the way to a context."""
        return context.versions.get(self._key(name), 0)

    def published(self, context: Bag, names: Iterable[str]) -> dict[str, int]:
        """The counts of a context after some variables were published once more."""
        return self.counts(context, {name: self.count(context, name) + 1 for name in names})

    def counts(self, context: Bag, by_name: dict[str, int]) -> dict[str, int]:
        """The counts of a context with those of some variables changed."""
        return {**context.versions, **{self._key(n): count for n, count in by_name.items()}}

    def _key(self, name: str) -> str:
        if not self.hashed:
            return name
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_LENGTH]


OFF = Versioning()
