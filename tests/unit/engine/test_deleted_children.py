"""A sub-workflow execution is deleted while its parent's rollback waits for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.db.core import entity_rows, tables
from mistral.db.execution import deletion
from mistral.db.execution.store import Store
from mistral.engine import execution_events
from mistral.engine.default_engine import DefaultEngine
from mistral.engine.inbox import decisions
from mistral.engine.mail.executions import EventDue
from mistral.utils import clock, ids
from mistral.workflow.entities import ExecutionEvent

FLOWS = """
child:
  tasks:
    s: {action: std.async_noop, rollback: std.async_noop}
main:
  tasks:
    c: {workflow: child, on-success: o}
    o: {action: std.async_noop}
"""

ASKED = ExecutionEvent(
    id="e",
    execution_id="gone",
    kind=execution_events.ROLLBACK,
    source_id="above",
    task_id="t",
    attempt=2,
    number=1_000_000,
    created_at=clock.utc_now(),
)


def farewell(own: Any, unheard: Any) -> Any:
    return execution_events.of_deletion(own, unheard, ids.new_id, clock.utc_now())


def delete(site: Any, execution_id: str) -> None:
    deletion.delete_execution(site.database, execution_id, farewell)


@pytest.fixture
def family(site: Any) -> tuple[DefaultEngine, str, str]:
    """A parent, and its child that has ended."""
    engine = site.engine()
    parent = site.start(engine, FLOWS)
    child = site.child(parent)
    site.wait(child, "RUNNING")
    site.deliver(child)
    engine.action_delivered(site.action(child).id, child)
    site.wait(child, "SUCCESS")
    eventually(site, engine, lambda: len(site.actions(parent)) == 1)
    return engine, parent, child


def eventually(site: Any, engine: DefaultEngine, reached: Callable[[], bool]) -> None:
    until = clock.steady() + 20
    while not reached():
        assert clock.steady() < until
        site.look(engine)


def assert_refused(site: Any, engine: DefaultEngine, parent: str, child: str) -> None:
    eventually(site, engine, lambda: site.execution(parent).state == "ERROR")
    text = f"The sub-workflow execution was deleted [execution_id={child}]"
    assert text in site.execution(parent).state_info


def test_while_it_rolls_back(site: Any, family: tuple[DefaultEngine, str, str]) -> None:
    engine, parent, child = family
    engine.rollback_workflow(parent)
    eventually(site, engine, lambda: site.execution(child).rollback is not None)
    delete(site, child)
    assert_refused(site, engine, parent, child)


def test_before_it_has_heard_of_it(
    site: Any, family: tuple[DefaultEngine, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, parent, child = family
    monkeypatch.setattr(engine._transactions, "ring", lambda ready: None)
    engine.rollback_workflow(parent)
    monkeypatch.undo()
    delete(site, child)
    assert_refused(site, engine, parent, child)


def test_while_it_is_deleted_in_parts(
    site: Any, family: tuple[DefaultEngine, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _, child = family
    monkeypatch.setattr(deletion, "_BATCH", 1)
    assert deletion.begin(site.database, child, farewell)
    asked = dataclasses.replace(ASKED, execution_id=child)
    site.database.write(lambda conn: entity_rows.insert(conn, [asked]))
    engine._inbox.handle(child, [EventDue(asked.id)])
    assert_answered(site.database.read(answers))
    deletion.finish(site.database, child)


def test_when_nothing_is_left_of_it(site: Any) -> None:
    def work(conn: sa.Connection) -> None:
        entity_rows.insert(conn, [ASKED])
        assert decisions.set_aside(Store(conn), [EventDue(ASKED.id)], clock.utc_now()) == 1

    site.database.write(work)
    assert_answered(site.database.read(answers))


def answers(conn: sa.Connection) -> list[ExecutionEvent]:
    events = tables.execution_events
    found = sa.select(events).where(events.c.kind == execution_events.CHILD_ROLLED_BACK)
    return entity_rows.load(conn, ExecutionEvent, found, {})


def assert_answered(found: list[ExecutionEvent]) -> None:
    assert [(e.execution_id, e.task_id, e.attempt) for e in found] == [("above", "t", 2)]
    assert found[0].payload["done"] is False
