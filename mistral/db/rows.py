"""Entities to rows and back, with statements that are built once.

Writes are differences: an entity's ``changed`` attributes, many entities in one batch.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from mistral.db import tables
from mistral.workflow import entities

E = TypeVar("E", bound=entities.Entity)

TABLES: dict[type[entities.Entity], sa.Table] = {
    entities.WorkflowExecution: tables.workflow_executions,
    entities.TaskExecution: tables.task_executions,
    entities.ActionExecution: tables.action_executions,
    entities.JoinInbound: tables.join_inbounds,
    entities.Timer: tables.timers,
    entities.ExecutionEvent: tables.execution_events,
}


def load(conn: sa.Connection, kind: type[E], statement: Any, params: dict[str, Any]) -> list[E]:
    """Entities of a SELECT that lists a table's columns in order."""
    names = _column_names(kind)
    from_row = kind.from_row
    return [
        from_row(dict(zip(names, row, strict=True))) for row in conn.execute(statement, params)
    ]


@functools.cache
def _column_names(kind: type[entities.Entity]) -> tuple[str, ...]:
    return tuple(TABLES[kind].c.keys())


def insert(conn: sa.Connection, rows: Sequence[entities.Entity]) -> None:
    """Insert entities of one kind with one statement."""
    if not rows:
        return
    kind = type(rows[0])
    names = _column_names(kind)
    values = [{name: row.__dict__[name] for name in names} for row in rows]
    # PyMySQL rewrites a batch into one INSERT by itself
    batch = len(values) > 1 and conn.dialect.name in ("postgresql", "sqlite")
    conn.execute(_insert_statement(kind, batch), values)
    for row in rows:
        row.__dict__["changed"].clear()


@functools.cache
def _insert_statement(kind: type[entities.Entity], batch: bool) -> Any:
    table = TABLES[kind]
    statement = sa.insert(table)
    # RETURNING makes SQLAlchemy send many rows as one INSERT instead of one each
    return statement.returning(*table.primary_key.columns) if batch else statement


def update(conn: sa.Connection, rows: Iterable[entities.Entity]) -> None:
    """Write the changes of entities of one kind, those with the same columns in one batch."""
    groups: dict[frozenset[str], list[entities.Entity]] = defaultdict(list)
    for row in rows:
        changed = row.__dict__["changed"]
        if changed:
            groups[frozenset(changed)].append(row)
    for changed_names, group in groups.items():
        kind = type(group[0])
        keys = [c.name for c in TABLES[kind].primary_key]
        params = [
            {f"key_{key}": row.__dict__[key] for key in keys}
            | {name: row.__dict__[name] for name in changed_names}
            for row in group
        ]
        conn.execute(_update_statement(kind, changed_names), params if len(params) > 1 else params[0])
        for row in group:
            row.__dict__["changed"].clear()


@functools.lru_cache(maxsize=512)
def _update_statement(kind: type[entities.Entity], names: frozenset[str]) -> Any:
    table = TABLES[kind]
    return (
        sa.update(table)
        .where(*[column == sa.bindparam(f"key_{column.name}") for column in table.primary_key])
        .values({name: sa.bindparam(name) for name in sorted(names)})
    )
