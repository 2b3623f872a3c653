"""Deleting executions with everything that belongs to them.

Each execution goes by itself, the deepest first, so that no lock spans two of them (law 2); values
lie under the root and go with it. A large one goes in parts, each in a transaction of its own, so
that nobody waits long; the first part ends it, the last one takes its row. Where that was
interrupted, deleting it again goes on.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Final

import sqlalchemy as sa

from mistral.db import tables
from mistral.db.transaction import Database
from mistral.workflow import states

_WF = tables.workflow_executions
_TASK = tables.task_executions

_LOCKED: Final = (
    sa.select(_WF.c.root_execution_id, _WF.c.state)
    .where(_WF.c.id == sa.bindparam("id"))
    .with_for_update(key_share=True)
)
_CHILDREN: Final = sa.select(_WF.c.id).where(
    _WF.c.parent_execution_id.in_(sa.bindparam("ids", expanding=True))
)
_BATCH: Final = 500


def delete_execution(database: Database, execution_id: str) -> None:
    """Delete an execution and its sub-executions; those that appear meanwhile go, too."""
    _delete_below(database, execution_id)
    _delete_alone(database, execution_id)
    _delete_below(database, execution_id)


def _delete_below(database: Database, execution_id: str) -> None:
    while levels := list(_levels_below(database, execution_id)):
        for level in reversed(levels):
            for child_id in level:
                _delete_alone(database, child_id)


def _delete_alone(database: Database, execution_id: str) -> None:
    while database.write(functools.partial(_delete_part, execution_id=execution_id)):
        continue


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


def _delete_part(conn: sa.Connection, execution_id: str) -> bool:
    """Delete an execution, or a part of it when it is large; whether there is more of it."""
    row = conn.execute(_LOCKED, {"id": execution_id}).first()
    if row is None:
        return False
    root_id, state = row
    parts = [
        (tables.timers, "execution_id", "id"),
        (tables.execution_events, "execution_id", "id"),
        # a result that comes meanwhile finds its task, or nothing
        (tables.action_executions, "workflow_execution_id", "id"),
        (_TASK, "workflow_execution_id", "id"),
    ]
    if root_id is None:
        parts.append((tables.execution_values, "root_execution_id", "hash"))
    for table, owner, key in parts:
        if _delete_some(conn, table, table.c[owner] == execution_id, table.c[key]):
            if state in states.UNFINISHED:
                _end(conn, execution_id)
            return True
    conn.execute(sa.delete(tables.handlings).where(tables.handlings.c.execution_id == execution_id))
    conn.execute(sa.delete(_WF).where(_WF.c.id == execution_id))
    return False


def _delete_some(
    conn: sa.Connection,
    table: sa.Table,
    owned: sa.ColumnElement[bool],
    key: sa.Column[str],
) -> bool:
    """Delete a batch of an execution's rows; whether there may be more of them."""
    ids = conn.scalars(sa.select(key).where(owned).limit(_BATCH)).all()
    if not ids:
        return False
    if table is _TASK:
        joins = tables.join_inbounds
        conn.execute(sa.delete(joins).where(joins.c.task_execution_id.in_(ids)))
    # an id needs no owner, whose index would only lead the planner astray
    found = key.in_(ids) if key.name == "id" else sa.and_(owned, key.in_(ids))
    conn.execute(sa.delete(table).where(found))
    return len(ids) == _BATCH


def _end(conn: sa.Connection, execution_id: str) -> None:
    """Engines do nothing more with an execution that has ended."""
    conn.execute(
        sa.update(_WF)
        .where(_WF.c.id == execution_id)
        .values(
            state=states.CANCELLED,
            state_info="It is being deleted.",
            version=_WF.c.version + 1,
            next_look_at=None,
        )
    )
