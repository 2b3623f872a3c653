"""Large executions go in parts; where that was interrupted it goes on."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.context import RequestContext, no_auth_context
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.execution import deletion
from mistral.db.execution.store import Store
from mistral.db.operations import invariants
from mistral.db.reading import listings, queries
from mistral.db.storage import Storage
from mistral.engine.background import housekeeping
from mistral.engine.background.housekeeping import Housekeeping
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
def database(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """A large execution with a child, and another one."""
    monkeypatch.setattr(deletion, "_BATCH", BATCH)
    for execution_id, parent, count in (("w", None, TASKS), ("c", "w", 3), ("o", None, 3)):
        _fill(database, execution_id, parent, count)
    return database


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
        database.write(lambda conn, entities=entities: entity_rows.insert(conn, entities))
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
    with pytest.raises(exc.NotFoundException):
        deletion.delete_execution(database, "w")
    deletion.delete_execution(database, "o")
    assert left(database) == [0] * 6


def begin(database: Database, execution_id: str) -> bool:
    """All that a process does that dies between the parts."""
    return deletion.begin(database, execution_id)


def shown(database: Database, listing: queries.Listing) -> set[str]:
    """The executions whose rows a list shows."""
    column = "id" if listing is listings.executions else "workflow_execution_id"
    query = queries.PageQuery((column,), (("id", False),), 1000)
    reader = queries.Reader(listing)
    found = database.read(lambda conn: reader.page(conn, query, no_auth_context()))
    return {row[0] for row in found}


def test_it_has_ended_when_a_part_is_gone(database: Database) -> None:
    assert begin(database, "w")
    execution = database.read(lambda conn: Store(conn).execution("w"))
    assert execution is not None and execution.state == states.CANCELLED
    deletion.finish(database, "w")
    assert left(database)[0] == 1
    assert not database.read(deletion.is_any_left)


def test_it_is_out_of_sight_as_soon_as_a_part_may_be_gone(database: Database) -> None:
    assert begin(database, "w")
    reader = queries.Reader(listings.executions)
    for ctx in (no_auth_context(), RequestContext(project_id="p")):
        with pytest.raises(exc.NotFoundException):
            database.read(lambda conn, ctx=ctx: reader.item(conn, "w", ("id",), ctx))
    for listing in (listings.executions, listings.tasks, listings.action_executions):
        # the sub-execution is whole
        assert shown(database, listing) == {"c", "o"}


def test_a_small_one_goes_at_once(database: Database) -> None:
    assert not begin(database, "o")
    assert left(database)[0] == 2
    assert not database.read(deletion.is_any_left)
    with pytest.raises(exc.NotFoundException):
        begin(database, "o")


def test_what_nobody_finished_is_finished_after_a_while(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert begin(database, "w")
    Housekeeping(Storage(database)).look()
    assert left(database)[0] == 3
    later = clock.utc_now() + dt.timedelta(minutes=5)
    broken = database.read(lambda conn: invariants.check(conn, later))
    assert "deletion-left" in {violation.kind for violation in broken}
    monkeypatch.setattr(housekeeping, "utc_now", lambda: later)
    Housekeeping(Storage(database)).look()
    assert left(database)[0] == 1
    assert not database.read(deletion.is_any_left)


def test_who_deletes_for_long_keeps_the_others_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert begin(database, "w")
    hours = itertools.count(1)
    looks: list[dt.datetime] = []
    marks = sa.select(tables.deletions.c.next_look_at)

    def steady() -> float:
        looks.extend(database.read(lambda conn: conn.scalars(marks).all()))
        return next(hours) * 3600.0

    monkeypatch.setattr(clock, "steady", steady)
    deletion.finish(database, "w")
    assert len(set(looks)) > 3


def test_the_version_before_deletes_it_meanwhile(database: Database) -> None:
    """It does not know of marks."""
    assert begin(database, "w")
    database.write(lambda conn: conn.execute(sa.delete(tables.workflow_executions)).close())
    Housekeeping(Storage(database)).look()
    assert not database.read(deletion.is_any_left)


def test_no_transaction_is_large(database: Database) -> None:
    sizes = []
    before = sum(left(database))
    while database.write(lambda conn: deletion._delete_part(conn, "w", None)):
        sizes.append(before - sum(left(database)))
        before -= sizes[-1]
    assert len(sizes) >= TASKS // BATCH and max(sizes) <= 3 * BATCH
