"""Decisions where all writers wait for each other: on a snapshot, carried out if it still holds."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.core.decisions import SNAPSHOTS, Decision, decide
from mistral.db.core.errors import is_transient
from mistral.db.execution.action_executions import ActionExecutions
from mistral.db.execution.store import Store
from mistral.utils import clock
from mistral.workflow.entities import ActionExecution, WorkflowExecution
from mistral.workflow.results import Outcome


@pytest.fixture
def database(database: Database) -> Database:
    """One execution with one action."""
    execution = WorkflowExecution("w", "wf", "0", created_at=clock.utc_now())
    action_ex = ActionExecution(
        "a", "std.noop", workflow_execution_id="w", created_at=clock.utc_now()
    )
    database.write(lambda conn: Store(conn).insert([execution]))
    database.write(lambda conn: Store(conn).insert([action_ex]))
    return database


class Thinking:
    """Raises the execution's version; what ``meanwhile`` does happens before that is written."""

    def __init__(self, meanwhile: Callable[[int], None] = lambda count: None) -> None:
        self.count = 0
        self._meanwhile = meanwhile

    def __call__(self, conn: sa.Connection) -> Decision[sa.Connection, int]:
        store = Store(conn)
        found = store.lock_execution("w")
        store.lock_actions(["a"])
        assert found is not None
        found.version += 1
        self.count += 1
        self._meanwhile(self.count)
        return Decision(lambda conn: self._write(conn, found), store.premises)

    @staticmethod
    def _write(conn: sa.Connection, found: WorkflowExecution) -> int:
        Store(conn).update([found])
        return found.version


def _version(database: Database) -> int:
    found = database.read(lambda conn: Store(conn).execution("w"))
    assert found is not None
    return found.version


def _deliver(database: Database) -> None:
    database.write(
        lambda conn: ActionExecutions(conn).deliver("a", Outcome("SUCCESS"), clock.utc_now())
    )


def _raise_version(database: Database) -> None:
    changes = {"version": tables.workflow_executions.c.version + 1}
    database.write(lambda conn: conn.execute(sa.update(tables.workflow_executions).values(changes)))


def _handle(database: Database) -> None:
    assert decide(database, Thinking()) > 0


def _describe(database: Database) -> None:
    changes = {"description": "x", "tries": 3}
    database.write(lambda conn: conn.execute(sa.update(tables.workflow_executions).values(changes)))


@pytest.mark.parametrize(
    ("change", "count"), [(_deliver, 2), (_handle, 2), (_describe, 1)], ids=lambda value: str(value)
)
def test_it_is_decided_again_when_others_were_faster(
    database: Database, change: Callable[[Database], None], count: int
) -> None:
    thinking = Thinking(lambda number: change(database) if number == 1 else None)
    assert decide(database, thinking) == _version(database)
    assert thinking.count == count


def test_nobody_waits_for_who_decides(database: Database) -> None:
    thinks, may_go_on = threading.Event(), threading.Event()

    def meanwhile(_count: int) -> None:
        thinks.set()
        assert may_go_on.wait(10)

    slow = threading.Thread(target=decide, args=(database, Thinking(meanwhile)))
    slow.start()
    assert thinks.wait(10)
    _describe(database)
    may_go_on.set()
    slow.join(10)
    found = database.read(lambda conn: Store(conn).execution("w"))
    assert found is not None
    assert (found.version, found.description, found.tries) == (1, "x", 3)


@pytest.mark.parametrize("losses", [5, 30])
def test_nothing_is_decided_while_others_wait_for_the_writer(
    fresh_sqlite_url: str, database: Database, losses: int
) -> None:
    """However often others are faster: each time they can write while it is decided."""
    pauses: list[float] = []
    waited: list[int] = []

    def meanwhile(count: int) -> None:
        if count > losses:
            others = threading.Thread(target=_describe, args=(database,))
        else:
            others = threading.Thread(target=_handle, args=(database,))
        others.start()
        others.join(10)
        if others.is_alive():
            waited.append(count)

    unhurried = Database(fresh_sqlite_url, sleep=pauses.append)
    thinking = Thinking(meanwhile)
    decide(unhurried, thinking)
    unhurried.close()
    assert waited == []
    assert thinking.count == losses + 1
    assert _version(database) == losses + 1
    assert len(pauses) == losses
    assert all(0 < pause <= 0.1 for pause in pauses)
    assert pauses[0] <= 0.002 < pauses[-1]


def test_who_never_is_the_first_gives_up_at_last(fresh_sqlite_url: str, database: Database) -> None:
    """A transient failure: mail is looked at later, a caller is told to try again."""
    pauses: list[float] = []
    hurried = Database(fresh_sqlite_url, sleep=pauses.append)
    thinking = Thinking(lambda _count: _raise_version(database))
    with pytest.raises(exc.UnavailableException, match="try again") as raised:
        decide(hurried, thinking)
    hurried.close()
    assert is_transient(raised.value)
    assert thinking.count == SNAPSHOTS == len(pauses) + 1
    assert _version(database) == SNAPSHOTS


def test_a_transaction_that_failed_half_way_is_decided_again(database: Database) -> None:
    """What was written is forgotten by the entities, too."""
    locked = sa.exc.OperationalError("", {}, sqlite3.OperationalError("database is locked"))

    class Failing(Thinking):
        def __call__(self, conn: sa.Connection) -> Decision[sa.Connection, int]:
            decision = super().__call__(conn)

            def write(conn: sa.Connection) -> int:
                version = decision.write(conn)
                if self.count == 1:
                    raise locked
                return version

            return Decision(write, decision.premises)

    thinking = Failing()
    assert decide(database, thinking) == _version(database) == 1
    assert thinking.count == 2


def test_numbers_of_commands_belong_to_one_decision_each(database: Database) -> None:
    def think(
        meanwhile: Callable[[], Any],
    ) -> Callable[[sa.Connection], Decision[sa.Connection, list[int]]]:
        def thinking(conn: sa.Connection) -> Decision[sa.Connection, list[int]]:
            store = Store(conn)
            numbers = [store.command_number(), store.command_number()]
            meanwhile()
            return Decision(lambda conn: numbers, store.premises)

        return thinking

    first: list[int] = []

    def interfere() -> None:
        if not first:
            first.extend(decide(database, think(lambda: None)))

    second = decide(database, think(interfere))
    third = database.write(lambda conn: Store(conn).command_number())
    taken = [*first, *second, third]
    assert taken == sorted(set(taken))


def test_nothing_can_be_written_on_a_snapshot(database: Database) -> None:
    with pytest.raises(sa.exc.OperationalError, match="readonly"):
        database.read(lambda conn: Store(conn).discard_results("t"))
