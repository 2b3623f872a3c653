"""The port through which engines reach their database.

An engine is handed one :class:`Storage` when it is built. Its work gets a :class:`Transaction`,
whose rooms offer the functions of ``mistral.db`` without their connection. A simulator hands in a
storage whose transactions have rooms of their own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

import sqlalchemy as sa

from mistral.db import definitions
from mistral.db.core import decisions, errors, server_clock
from mistral.db.core.database import Database
from mistral.db.core.decisions import Decision
from mistral.db.core.errors import DatabaseError, DuplicateRowError, is_transient
from mistral.db.execution import (
    deletion,
    delivery_attempts,
    due_rows,
    heartbeats,
    idempotency_keys,
)
from mistral.db.execution.action_executions import ActionExecutions, SignOfLife
from mistral.db.execution.delivery_attempts import Key
from mistral.db.execution.due_rows import OWNERS
from mistral.db.execution.heartbeats import ENGINES, EXECUTOR, LISTENING, LOOKED, Living
from mistral.db.execution.idempotency_keys import KEPT as RECEIPTS_KEPT
from mistral.db.execution.store import Store
from mistral.db.operations import maintenance
from mistral.db.operations.maintenance import PAUSED, PAUSING, RUNNING, Maintenance

__all__ = [
    "ENGINES",
    "EXECUTOR",
    "LISTENING",
    "LOOKED",
    "OWNERS",
    "PAUSED",
    "PAUSING",
    "RECEIPTS_KEPT",
    "RUNNING",
    "DatabaseError",
    "Decision",
    "DefinitionRows",
    "DuplicateRowError",
    "Key",
    "Living",
    "Maintenance",
    "SignOfLife",
    "Storage",
    "Store",
    "Transaction",
    "is_transient",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Room:
    """Some of what can be asked of a transaction."""

    __slots__ = ("conn",)

    def __init__(self, conn: sa.Connection) -> None:
        self.conn = conn


class bound(Generic[P, R]):
    """A function of a connection as a method of a room."""

    def __init__(self, function: Callable[Concatenate[sa.Connection, P], R]) -> None:
        self._function = function

    def __get__(self, room: Room, _kind: type[Room] | None = None) -> Callable[P, R]:
        return functools.partial(self._function, room.conn)


class DefinitionRows(Room):
    """What users define, looked up on behalf of a project."""

    find_action_definition = bound(definitions.find_action_definition)
    find_environment = bound(definitions.find_environment)
    find_workflow_spec = bound(definitions.find_workflow_spec)
    find_workflow_to_start = bound(definitions.find_workflow_to_start)
    list_action_definitions = bound(definitions.list_action_definitions)
    load_spec = bound(definitions.load_spec)


class DueRows(Room):
    """Rows whose time has come."""

    anything = bound(due_rows.anything)
    rows_of = bound(due_rows.rows_of)
    timers = bound(due_rows.timers)


class Heartbeats(Room):
    """Who is alive."""

    last_seen = bound(heartbeats.last_seen)
    living = bound(heartbeats.living)
    seen = bound(heartbeats.seen)


class Receipts(Room):
    """What was carried out for which request."""

    answer = bound(idempotency_keys.answer)
    forget = bound(idempotency_keys.forget)
    is_any_old = bound(idempotency_keys.is_any_old)
    leave = bound(idempotency_keys.leave)
    once_for = bound(idempotency_keys.once_for)


class AttemptRows(Room):
    """How often the handling of an event was begun."""

    acquit = bound(delivery_attempts.acquit)
    begin = bound(delivery_attempts.begin)
    begun = bound(delivery_attempts.begun)
    forget = bound(delivery_attempts.forget)
    note_death = bound(delivery_attempts.note_death)
    suspects = bound(delivery_attempts.suspects)
    take_back = bound(delivery_attempts.take_back)


class MaintenanceRow(Room):
    """What the maintenance mode asks for, and what is left to do for it."""

    claim = bound(maintenance.claim)
    is_quiet = bound(maintenance.is_quiet)
    paused = bound(maintenance.paused)
    read = bound(maintenance.read)
    release = bound(maintenance.release)
    resumed = bound(maintenance.resumed)
    to_pause = bound(maintenance.to_pause)
    to_resume = bound(maintenance.to_resume)


class Deletions(Room):
    """Deletions that are under way."""

    is_any_left = bound(deletion.is_any_left)
    take_over = bound(deletion.take_over)


class Transaction:
    """One transaction: its rows by what they are for. Not shared between threads.

    ``store`` has the rows of executions, ``actions`` what is asked of actions without the lock of
    their execution.
    """

    def __init__(self, conn: sa.Connection) -> None:
        self.store = Store(conn)
        self.actions = ActionExecutions(conn)
        self.attempts = AttemptRows(conn)
        self.definitions = DefinitionRows(conn)
        self.deletions = Deletions(conn)
        self.due = DueRows(conn)
        self.heartbeats = Heartbeats(conn)
        self.maintenance = MaintenanceRow(conn)
        self.receipts = Receipts(conn)
        self._conn = conn

    def ask_time(self) -> None:
        """Ask for the time, which is everybody's; SQLite has none of its own."""
        server_clock.ask(self._conn, self._conn.dialect.name)


class Storage:
    """The database of an engine; safe between its threads.

    :param begin: makes the transaction of a connection.
    """

    def __init__(
        self, database: Database, begin: Callable[[Any], Transaction] = Transaction
    ) -> None:
        self._database = database
        self._begin = begin

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run a function that only reads."""
        begin = self._begin
        return self._database.read(lambda conn: work(begin(conn)))

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run a function in one transaction and commit it; it may run again.

        :raises UnavailableException: the database is away.
        """
        begin = self._begin
        return self._database.write(lambda conn: work(begin(conn)))

    def decide(self, think: Callable[[Transaction], Decision[Transaction, T]]) -> T:
        """Decide, and carry it out in one transaction (:mod:`mistral.db.core.decisions`).

        :raises DuplicateRowError: what was to be inserted is there.
        :raises UnavailableException: the database is away, or others were always faster.
        """
        begin = self._begin

        def with_conn(conn: sa.Connection) -> Decision[sa.Connection, T]:
            decision = think(begin(conn))
            return Decision(lambda conn: decision.write(begin(conn)), decision.premises)

        try:
            return decisions.decide(self._database, with_conn)
        except sa.exc.IntegrityError as error:
            if errors.is_duplicate(error):
                raise DuplicateRowError(errors.brief(error)) from error
            raise

    def finish_deletion(self, execution_id: str) -> None:
        """Delete what is left of an execution, part by part, each in its own transaction."""
        deletion.finish(self._database, execution_id)
