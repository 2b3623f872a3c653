"""Rows whose time has come, of all executions: what the relay looks for.

The rows are locked, those that others look at are left out; who takes them moves the time of the
next look on. Nobody else than the relay (``engine.action_queue``) asks.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Collection, Mapping
from typing import Any, Final

import sqlalchemy as sa

from mistral.db.core import entity_rows, fast_statements, tables
from mistral.db.core.column_types import MOMENT
from mistral.workflow.entities import (
    ActionExecution,
    Entity,
    ExecutionEvent,
    Timer,
    WorkflowExecution,
)

_R = tables.timers
_LOOKED_AT = (tables.execution_events, tables.workflow_executions, tables.action_executions)

OWNERS: Final[Mapping[type[Entity], str]] = {
    ExecutionEvent: "execution_id",
    WorkflowExecution: "parent_execution_id",
    ActionExecution: "workflow_execution_id",
    Timer: "execution_id",
}
"""The attribute that names the execution on whose account a row has to be looked at."""


def _anything() -> sa.Select[Any]:
    claimed = _R.c.claimed_until
    unclaimed = sa.or_(claimed.is_(None), claimed <= sa.bindparam("now", type_=MOMENT))
    timers = sa.exists().where(_R.c.due_at <= sa.bindparam("until", type_=MOMENT), unclaimed)
    others = [
        sa.exists().where(table.c.next_look_at <= sa.bindparam("now", type_=MOMENT))
        for table in _LOOKED_AT
    ]
    return sa.select(sa.or_(timers, *others))


_ANYTHING: Final = _anything()


def anything(conn: sa.Connection, now: dt.datetime, until: dt.datetime) -> bool:
    """Whether there is anything to look at: one statement for all kinds."""
    (found,) = fast_statements.select(conn, _ANYTHING, {"now": now, "until": until})
    return bool(found[0])


def rows_of(
    conn: sa.Connection,
    kind: type[Entity],
    moment: dt.datetime,
    limit: int,
    without: Collection[str] = (),
) -> list[Any]:
    """Rows whose time to be looked at has come, oldest first, skipping what others look at.

    :param without: executions whose rows are left for another time.
    """
    params = {"moment": moment, "limit": limit, "without": sorted(without)}
    if not without:
        del params["without"]
    return entity_rows.load(
        conn, kind, _due(entity_rows.TABLES[kind], OWNERS[kind], bool(without)), params
    )


@functools.cache
def _due(table: sa.Table, owner: str, is_partial: bool) -> sa.Select[Any]:
    statement = sa.select(table).where(table.c.next_look_at <= sa.bindparam("moment"))
    if is_partial:
        statement = statement.where(_is_of_others(table.c[owner]))
    return (
        statement.order_by(table.c.next_look_at)
        .limit(sa.bindparam("limit"))
        .with_for_update(skip_locked=True, key_share=True)
    )


def timers(
    conn: sa.Connection,
    now: dt.datetime,
    until: dt.datetime,
    limit: int,
    without: Collection[str] = (),
) -> list[Timer]:
    """Timers that are due soon and that no engine keeps in memory, locked."""
    params = {"now": now, "until": until, "limit": limit, "without": sorted(without)}
    if not without:
        del params["without"]
    return entity_rows.load(conn, Timer, _due_timers(bool(without)), params)


@functools.cache
def _due_timers(is_partial: bool) -> sa.Select[Any]:
    unclaimed = sa.or_(_R.c.claimed_until.is_(None), _R.c.claimed_until <= sa.bindparam("now"))
    statement = sa.select(_R).where(_R.c.due_at <= sa.bindparam("until"), unclaimed)
    if is_partial:
        statement = statement.where(_is_of_others(_R.c.execution_id))
    return (
        statement.order_by(_R.c.due_at)
        .limit(sa.bindparam("limit"))
        .with_for_update(skip_locked=True, key_share=True)
    )


def _is_of_others(owner: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return sa.or_(owner.is_(None), owner.not_in(sa.bindparam("without", expanding=True)))
