"""The items of a with-items task: how many there are, which have begun, how they ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from mistral.workflow import states

_NAMES = ("count", "capacity", "next", "done", "failed", "cancelled")
_OPTIONAL = ("redo", "items", "more")


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclasses.dataclass(frozen=True, slots=True)
class Items:
    """The counters of one run of a task's items.

    ``next`` is the place of the next one to start, among those that ``redo`` names or among all;
    ``capacity`` says how many more may start now, ``noted`` where their variables are kept.
    ``has_more`` tells that a later transaction starts what this one had no room for.
    """

    count: int
    capacity: int
    next: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    redo: tuple[int, ...] | None = None
    noted: Any = None
    has_more: bool = False
    unknown: Mapping[str, Any] = dataclasses.field(default_factory=_nothing)
    """Entries of another version of the service."""

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """What a row holds."""
        redo = stored.get("redo")
        known = {*_NAMES, *_OPTIONAL}
        return cls(
            **{name: stored.get(name, 0) for name in _NAMES},
            redo=None if redo is None else tuple(redo),
            noted=stored.get("items"),
            has_more=bool(stored.get("more")),
            unknown={key: value for key, value in stored.items() if key not in known},
        )

    def stored(self) -> dict[str, Any]:
        """What a row is to hold."""
        entries: dict[str, Any] = {**self.unknown}
        entries |= {name: getattr(self, name) for name in _NAMES}
        if self.redo is not None:
            entries["redo"] = list(self.redo)
        if self.noted is not None:
            entries["items"] = self.noted
        if self.has_more:
            entries["more"] = True
        return entries

    # questions

    @property
    def to_run(self) -> int:
        """How many items this run is about."""
        return self.count if self.redo is None else len(self.redo)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to wait for."""
        return self.done >= self.count or self.cancelled > 0

    @property
    def may_start(self) -> bool:
        """Whether an item is left that has not begun, and room for one."""
        return self.next < self.to_run and self.capacity > 0

    @property
    def are_running(self) -> bool:
        """Whether some have begun and not ended; those that are not repeated count as done."""
        return self.next > self.done - (self.count - self.to_run)

    @property
    def keeps_successes(self) -> bool:
        """Whether only those run that had not succeeded."""
        return self.redo is not None

    def has(self, index: int) -> bool:
        """Whether the lists still have a position: they may be shorter in a rerun."""
        return index < self.count

    # changes

    def item_ended(self, state: str) -> Items:
        """One that was running has ended."""
        return dataclasses.replace(
            self,
            done=self.done + 1,
            capacity=self.capacity + 1,
            failed=self.failed + (state == states.ERROR),
            cancelled=self.cancelled + (state == states.CANCELLED),
        )

    def item_runs_again(self) -> Items:
        """One that had ended runs again, so it takes a place and is no failure any more."""
        return dataclasses.replace(
            self,
            done=self.done - 1,
            capacity=self.capacity - 1,
            failed=max(self.failed - 1, 0),
            cancelled=0,
        )

    def started(self, number: int) -> Items:
        """The next ones, so many, have begun."""
        return dataclasses.replace(
            self, next=self.next + number, capacity=self.capacity - number, has_more=False
        )

    def with_more(self) -> Items:
        """A later transaction goes on with the rest of those that may start."""
        return dataclasses.replace(self, has_more=True)

    def without_more(self) -> Items:
        """Nobody comes to start others: whatever ends first makes room for the next one."""
        return dataclasses.replace(self, has_more=False)

    def with_noted(self, noted: Any) -> Items:
        """The variables of the items are kept where ``noted`` says."""
        return dataclasses.replace(self, noted=noted)

    def redoing(self, indexes: tuple[int, ...]) -> Items:
        """Only these are to run once more."""
        return dataclasses.replace(self, redo=indexes)
