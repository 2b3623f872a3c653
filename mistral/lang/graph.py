"""Which task leads to which, conditions ignored. Computed once for a specification."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

Edges = Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Graph:
    """Static edges between tasks; names that are no tasks are left out."""

    inbound: Edges
    outbound: Edges
    starts: tuple[str, ...]
    joins: tuple[str, ...] = ()
    # two threads may compute the same entry; both get the same value
    _reachable: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def of_outbound(cls, edges: Mapping[str, Iterable[str]], joins: Iterable[str] = ()) -> Graph:
        """The graph in which each task names those that follow it."""
        outbound = _clean(edges)
        inbound = _reversed(outbound)
        return cls(inbound, outbound, _without(outbound, inbound), tuple(joins))

    @classmethod
    def of_inbound(cls, edges: Mapping[str, Iterable[str]]) -> Graph:
        """The graph in which each task names those that it needs."""
        inbound = _clean(edges)
        return cls(inbound, _reversed(inbound), _without(inbound, inbound))

    def joins_reachable_from(self, name: str) -> tuple[str, ...]:
        """Joins to which some way leads from a task, in the order of the definition."""
        if not self.joins:
            return ()
        found = self._reachable.get(name)
        if found is None:
            seen = self.reachable_from(name)
            found = tuple(join for join in self.joins if join in seen)
            self._reachable[name] = found
        return found

    def reachable_from(self, *names: str) -> set[str]:
        """Tasks to which some way leads from one of some tasks."""
        seen: set[str] = set()
        todo = list(names)
        while todo:
            for following in self.outbound.get(todo.pop(), ()):
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        return seen

    def cycle(self) -> list[str]:
        """The tasks of one cycle, or nothing."""
        missing = {name: len(before) for name, before in self.inbound.items()}
        todo = list(self.starts)
        while todo:
            name = todo.pop()
            del missing[name]
            for following in self.outbound[name]:
                missing[following] -= 1
                if not missing[following]:
                    todo.append(following)
        if not missing:
            return []
        # each that is left waits for another one that is left: going back must come around
        place: dict[str, int] = {}
        name = next(iter(missing))
        while name not in place:
            place[name] = len(place)
            name = next(before for before in self.inbound[name] if before in missing)
        return [*list(place)[place[name] :], name]


def _clean(edges: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    return {
        name: tuple(dict.fromkeys(other for other in others if other in edges))
        for name, others in edges.items()
    }


def _reversed(edges: Edges) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {name: [] for name in edges}
    for name, others in edges.items():
        for other in others:
            found[other].append(name)
    return {name: tuple(others) for name, others in found.items()}


def _without(names: Iterable[str], inbound: Edges) -> tuple[str, ...]:
    return tuple(name for name in names if not inbound[name])
