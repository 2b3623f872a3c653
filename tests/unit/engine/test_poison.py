"""What an engine does with events that it can't handle: nothing else waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db import actions, rows, tables
from mistral.db.store import Store
from mistral.db.transaction import Database
from mistral.engine import incoming, single_actions
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.default_engine import DefaultEngine
from mistral.services.catalog import Catalog
from mistral.utils import clock, ids
from mistral.workflow import results, states
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    TaskExecution,
    WorkflowExecution,
)


class Surroundings:
    """An engine whose relay does not run, and one execution with actions of unknown tasks."""

    def __init__(self, database: Database, is_running: bool = True) -> None:
        queue = MagicMock(spec=ActionQueue)
        queue.options = SendOptions()
        self.database = database
        self.engine = DefaultEngine(database, MagicMock(spec=Catalog), queue)
        if is_running:
            self.engine._mailboxes.start()
        self.execution_id = ids.new_id()
        now = clock.utc_now()
        execution = WorkflowExecution(
            id=self.execution_id,
            workflow_name="w",
            spec_hash="none",
            state=states.RUNNING,
            created_at=now,
        )
        self.task = TaskExecution(
            id=ids.new_id(),
            name="t",
            workflow_execution_id=self.execution_id,
            state=states.RUNNING,
            created_at=now,
        )
        database.write(lambda conn: rows.insert(conn, [execution]))
        database.write(lambda conn: rows.insert(conn, [self.task]))

    def action(self, task_id: str | None) -> str:
        """A running action."""
        action_ex = ActionExecution(
            id=ids.new_id(),
            name="std.noop",
            workflow_execution_id=self.execution_id,
            root_execution_id=self.execution_id,
            task_execution_id=task_id,
            created_at=clock.utc_now(),
        )
        self.database.write(lambda conn: rows.insert(conn, [action_ex]))
        return action_ex.id

    def row(self, action_id: str) -> ActionExecution:
        """An action as it is stored."""
        return self.database.read(lambda conn: actions.by_ids(conn, [action_id]))[0]

    def report(self, *action_ids: str, wait: float = 10) -> int:
        """Results of an executor."""
        return self.engine.on_actions_complete(
            "executor/1",
            [
                {
                    "id": action_id,
                    "wf_ex_id": self.execution_id,
                    "attempt": 0,
                    "kind": "result",
                    "state": "SUCCESS",
                    "result": "x",
                }
                for action_id in action_ids
            ],
            wait,
        )


@pytest.fixture
def database(fresh_sqlite_url: str) -> Iterator[Database]:
    """An empty database."""
    found = Database(fresh_sqlite_url)
    with found.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()
    yield found
    found.close()


@pytest.fixture
def around(database: Database) -> Iterator[Surroundings]:
    """An engine on an empty database."""
    found = Surroundings(database)
    yield found
    found.engine._mailboxes.stop()


def test_a_result_that_cannot_be_handled_is_stored(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its executor would repeat it for ever, and it would be lost at its end."""
    poison, healthy = around.action(around.task.id), around.action(None)
    monkeypatch.setattr(
        incoming.action_handler, "_completed", MagicMock(side_effect=IndexError("a bug"))
    )

    assert around.report(poison, healthy) == 2

    assert around.row(poison).result_at is not None
    assert around.row(poison).next_look_at is not None
    assert not around.row(poison).processed


def test_an_absent_database_is_no_reason_to_give_up(around: Surroundings) -> None:
    action_id = around.action(around.task.id)
    outcome = results.Outcome(states.SUCCESS, "x")
    around.database.write(lambda conn: actions.deliver(conn, action_id, outcome, clock.utc_now()))
    gone = sa.exc.OperationalError(None, None, Exception("connection refused"))  # type: ignore[arg-type]
    mail = incoming.Mail("delivered", action_id, incoming.MAX_TRIES)

    around.engine._failed(around.execution_id, mail, gone)

    assert not around.row(action_id).processed


def test_a_single_action_that_cannot_be_handled_ends_in_error(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the relay would look at it for ever."""
    action_id = ids.new_id()
    action_ex = ActionExecution(
        id=action_id, name="mine", base_name="std.noop", created_at=clock.utc_now()
    )
    around.database.write(lambda conn: rows.insert(conn, [action_ex]))
    outcome = results.Outcome(states.SUCCESS, "x")
    around.database.write(lambda conn: actions.deliver(conn, action_id, outcome, clock.utc_now()))
    monkeypatch.setattr(single_actions, "_finish_adhoc", MagicMock(side_effect=IndexError("a bug")))

    around.engine._handle(action_id, [incoming.Mail("delivered", action_id, incoming.MAX_TRIES)])

    row = around.row(action_id)
    assert (row.state, row.processed, row.next_look_at) == (states.ERROR, True, None)
    values = around.database.read(lambda conn: Store(conn).values(action_id).unpack(row.output))
    assert "IndexError: a bug" in values["result"]
    # the third party repeats what it has delivered
    again = around.database.write(
        lambda conn: actions.deliver(conn, action_id, outcome, clock.utc_now())
    )
    assert again.repeated


def test_a_caller_that_is_gone_holds_no_thread(database: Database) -> None:
    around = Surroundings(database, is_running=False)

    with pytest.raises(exc.UnavailableException):
        around.report(around.action(None), wait=0.01)


def test_an_event_of_a_deleted_execution_is_set_aside(around: Surroundings) -> None:
    event = ExecutionEvent(
        id=ids.new_id(),
        execution_id=ids.new_id(),
        kind="child-finished",
        next_look_at=clock.utc_now(),
        created_at=clock.utc_now(),
    )
    around.database.write(lambda conn: rows.insert(conn, [event]))

    around.engine._handle(event.execution_id, [incoming.Mail("event", event.id)])

    found = around.database.read(lambda conn: Store(conn).events([event.id]))
    assert [e.next_look_at for e in found] == [None]
