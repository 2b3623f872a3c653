"""Large executions go in parts; where that was interrupted it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.db import deletion, rows, tables
from mistral.db.store import Store
from mistral.db.transaction import Database
from mistral.utils import clock
from mistral.workflow import states
from mistral.workflow.entities import (
    ActionExecution,
    JoinInbound,
    TaskExecution,
    Timer,
    WorkflowExecution,
)

BATCH, TASKS = 10, 35


@pytest.fixture
def database(fresh_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A large execution with a child, and another one."""
    monkeypatch.setattr(deletion, "_BATCH", BATCH)
    found = Database(fresh_sqlite_url)
    with found.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()
    for execution_id, parent, count in (("w", None, TASKS), ("c", "w", 3), ("o", None, 3)):
        _fill(found, execution_id, parent, count)
    yield found
    found.close()


def _fill(database: Database, execution_id: str, parent: str | None, count: int) -> None:
    now = clock.utc_now()
    common: dict[str, Any] = {"state": states.RUNNING, "created_at": now}
    names = [f"{execution_id}{number:03}" for number in range(count)]
    execution = WorkflowExecution(
        id=execution_id,
        workflow_name="w",
        spec_hash="none",
        parent_execution_id=parent,
        root_execution_id=parent,
        **common,
    )
    tasks = [
        TaskExecution(id=n, name="t", workflow_execution_id=execution_id, **common) for n in names
    ]
    actions = [
        ActionExecution(
            id=n, name="a", workflow_execution_id=execution_id, task_execution_id=n, **common
        )
        for n in names
    ]
    inbounds = [JoinInbound(n, "x", "ready") for n in names]
    timers = [Timer(n, "retry", execution_id, n, 0, due_at=now) for n in names]
    for entities in ([execution], tasks, actions, inbounds, timers):
        database.write(lambda conn, entities=entities: rows.insert(conn, entities))
    values = {f"{number:04}": b"{}" for number in range(count)}
    if parent is None:
        database.write(lambda conn: Store(conn).save_values(execution_id, values))


def left(database: Database) -> list[int]:
    counted = (
        tables.workflow_executions,
        tables.task_executions,
        tables.action_executions,
        tables.join_inbounds,
        tables.timers,
        tables.execution_values,
    )
    return [
        database.read(
            lambda conn, table=table: conn.scalar(sa.select(sa.func.count()).select_from(table))
        )
        for table in counted
    ]


def test_everything_of_it_goes_and_nothing_else(database: Database) -> None:
    deletion.delete_execution(database, "w")
    assert left(database) == [1, 3, 3, 3, 3, 3]
    deletion.delete_execution(database, "w")
    deletion.delete_execution(database, "o")
    assert left(database) == [0] * 6


def test_it_has_ended_when_a_part_is_gone(database: Database) -> None:
    assert database.write(lambda conn: deletion._delete_part(conn, "w"))
    execution = database.read(lambda conn: Store(conn).execution("w"))
    assert execution is not None and execution.state == states.CANCELLED
    assert left(database)[1:5] == [TASKS + 6, TASKS + 6, TASKS + 6, TASKS + 6 - BATCH]
    deletion.delete_execution(database, "w")
    assert left(database)[0] == 1


def test_no_transaction_is_large(database: Database) -> None:
    sizes = []
    before = sum(left(database))
    while database.write(lambda conn: deletion._delete_part(conn, "w")):
        sizes.append(before - sum(left(database)))
        before -= sizes[-1]
    assert len(sizes) >= TASKS // BATCH and max(sizes) <= 3 * BATCH
