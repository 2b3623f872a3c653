"""How much is loaded together is known, and bounded, before anything is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from mistral import exceptions as exc
from mistral.workflow.values import Values

LARGE = 100_000


class Stored:
    """Stored values, and how many were read."""

    def __init__(self, *values: str) -> None:
        first = Values(lambda _: {})
        self.bags = [first.pack({"v": value}) for value in values]
        self.made = first.new_size
        self._texts = dict(first.new)
        self.read = 0

    def load(self, hashes: Iterable[str]) -> Mapping[str, bytes]:
        found = {key: self._texts[key] for key in hashes}
        self.read += len(found)
        return found


def test_too_much_is_refused_and_not_read() -> None:
    stored = Stored(*(str(n) * LARGE for n in range(3)))
    values = Values(stored.load)
    values.most_at_once = 3 * LARGE
    with pytest.raises(exc.BoundExceededException, match=r"\[engine\] values_loaded_mb"):
        values.prefetch(stored.bags)
    assert stored.read == 0
    values.prefetch(stored.bags[:2])
    assert stored.read == 2
    # what is here already does not count
    values.prefetch(stored.bags)
    assert values.get(stored.bags[2], "v") == "2" * LARGE


def test_one_value_in_many_places_counts_once() -> None:
    stored = Stored(*["x" * LARGE] * 50)
    assert stored.made == LARGE + 2
    values = Values(stored.load)
    values.most_at_once = LARGE + 2
    values.prefetch(stored.bags)
    assert stored.read == 1


def test_without_a_bound() -> None:
    stored = Stored("x" * LARGE)
    Values(stored.load).prefetch(stored.bags)
    assert stored.read == 1
