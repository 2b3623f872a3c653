"""What an engine does with events that it can't handle: nothing else waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.execution import due_rows
from mistral.db.execution.action_executions import ActionExecutions
from mistral.db.execution.store import Store
from mistral.db.operations import dead_letters
from mistral.db.storage import Storage
from mistral.definitions.catalog import Catalog
from mistral.engine import action_handler, standalone_actions, workflow_handler
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.default_engine import DefaultEngine
from mistral.engine.inbox import attempts
from mistral.engine.mail.actions import DeliveredResult
from mistral.engine.mail.base import Message
from mistral.engine.mail.executions import StartDue
from mistral.engine.mail.timers import TimerDue
from mistral.rpc.messages import Report
from mistral.utils import clock, ids
from mistral.workflow import results, states
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    TaskExecution,
    Timer,
    WorkflowExecution,
)


class Surroundings:
    """An engine whose relay does not run, and one execution with actions of unknown tasks."""

    def __init__(self, database: Database, is_running: bool = True) -> None:
        queue = MagicMock(spec=ActionQueue)
        queue.options = SendOptions()
        self.database = database
        catalog = MagicMock(spec=Catalog, expressions=MagicMock())
        self.engine = DefaultEngine(Storage(database), catalog, queue)
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
        database.write(lambda conn: entity_rows.insert(conn, [execution]))
        database.write(lambda conn: entity_rows.insert(conn, [self.task]))

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
        self.database.write(lambda conn: entity_rows.insert(conn, [action_ex]))
        return action_ex.id

    def row(self, action_id: str) -> ActionExecution:
        """An action as it is stored."""
        return self.database.read(lambda conn: ActionExecutions(conn).by_ids([action_id]))[0]

    def report(self, *action_ids: str, wait: float = 10) -> int:
        """Results of an executor."""
        return self.engine.on_actions_complete(
            "executor/1",
            [
                Report(action_id, self.execution_id, 0, state="SUCCESS", result="x")
                for action_id in action_ids
            ],
            wait,
        )


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
    monkeypatch.setattr(action_handler, "_completed", MagicMock(side_effect=IndexError("a bug")))

    assert around.report(poison, healthy) == 2

    assert around.row(poison).result_at is not None
    assert around.row(poison).next_look_at is not None
    assert not around.row(poison).processed


def test_an_absent_database_is_no_reason_to_give_up(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    action_id = around.action(around.task.id)
    outcome = results.Outcome(states.SUCCESS, "x")
    around.database.write(
        lambda conn: ActionExecutions(conn).deliver(action_id, outcome, clock.utc_now())
    )
    mail = DeliveredResult(action_id, looks=attempts.MAX_TRIES)
    counted = attempts.DeliveryAttempts(Storage(around.database))
    for _ in range(attempts.MAX_TRIES - 1):
        counted.begin_again(around.execution_id, mail)
    away = MagicMock(side_effect=exc.UnavailableException("connection refused"))
    monkeypatch.setattr(around.engine._inbox._transactions, "handle", away)

    around.engine._inbox.handle(around.execution_id, [mail])

    assert away.call_count == 1
    assert not around.row(action_id).processed
    assert counted.failed(around.execution_id, mail) == attempts.MAX_TRIES - 1


def test_a_single_action_that_cannot_be_handled_ends_in_error(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the relay would look at it for ever."""
    action_id = ids.new_id()
    action_ex = ActionExecution(
        id=action_id, name="mine", base_name="std.noop", created_at=clock.utc_now()
    )
    around.database.write(lambda conn: entity_rows.insert(conn, [action_ex]))
    outcome = results.Outcome(states.SUCCESS, "x")
    around.database.write(
        lambda conn: ActionExecutions(conn).deliver(action_id, outcome, clock.utc_now())
    )
    monkeypatch.setattr(
        standalone_actions, "_transform_stored", MagicMock(side_effect=IndexError("a bug"))
    )

    for look in range(attempts.MAX_TRIES):
        assert not around.row(action_id).processed
        mail = DeliveredResult(action_id, looks=look + 1)
        around.engine._inbox.handle(action_id, [mail])

    row = around.row(action_id)
    assert (row.state, row.processed, row.next_look_at) == (states.ERROR, True, None)
    values = around.database.read(lambda conn: Store(conn).values(action_id).unpack(row.output))
    assert "IndexError: a bug" in values["result"]
    # the third party repeats what it has delivered
    again = around.database.write(
        lambda conn: ActionExecutions(conn).deliver(action_id, outcome, clock.utc_now())
    )
    assert again.repeated


def test_a_caller_that_is_gone_holds_no_thread(database: Database) -> None:
    around = Surroundings(database, is_running=False)

    with pytest.raises(exc.UnavailableException):
        around.report(around.action(None), wait=0.01)


NESTED = """
main:
  tasks:
    s: {workflow: sub}
    healthy: {action: std.async_noop}
sub:
  tasks:
    t: {action: std.async_noop}
"""
WAITING = """
main:
  tasks:
    t: {action: std.async_noop, wait-before: 5000}
"""


def _fails(monkeypatch: pytest.MonkeyPatch, kind: type[Message], names: list[str]) -> list[str]:
    """Let the handling of certain rows fail as a bug would; every try is noted."""
    tries: list[str] = []
    usual = kind.decide

    def handle(mail: Message, unit: Any) -> Any:
        if mail.id in names:
            tries.append(mail.id)
            raise IndexError("a bug")
        return usual(mail, unit)

    monkeypatch.setattr(kind, "decide", handle)
    return tries


def _tries(site: Any, engine: Any, count: int, noted: list[str] | None = None) -> None:
    """The relay looks so many times, and what it finds is handled."""
    for _ in range(count):
        before = len(noted or ())
        site.look(engine)
        if noted is not None:
            # a timer goes through another thread
            site.until(lambda n=before: len(noted) > n, "it is tried")
        site.until(lambda: not engine._mailboxes._boxes, "the mail is handled")


def _given_up(site: Any, engine: Any, execution_id: str, noted: list[str] | None = None) -> str:
    """Nothing happens before the fifth try; what is said after it."""
    _tries(site, engine, attempts.MAX_TRIES - 1, noted)
    assert site.execution(execution_id).state in ("RUNNING", "IDLE")
    _tries(site, engine, 1, noted)
    ended = site.execution(execution_id)
    assert (ended.state, ended.next_look_at) == ("ERROR", None)
    return str(ended.state_info)


def test_a_poisoned_result_ends_its_task(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In ERROR with the cause, and when the cause is gone the task can be run again."""
    engine = site.engine(is_deaf=True)
    execution_id = site.start(engine, WAITING.replace(", wait-before: 5000", ""))
    poisoned = site.action(execution_id).id
    site.deliver(execution_id)
    _fails(monkeypatch, DeliveredResult, [poisoned])
    assert "IndexError: a bug" in _given_up(site, engine, execution_id)
    task_ex = site.task(execution_id, "t")
    assert task_ex.state == "ERROR"
    assert f"kind=delivered, id={poisoned}" in task_ex.state_info
    engine.rerun_workflow(task_ex.id)
    site.deliver(execution_id)
    _tries(site, engine, 1)
    assert site.execution(execution_id).state == "SUCCESS"


def test_a_poisoned_timer_ends_its_task(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = site.engine(is_deaf=True)
    execution_id = site.start(engine, WAITING)
    task_id = site.task(execution_id, "t").id
    query = sa.select(tables.timers.c.id)
    timer_id = site.database.read(lambda conn: conn.execute(query).scalar_one())
    noted = _fails(monkeypatch, TimerDue, [timer_id])
    assert "IndexError: a bug" in _given_up(site, engine, execution_id, noted)
    assert site.task(execution_id, "t").state == "ERROR"
    assert site.read(lambda s: s.timers([timer_id])) == []
    monkeypatch.undo()
    engine.rerun_workflow(task_id)
    site.look(engine)
    site.until(lambda: site.task(execution_id, "t").state == "RUNNING")
    site.deliver(execution_id)
    site.look(engine)
    site.wait(execution_id, "SUCCESS")


def test_a_poisoned_start_ends_the_child_alone(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = site.engine(is_deaf=True)
    parent = site.start(engine, NESTED)
    child = site.child(parent)
    _fails(monkeypatch, StartDue, [child])
    assert "IndexError: a bug" in _given_up(site, engine, child)
    _tries(site, engine, 1)
    assert site.task(parent, "s").state == "ERROR"
    site.deliver(parent)
    _tries(site, engine, 1)
    assert site.task(parent, "healthy").state == "SUCCESS"
    assert site.execution(parent).state == "ERROR"


def test_poisoned_news_end_the_task_that_waits_for_them(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = site.engine(is_deaf=True)
    parent = site.start(engine, NESTED)
    child = site.child(parent)
    _tries(site, engine, 1)
    site.deliver(child)
    monkeypatch.setattr(
        workflow_handler, "_ON_EVENT", {"child-finished": MagicMock(side_effect=IndexError)}
    )
    _tries(site, engine, 1)
    assert site.execution(child).state == "SUCCESS"
    assert "IndexError" in _given_up(site, engine, parent)
    assert site.task(parent, "s").state == "ERROR"


def test_an_end_that_cannot_be_decided_either(site: Any) -> None:
    """The definition is gone: nothing can be evaluated, but the parent is told."""
    engine = site.engine(is_deaf=True)
    parent = site.start(engine, NESTED)
    child = site.child(parent)
    _tries(site, engine, 1)
    site.deliver(child)
    broken = sa.update(tables.workflow_executions).where(tables.workflow_executions.c.id == child)
    site.database.write(lambda conn: conn.execute(broken.values(spec_hash="none")))
    assert "cause=" in _given_up(site, engine, child)
    assert site.task(child, "t").state == "ERROR"
    _tries(site, engine, 1)
    assert site.task(parent, "s").state == "ERROR"


def test_what_belongs_to_a_deleted_execution_is_set_aside(site: Any) -> None:
    """It is visible, may be tried again or be forgotten, and is no reason to look every time."""
    engine = site.engine()
    gone = ids.new_id()
    now = clock.utc_now()
    event = ExecutionEvent(
        id=ids.new_id(), execution_id=gone, kind="child-finished", next_look_at=now, created_at=now
    )
    timer = Timer(ids.new_id(), "retry", gone, ids.new_id(), 0, now)
    done = ActionExecution(
        id=ids.new_id(),
        name="std.noop",
        workflow_execution_id=gone,
        result_at=now,
        next_look_at=now,
        created_at=now,
    )
    undone = ActionExecution(
        id=ids.new_id(),
        name="std.noop",
        workflow_execution_id=gone,
        next_look_at=now,
        created_at=now,
    )
    for row in (event, timer, done, undone):
        site.database.write(lambda conn, row=row: entity_rows.insert(conn, [row]))
    everything = {event.id, timer.id, done.id, undone.id}

    def aside() -> set[str]:
        found = site.database.read(lambda conn: list(dead_letters.find(conn)))
        assert {row.execution_id for row in found} <= {gone}
        return {row.id for row in found}

    def is_due() -> bool:
        return bool(site.database.read(lambda conn: due_rows.anything(conn, now, now)))

    assert aside() == set()
    engine._relay.sweep()
    site.until(lambda: aside() == everything)
    assert not is_due()
    again = site.database.write(lambda conn: dead_letters.retry(conn, [timer.id, event.id], now))
    assert again == 2
    assert aside() == {done.id, undone.id}
    assert is_due()
    engine._relay.sweep()
    site.until(lambda: aside() == everything)
    assert site.database.write(lambda conn: dead_letters.retry(conn, None, now)) == 4
    engine._relay.sweep()
    site.until(lambda: aside() == everything)
    assert site.database.write(lambda conn: dead_letters.forget(conn, [done.id])) == 1
    assert site.database.write(lambda conn: dead_letters.forget(conn, None)) == 3
    assert aside() == set()
