"""Which state transitions and commands the runs have come through."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

from mistral.engine import dispatcher
from tests.simulation.memory import Change


@dataclasses.dataclass
class Coverage:
    """Counts of what happened over many runs."""

    transitions: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    commands: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    mails: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)

    def changed(self, change: Change) -> None:
        """A committed change of a row."""
        old, new = change.old, change.new
        row = new or old
        if row is None or "state" not in row or "idx" not in row and "unique_key" not in row:
            return
        name = change.kind.__name__
        if str(row.get("unique_key") or "").startswith("rollback-"):
            name = "Compensation"
        elif row.get("base_name"):
            name = "AdHocAction"
        before = old["state"] if old else "-"
        after = new["state"] if new else "-"
        if before != after:
            self.transitions[f"{name} {before} -> {after}"] += 1

    @contextlib.contextmanager
    def counting_commands(self) -> Iterator[None]:
        """While this holds, what the dispatcher carries out is counted."""
        counting = Counting(dispatcher._ANSWERS, self.commands)
        with mock.patch.object(dispatcher, "_ANSWERS", counting):
            yield

    def missing(self, wanted: Mapping[str, Iterable[str]]) -> list[str]:
        """What was wanted and did not happen, by the names of the counters."""
        return [
            f"{kind}: {name}"
            for kind, names in wanted.items()
            for name in sorted(names)
            if not getattr(self, kind)[name]
        ]

    def report(self) -> str:
        """All counts as text."""
        lines = []
        for field in dataclasses.fields(self):
            lines.append(f"{field.name}:")
            counts = getattr(self, field.name)
            lines += [f"  {count:8d}  {name}" for name, count in counts.most_common()]
        return "\n".join(lines)


class Counting(dict[Any, Any]):
    """A table of functions that counts which of them are looked up."""

    def __init__(self, table: Mapping[Any, Any], counter: collections.Counter[str]) -> None:
        super().__init__(table)
        self._counter = counter

    def __getitem__(self, key: Any) -> Any:
        self._counter[key if isinstance(key, str) else key.__name__] += 1
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[Any]:
        return super().__iter__()
