"""Rows that were set aside: what they announce can't be handled, their execution is gone.

For operators (``mistral-set-aside``). The relay looks at them again when they are retried; what
still has no execution is set aside anew.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.workflow.look_times import NEVER

_W = tables.workflow_executions
_A = tables.action_executions
_R = tables.timers
_E = tables.execution_events

_EVENTS = _E.c.next_look_at.is_(None)
_TIMERS = _R.c.claimed_until == NEVER
ACTIONS = sa.and_(
    _A.c.next_look_at.is_(None),
    _A.c.processed == sa.false(),
    _A.c.workflow_execution_id.is_not(None),
    ~sa.exists().where(_W.c.id == _A.c.workflow_execution_id),
)
"""Actions that were set aside."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: ``what`` tells an event's or a timer's kind, or an action's name."""

    kind: str
    id: str
    execution_id: str
    what: str
    since: dt.datetime


def find(conn: sa.Connection) -> Iterator[Row]:
    """All of them, oldest first within a kind."""
    for kind, table, what, since, owner, condition in (
        ("event", _E, _E.c.kind, _E.c.created_at, _E.c.execution_id, _EVENTS),
        ("timer", _R, _R.c.kind, _R.c.due_at, _R.c.execution_id, _TIMERS),
        ("action", _A, _A.c.name, _A.c.created_at, _A.c.workflow_execution_id, ACTIONS),
    ):
        columns = (table.c.id, owner, what, since)
        statement = sa.select(*columns).where(condition).order_by(since, table.c.id)
        for row in conn.execute(statement):
            yield Row(kind, *row)


def retry(conn: sa.Connection, ids: Sequence[str] | None, now: dt.datetime) -> int:
    """Let the relay look at rows again, at all of them without ids; how many these are."""
    again = {"next_look_at": now, "tries": 0}
    count = 0
    for table, condition, values in (
        (_E, _EVENTS, again),
        (_A, ACTIONS, again),
        (_R, _TIMERS, {"claimed_until": None, "tries": 0}),
    ):
        statement = sa.update(table).where(condition, _chosen(table, ids)).values(**values)
        count += conn.execute(statement).rowcount
    return count


def forget(conn: sa.Connection, ids: Sequence[str] | None) -> int:
    """Delete rows, all of them without ids; how many these are."""
    count = 0
    for table, condition in ((_E, _EVENTS), (_A, ACTIONS), (_R, _TIMERS)):
        count += conn.execute(sa.delete(table).where(condition, _chosen(table, ids))).rowcount
    return count


def _chosen(table: sa.Table, ids: Sequence[str] | None) -> sa.ColumnElement[bool]:
    return sa.true() if ids is None else table.c.id.in_(ids)
