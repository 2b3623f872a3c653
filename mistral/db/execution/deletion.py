"""Deleting executions with everything that belongs to them.

Each execution goes by itself, the deepest first, so that no lock spans two of them (law 2); values
lie under the root and go with it. A large one goes in parts, each in a transaction of its own, so
that nobody waits long.

What does not go at once is marked first. The mark ends the execution and hides it from everybody
who asks (:func:`kept`); it goes with the execution's row. Should the process die between the
parts, some engine finds the mark and goes on (law 1).
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.core.insert_absent import insert_absent
from mistral.db.execution import idempotency_keys
from mistral.utils import clock
from mistral.workflow import states
from mistral.workflow.entities import ExecutionEvent, WorkflowExecution
from mistral.workflow.state_machines import WORKFLOW, WorkflowEvent

_WF = tables.workflow_executions
_TASK = tables.task_executions
_MARK = tables.deletions

LEASE: Final = dt.timedelta(seconds=30)
"""How long nobody else goes on with what a process is deleting; it is renewed meanwhile."""

Farewell = Callable[[WorkflowExecution, Sequence[ExecutionEvent]], Sequence[ExecutionEvent]]
"""What others have to hear of an execution's deletion, given the events that it has not handled."""

_LOCKED: Final = (
    sa.select(_WF.c.root_execution_id, _WF.c.state)
    .where(_WF.c.id == sa.bindparam("id"))
    .with_for_update(key_share=True)
)
_WHOLE: Final = sa.select(_WF).where(_WF.c.id == sa.bindparam("id"))
_UNHEARD: Final = sa.select(tables.execution_events).where(
    tables.execution_events.c.execution_id == sa.bindparam("id")
)
_CHILDREN: Final = sa.select(_WF.c.id).where(
    _WF.c.parent_execution_id.in_(sa.bindparam("ids", expanding=True))
)
_BATCH: Final = 500
_TEXT: Final = "It is being deleted."


def kept(execution_id: sa.Column[str]) -> sa.ColumnElement[bool]:
    """The rows whose execution is not being deleted.

    NOT IN, because planners take it for a filter: with NOT EXISTS, which is a join, PostgreSQL
    expects no rows at all of a given execution, and sorts those that it finds.
    """
    is_kept = execution_id.not_in(sa.select(_MARK.c.execution_id))
    return sa.or_(execution_id.is_(None), is_kept) if execution_id.nullable else is_kept


def _tell_nobody(
    _execution: WorkflowExecution, _unheard: Sequence[ExecutionEvent]
) -> Sequence[ExecutionEvent]:
    return ()


def delete_execution(
    database: Database, execution_id: str, farewell: Farewell = _tell_nobody
) -> None:
    """Delete an execution and its sub-executions; those that appear meanwhile go, too.

    :raises NotFoundException: there is none, or somebody else deletes it.
    """
    if begin(database, execution_id, farewell):
        finish(database, execution_id)


def begin(database: Database, execution_id: str, farewell: Farewell = _tell_nobody) -> bool:
    """Delete a small execution; mark and end another one. Whether there is more of it.

    :raises NotFoundException: there is none, or somebody else deletes it.
    """
    work = functools.partial(_begin, execution_id=execution_id, farewell=farewell)
    return database.write(idempotency_keys.once(work))


def _begin(conn: sa.Connection, execution_id: str, farewell: Farewell) -> bool:
    """The first transaction; who waits for the execution is told here, nobody could do it later."""
    found = conn.execute(_LOCKED, {"id": execution_id}).first()
    if found is None or is_marked(conn, execution_id):
        raise exc.NotFoundException(f"Execution not found [id={execution_id}]")
    own = {"id": execution_id}
    unheard = entity_rows.load(conn, ExecutionEvent, _UNHEARD, own)
    for wf_ex in entity_rows.load(conn, WorkflowExecution, _WHOLE, own):
        entity_rows.insert(conn, farewell(wf_ex, unheard))
    look_at = clock.utc_now() + LEASE
    # only its own transactions make more of them, and they wait for the lock
    if conn.execute(_CHILDREN.limit(1), {"ids": [execution_id]}).first() is not None:
        return _mark(conn, execution_id, found.state, look_at)
    return _delete_part(conn, execution_id, look_at)


def finish(database: Database, execution_id: str) -> None:
    """Delete what is left of an execution that is marked."""
    _Deletion(database, execution_id).finish()


def is_any_left(conn: sa.Connection) -> bool:
    """Whether any execution is being deleted in parts."""
    return conn.execute(sa.select(_MARK.c.execution_id).limit(1)).first() is not None


def take_over(conn: sa.Connection, now: dt.datetime) -> str | None:
    """The id of an execution of which nobody deletes the rest any more; it is the caller's now."""
    gone = ~sa.exists().where(_WF.c.id == _MARK.c.execution_id)
    # by the version before, which does not know of marks
    conn.execute(sa.delete(_MARK).where(gone))
    due = sa.select(_MARK.c.execution_id).where(_MARK.c.next_look_at <= now)
    found = conn.scalar(
        due.order_by(_MARK.c.next_look_at).limit(1).with_for_update(skip_locked=True)
    )
    if found is not None:
        _renew(conn, found, now)
    return found


def _renew(conn: sa.Connection, execution_id: str, now: dt.datetime) -> None:
    own = _MARK.c.execution_id == execution_id
    conn.execute(sa.update(_MARK).where(own).values(next_look_at=now + LEASE))


class _Deletion:
    """What one process does to delete a marked execution."""

    def __init__(self, database: Database, execution_id: str) -> None:
        self._db = database
        self._id = execution_id
        self._renewed_at = clock.steady()

    def finish(self) -> None:
        self._delete_below()
        self._delete_alone(self._id)
        self._delete_below()

    def _delete_below(self) -> None:
        while levels := list(self._levels_below()):
            for level in reversed(levels):
                for child_id in level:
                    self._delete_alone(child_id)

    def _delete_alone(self, execution_id: str) -> None:
        # a mark that nobody looks at: who goes on with the execution above finds this one, too
        delete = functools.partial(_delete_part, execution_id=execution_id, look_at=None)
        while self._db.write(delete):
            self._keep()
        self._keep()

    def _keep(self) -> None:
        now = clock.steady()
        if now - self._renewed_at > LEASE.total_seconds() / 3:
            self._db.write(lambda conn: _renew(conn, self._id, clock.utc_now()))
            self._renewed_at = now

    def _levels_below(self) -> Iterator[Sequence[str]]:
        level: Sequence[str] = [self._id]
        while level := self._db.read(functools.partial(_children, ids=level)):
            yield level


def _children(conn: sa.Connection, ids: Sequence[str]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(ids), _BATCH):
        batch = list(ids[start : start + _BATCH])
        found += conn.scalars(_CHILDREN, {"ids": batch})
    return found


def _delete_part(conn: sa.Connection, execution_id: str, look_at: dt.datetime | None) -> bool:
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
            return _mark(conn, execution_id, state, look_at)
    for table in (tables.handlings, _MARK):
        conn.execute(sa.delete(table).where(table.c.execution_id == execution_id))
    usage = tables.root_usage
    conn.execute(sa.delete(usage).where(usage.c.root_execution_id == execution_id))
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


def is_marked(conn: sa.Connection, execution_id: str) -> bool:
    """Whether parts of an execution may be gone already."""
    own = _MARK.c.execution_id == execution_id
    return conn.execute(sa.select(_MARK.c.execution_id).where(own)).first() is not None


def _mark(conn: sa.Connection, execution_id: str, state: str, look_at: dt.datetime | None) -> bool:
    """From now on it is out of sight, and engines do nothing more with it."""
    insert_absent(conn, _MARK, [{"execution_id": execution_id, "next_look_at": look_at}])
    # the version before shows it, and does not know of marks
    changes: dict[str, Any] = {"state_info": _TEXT, "version": _WF.c.version + 1}
    if state in states.UNFINISHED:
        changes |= {"state": WORKFLOW.after(state, WorkflowEvent.CANCEL), "next_look_at": None}
    conn.execute(sa.update(_WF).where(_WF.c.id == execution_id).values(changes))
    return True
