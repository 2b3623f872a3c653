"""Counting publications, so that where branches meet no old value beats a newer one.

On unless the operator does not want it (doc:language/publishing#where-branches-meet). Beside its
variables the context of a branch carries how often each was published on the way here, and the
*line* of its value: the marks of the publications that made it (several, where branches had met),
and the marks of older ones that another branch may still hold. A value of which one branch has
replaced everything is dropped where it meets that branch; what several branches have published is
merged, the more often published value last.

A publication can only be held elsewhere if the task that handed it on had several followers, so
lines don't grow in loops. Nobody who looks at contexts sees any of this.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple, Self

from mistral.workflow.entities import TaskExecution
from mistral.workflow.values import Bag

_KEY_LENGTH: Final = 16
_MARK_BYTES: Final = 6


class Line(NamedTuple):
    """The marks of the publications that made a value, and of older ones."""

    own: Sequence[str] = ()
    older: Sequence[str] = ()

    @classmethod
    def decode(cls, text: str | None) -> Self:
        """The opposite of :meth:`encode`; nothing is known of a value without a line."""
        if text is None:
            return cls()
        own, _, older = text.partition("|")
        return cls(own.split(), older.split())

    def encode(self, kept: int) -> str:
        """A short text, for contexts have one for each variable.

        :param kept: so many older publications are remembered.
        """
        older = self.older[:kept]
        return f"{' '.join(self.own)}|{' '.join(older)}" if older else " ".join(self.own)

    def handed_on(self) -> Line:
        """The line of a value that others get, too."""
        return Line(self.own, [*self.own, *(mark for mark in self.older if mark not in self.own)])


@dataclasses.dataclass(frozen=True)
class Held:
    """A context that has a variable; ``is_own``: its last task published it."""

    context: Bag
    is_own: bool


@dataclasses.dataclass(frozen=True)
class Meeting:
    """What becomes of a variable where branches meet: whose values count, the last one most."""

    order: Sequence[Bag]
    count: int
    line: Line


@dataclasses.dataclass(frozen=True)
class Versioning:
    """Whether publications are counted, and whether under hashes of the variables' names.

    ``known`` is how many older publications a line remembers: what is older still merges as if it
    were unrelated. Of ``merged`` publications of a merged value each is told apart; of more, all or
    none is replaced.
    """

    enabled: bool = False
    hashed: bool = True
    known: int = 32
    merged: int = 8

    def outbound(self, task_ex: TaskExecution, context: Bag) -> Bag:
        """The variables that a finished task hands on, with what is known of their values."""
        published, is_fork = task_ex.published, _has_several_followers(task_ex)
        if not published and not is_fork:
            return context
        counts, lines = dict(context.versions), dict(task_ex.in_context.lines)
        for name in published:
            key = self.key(name)
            counts[key] = task_ex.in_context.versions.get(key, 0) + 1
            mark = _mark(task_ex.id, str(task_ex.attempt), str(counts[key]))
            lines[key] = Line((mark,), Line.decode(lines.get(key)).older).encode(self.known)
        if is_fork:
            lines = {
                key: Line.decode(line).handed_on().encode(self.known) for key, line in lines.items()
            }
        return context.versioned(counts, lines)

    def meeting(self, name: str, held: Sequence[Held]) -> Meeting:
        """What becomes of a variable where these branches meet."""
        key = self.key(name)
        lines = [Line.decode(each.context.lines.get(key)) for each in held]
        counts = [each.context.versions.get(key, 0) for each in held]
        gone = {mark for line in lines for mark in line.older if mark not in line.own}
        left = [i for i, line in enumerate(lines) if not line.own or not gone.issuperset(line.own)]
        left.sort(key=lambda i: (counts[i], held[i].is_own))
        marks = sorted({mark for i in left for mark in lines[i].own})
        own = marks if len(marks) <= self.merged else [_mark(*marks)]
        older = dict.fromkeys(mark for line in lines for mark in line.older)
        return Meeting([held[i].context for i in left], max(counts), Line(own, [*older]))

    def key(self, name: str) -> str:
        """Under which name a variable is counted."""
        if not self.hashed:
            return name
        return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_KEY_LENGTH]


def _has_several_followers(task_ex: TaskExecution) -> bool:
    """Whether more than one task may get the context: of what a reverse workflow runs, any."""
    if task_ex.next_tasks is None:
        return task_ex.has_next_tasks
    return len(task_ex.next_tasks) > 1


def _mark(*parts: str) -> str:
    text = "/".join(parts).encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=_MARK_BYTES).digest()
    return base64.urlsafe_b64encode(digest).decode()


ON: Final = Versioning(enabled=True)
OFF: Final = Versioning()
