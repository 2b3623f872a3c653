"""Transactions that decide something: what takes long happens where nobody waits for it.

On a server the rows that a decision is about are locked, then it is made and written, all in one
transaction; others wait for these rows alone. SQLite has one writer, whom everybody waits for:
there a decision is made on a snapshot, and a short writing transaction carries it out if what would
have been locked is still as it was (law 2). Else it is made again, on a new snapshot: never in the
writer's turn. Whoever loses has lost to somebody who changed the same rows, so together they go on.
"""

from __future__ import annotations

import dataclasses
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import fast_statements, tables
from mistral.workflow.entities import ActionExecution, WorkflowExecution

LOG = logging.getLogger(__name__)

C = TypeVar("C")
T = TypeVar("T")

SNAPSHOTS = 1000
"""How often a decision is made before it is left for later.

Others change its rows at most once for each result that it is about (a hundred in a batch), and at
each operator's command: what loses so often loses to a fault, not to others' work.
"""

_SHORTEST_PAUSE = 0.001
_LONGEST_PAUSE = 0.1
_OTHERS_WERE_FASTER = "Others change the same things all the time, try again."

_W = tables.workflow_executions
_A = tables.action_executions
_NUMBERS = tables.command_numbers
_EXECUTION = ("id", "version", "state")
_ACTION = ("id", "state", "result_at", "signalled_at", "started_by")


def _again(table: sa.Table, names: Sequence[str]) -> sa.Select[Any]:
    ids: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
    return sa.select(*(table.c[name] for name in names)).where(table.c.id.in_(ids))


_EXECUTIONS_AGAIN = _again(_W, _EXECUTION)
_ACTIONS_AGAIN = _again(_A, _ACTION)


class Deciding(Protocol):
    """What is asked of a database."""

    @property
    def is_sqlite(self) -> bool:
        """Whether all writers wait for each other."""

    def write(self, work: Callable[[sa.Connection], Any]) -> Any:
        """Run a function in one transaction and commit it."""

    def read(self, work: Callable[[sa.Connection], Any]) -> Any:
        """Run a function that only reads, all of it on one snapshot where there is one writer."""

    def pause(self, seconds: float) -> None:
        """Let others go on, outside of any transaction."""


class Premises:
    """The rows that a decision has locked, or would have: as they were, and what it has promised.

    What others do to these rows without being seen here (the relay moves the time of its next look)
    neither changes a decision nor is undone by it: only differences are written.
    """

    def __init__(self) -> None:
        self._executions: dict[str, tuple[Any, ...]] = {}
        self._actions: dict[str, tuple[Any, ...]] = {}
        self._answers: list[tuple[sa.Select[Any], dict[str, Any], list[list[Any]]]] = []
        self._numbers: list[int] = []

    def locked_execution(self, found: WorkflowExecution) -> None:
        """An execution as it was read."""
        self._executions[found.id] = tuple(getattr(found, name) for name in _EXECUTION)

    def locked_actions(self, found: Sequence[ActionExecution]) -> None:
        """Actions as they were read."""
        for action_ex in found:
            self._actions[action_ex.id] = tuple(getattr(action_ex, name) for name in _ACTION)

    def answered(
        self, statement: sa.Select[Any], params: dict[str, Any], found: list[list[Any]]
    ) -> None:
        """A question whose answer, too, has to stay the same."""
        self._answers.append((statement, params, found))

    def number(self, conn: sa.Connection) -> int:
        """The command number that will be the next one, unless somebody takes it first."""
        last = conn.exec_driver_sql(
            f"SELECT seq FROM sqlite_sequence WHERE name = '{_NUMBERS.name}'"
        ).scalar()
        self._numbers.append(int(last or 0) + len(self._numbers) + 1)
        return self._numbers[-1]

    def hold(self, conn: sa.Connection) -> bool:
        """Whether all is as it was, in a transaction that writes; takes the promised numbers."""
        return (
            _are(conn, _EXECUTIONS_AGAIN, self._executions)
            and _are(conn, _ACTIONS_AGAIN, self._actions)
            and all(
                fast_statements.select(conn, q, params) == found
                for q, params, found in self._answers
            )
            and all(take_number(conn) == number for number in self._numbers)
        )


def _are(conn: sa.Connection, again: sa.Select[Any], known: dict[str, tuple[Any, ...]]) -> bool:
    found = fast_statements.select(conn, again, {"ids": list(known)})
    return {row[0]: tuple(row) for row in found} == known


def take_number(conn: sa.Connection) -> int:
    """The next number of an operator's command."""
    inserted = conn.execute(sa.insert(_NUMBERS).values())
    key: Any = inserted.inserted_primary_key
    number = int(key[0])
    conn.execute(sa.delete(_NUMBERS).where(_NUMBERS.c.id == number))
    return number


@dataclasses.dataclass(frozen=True)
class Decision(Generic[C, T]):
    """What was decided. ``write`` is called once, in the transaction that carries it out."""

    write: Callable[[C], T]
    premises: Premises = dataclasses.field(default_factory=Premises)


def decide(database: Deciding, think: Callable[[sa.Connection], Decision[sa.Connection, T]]) -> T:
    """Decide, and carry it out in one transaction.

    :param think: only reads, on a server with locks; it may be called again.
    :raises UnavailableException: others were faster, more often than can be. Nothing is stored.
    """
    if database.is_sqlite:
        return _decide_on_snapshots(database, think)
    done: T = database.write(lambda conn: think(conn).write(conn))
    return done


def _decide_on_snapshots(
    database: Deciding, think: Callable[[sa.Connection], Decision[sa.Connection, T]]
) -> T:
    for lost in range(SNAPSHOTS):
        if lost:
            longest = min(_SHORTEST_PAUSE * 2 ** min(lost, 10), _LONGEST_PAUSE)
            database.pause(longest * random.uniform(0.5, 1.0))
        attempt: _Attempt[T] = _Attempt(database.read(think))
        if database.write(attempt):
            return attempt.results[0]
    LOG.warning("Decided %s times in vain, others were faster: left for later", SNAPSHOTS)
    raise exc.UnavailableException(_OTHERS_WERE_FASTER)


class _Attempt(Generic[T]):
    """One try to carry a decision out: a transaction that failed half-way has used it up."""

    def __init__(self, decision: Decision[sa.Connection, T]) -> None:
        self._decision = decision
        self._is_used = False
        self.results: list[T] = []

    def __call__(self, conn: sa.Connection) -> bool:
        if self._is_used or not self._decision.premises.hold(conn):
            return False
        self._is_used = True
        self.results = [self._decision.write(conn)]
        return True
