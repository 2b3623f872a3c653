"""Maintenance mode: one row that all processes of the service see, and what is left to do about it.

Without the row the service runs. While ``status`` is not RUNNING, or ``resuming`` is set, engines
have work with it: they take turns by ``claimed_until``, a lease that only keeps them from doing
the same twice, because what they do may be repeated.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from typing import Final

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.execution import idempotency_keys
from mistral.db.execution.store import Store
from mistral.workflow import states

RUNNING: Final = "RUNNING"
PAUSING: Final = "PAUSING"
PAUSED: Final = "PAUSED"

_M = tables.maintenance
_W = tables.workflow_executions
_T = tables.task_executions
_ROW: Final = 1

_READ: Final = sa.select(_M.c.status, _M.c.resuming, _M.c.number).where(_M.c.id == _ROW)


@dataclasses.dataclass(frozen=True)
class Maintenance:
    """What is asked for.

    ``number`` is that of the command to resume: what was paused after it stays paused.
    """

    status: str = RUNNING
    resuming: bool = False
    number: int = 0

    @property
    def has_work(self) -> bool:
        """Whether executions have to be paused or resumed, or watched."""
        return self.resuming or self.status != RUNNING


def read(conn: sa.Connection) -> Maintenance:
    """The present state."""
    row = conn.execute(_READ).first()
    return Maintenance(*row) if row is not None else Maintenance()


def change(database: Database, wanted: str, now: dt.datetime) -> Maintenance:
    """An operator wants the service PAUSED or RUNNING; what is the case already stays as it is."""
    once = idempotency_keys.once(functools.partial(ask, wanted=wanted, now=now))
    try:
        return database.write(once)
    except sa.exc.IntegrityError:
        # somebody else was the first to ask, ever: now there is a row
        return database.write(once)


def ask(conn: sa.Connection, wanted: str, now: dt.datetime) -> Maintenance:
    """The same in a transaction, which fails when another one makes the row meanwhile."""
    row = conn.execute(_READ.with_for_update()).first()
    present = Maintenance(*row) if row is not None else Maintenance()
    if (wanted == RUNNING) == (present.status == RUNNING):
        return present
    changed = Maintenance(RUNNING, resuming=True) if wanted == RUNNING else Maintenance(PAUSING)
    values = {**dataclasses.asdict(changed), "updated_at": now}
    if row is None:
        conn.execute(sa.insert(_M).values(id=_ROW, **values))
    else:
        conn.execute(sa.update(_M).where(_M.c.id == _ROW).values(**values))
    return changed


def claim(conn: sa.Connection, now: dt.datetime, until: dt.datetime) -> Maintenance | None:
    """Take a turn; None when there is nothing to do or another engine is at it."""
    is_free = sa.or_(_M.c.claimed_until.is_(None), _M.c.claimed_until <= now)
    has_work = sa.or_(_M.c.resuming == sa.true(), _M.c.status != RUNNING)
    claimed = conn.execute(
        sa.update(_M).where(_M.c.id == _ROW, is_free, has_work).values(claimed_until=until)
    )
    if claimed.rowcount == 0:
        return None
    found = read(conn)
    if found.resuming and not found.number:
        # taken only now: a turn of pausing that was under way has ended, its numbers are smaller
        found = dataclasses.replace(found, number=Store(conn).command_number())
        conn.execute(sa.update(_M).where(_M.c.id == _ROW).values(number=found.number))
    return found


def release(conn: sa.Connection) -> None:
    """The turn is over."""
    conn.execute(sa.update(_M).where(_M.c.id == _ROW).values(claimed_until=None))


def paused(conn: sa.Connection, now: dt.datetime) -> None:
    """All is quiet, unless somebody wants it otherwise meanwhile."""
    conn.execute(
        sa.update(_M)
        .where(_M.c.id == _ROW, _M.c.status == PAUSING)
        .values(status=PAUSED, updated_at=now)
    )


def resumed(conn: sa.Connection, number: int, now: dt.datetime) -> None:
    """All runs again that this command was to resume."""
    conn.execute(
        sa.update(_M)
        .where(_M.c.id == _ROW, _M.c.resuming == sa.true(), _M.c.number == number)
        .values(resuming=False, updated_at=now)
    )


def to_pause(conn: sa.Connection, roots_only: bool, after: str, limit: int) -> list[str]:
    """Ids of executions that run, in order, from a given one on."""
    return _executions(conn, states.RUNNING, roots_only, after, limit)


def to_resume(
    conn: sa.Connection, roots_only: bool, after: str, limit: int, number: int
) -> list[str]:
    """Ids of executions that were paused before a command, in order, from a given one on."""
    older = _W.c.command_number < number
    return _executions(conn, states.PAUSED, roots_only, after, limit, older)


def _executions(
    conn: sa.Connection,
    state: str,
    roots_only: bool,
    after: str,
    limit: int,
    *further: sa.ColumnElement[bool],
) -> list[str]:
    statement = sa.select(_W.c.id).where(_W.c.state == state, _W.c.id > after, *further)
    if roots_only:
        statement = statement.where(_W.c.root_execution_id.is_(None))
    return list(conn.scalars(statement.order_by(_W.c.id).limit(limit)))


def is_quiet(conn: sa.Connection) -> bool:
    """Whether no execution runs and, of those that are paused, no task does."""
    task = (_T.c.workflow_execution_id == _W.c.id, _T.c.state == states.RUNNING)
    runs = sa.or_(
        _W.c.state == states.RUNNING,
        sa.and_(_W.c.state == states.PAUSED, sa.exists().where(*task)),
    )
    live = _W.c.state.in_((states.RUNNING, states.PAUSED))
    return conn.execute(sa.select(_W.c.id).where(live, runs).limit(1)).first() is None
