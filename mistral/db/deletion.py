"""Deleting executions with everything that belongs to them.

Each execution goes in a transaction of its own, the deepest first, so that no lock spans two of
them (law 2); values lie under the root and go with it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from mistral.db import tables
from mistral.db.transaction import Database

_WF = tables.workflow_executions
_TASK = tables.task_executions

_LOCKED: Final = (
    sa.select(_WF.c.root_execution_id)
    .where(_WF.c.id == sa.bindparam("id"))
    .with_for_update(key_share=True)
)
_CHILDREN: Final = sa.select(_WF.c.id).where(
    _WF.c.parent_execution_id.in_(sa.bindparam("ids", expanding=True))
)
_BATCH: Final = 500


def delete_execution(database: Database, execution_id: str) -> None:
    """Delete an execution and its sub-executions; those that appear meanwhile go, too."""
    while levels := list(_levels_below(database, execution_id)):
        for level in reversed(levels):
            for child_id in level:
                database.write(functools.partial(_delete_one, execution_id=child_id))
    database.write(functools.partial(_delete_one, execution_id=execution_id))


def _levels_below(database: Database, execution_id: str) -> Iterator[Sequence[str]]:
    level: Sequence[str] = [execution_id]
    while level := database.read(functools.partial(_children, ids=level)):
        yield level


def _children(conn: sa.Connection, ids: Sequence[str]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(ids), _BATCH):
        rows = conn.execute(_CHILDREN, {"ids": list(ids[start : start + _BATCH])})
        found += [row[0] for row in rows]
    return found


def _delete_one(conn: sa.Connection, execution_id: str) -> None:
    row = conn.execute(_LOCKED, {"id": execution_id}).first()
    if row is None:
        return
    tasks = sa.select(_TASK.c.id).where(_TASK.c.workflow_execution_id == execution_id)
    joins, values = tables.join_inbounds, tables.execution_values
    conn.execute(sa.delete(joins).where(joins.c.task_execution_id.in_(tasks)))
    for table, column in (
        (tables.timers, "execution_id"),
        (tables.execution_events, "execution_id"),
        (tables.action_executions, "workflow_execution_id"),
        (_TASK, "workflow_execution_id"),
        (_WF, "id"),
    ):
        conn.execute(sa.delete(table).where(table.c[column] == execution_id))
    if row[0] is None:
        conn.execute(sa.delete(values).where(values.c.root_execution_id == execution_id))
