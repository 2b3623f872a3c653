"""Entities to rows and back, with statements that are built once.

Writes are differences: an entity's ``changed`` attributes, many entities in one batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from mistral.db.core import fast_statements, tables
from mistral.workflow import entities

E = TypeVar("E", bound=entities.Entity)

TABLES: Final[Mapping[type[entities.Entity], sa.Table]] = {
    entities.WorkflowExecution: tables.workflow_executions,
    entities.TaskExecution: tables.task_executions,
    entities.ActionExecution: tables.action_executions,
    entities.JoinInbound: tables.join_inbounds,
    entities.Timer: tables.timers,
    entities.ExecutionEvent: tables.execution_events,
}
_COLUMNS: Final = {kind: tuple(table.c.keys()) for kind, table in TABLES.items()}
_KEYS: Final = {kind: tuple(table.primary_key.columns.keys()) for kind, table in TABLES.items()}


def load(conn: sa.Connection, kind: type[E], statement: Any, params: dict[str, Any]) -> list[E]:
    """Entities of a SELECT that lists a table's columns in order."""
    names = _COLUMNS[kind]
    from_row = kind.from_row
    found = fast_statements.select(conn, statement, params)
    return [from_row(dict(zip(names, row, strict=True))) for row in found]


def insert(conn: sa.Connection, rows: Sequence[entities.Entity]) -> None:
    """Insert entities of one kind with one statement."""
    if not rows:
        return
    kind = type(rows[0])
    fast_statements.insert(conn, TABLES[kind], _COLUMNS[kind], [row.__dict__ for row in rows])
    for row in rows:
        row.__dict__["changed"].clear()


def update(conn: sa.Connection, rows: Iterable[entities.Entity]) -> None:
    """Write the changes of entities of one kind, those with the same columns in one batch."""
    groups: dict[frozenset[str], list[entities.Entity]] = defaultdict(list)
    for row in rows:
        changed = row.__dict__["changed"]
        if changed:
            groups[frozenset(changed)].append(row)
    for changed_names, group in groups.items():
        kind = type(group[0])
        names = tuple(sorted(changed_names))
        values = [row.__dict__ for row in group]
        fast_statements.update(conn, TABLES[kind], names, _KEYS[kind], values)
        for row in group:
            row.__dict__["changed"].clear()
