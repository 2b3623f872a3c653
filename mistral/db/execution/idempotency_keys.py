"""Receipts: what must take effect once leaves one in its own transaction.

When the answer to a COMMIT is lost the transaction is repeated as a whole. The receipt is its first
statement: whoever repeats it waits for an earlier try that is still under way, finds its receipt
if it was committed, and gives the first answer again instead of doing (or refusing) it twice.

A request that may also come twice by itself, as a message does, brings a key and leaves its answer
in the receipt: it is answered alike by whoever gets it again. Where a lock makes the second wait
for the first, looking for the receipt after it and leaving it at the end will do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from mistral.db.core import tables
from mistral.db.core.insert_absent import if_absent
from mistral.utils import clock, ids

T = TypeVar("T")

KEPT: Final = dt.timedelta(hours=1)
"""How long a receipt is kept: nobody waits for an answer, or repeats a transaction, that long."""

_R = tables.receipts
_FORGOTTEN_AT_ONCE: Final = 1000


def once(work: Callable[[sa.Connection], T]) -> Callable[[sa.Connection], T]:
    """A unit of work that takes effect once, however often its transaction is repeated."""
    key = ids.new_id()
    answers: list[T] = []

    def repeated(conn: sa.Connection) -> T:
        if _leave(conn, key):
            answers[:] = [work(conn)]
        return answers[0]

    return repeated


def once_for(conn: sa.Connection, key: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do in a transaction what a request asks for that may come again, to another process, too.

    :param key: of the request; its answer is a JSON object. One that is refused leaves nothing.
    """
    if not _leave(conn, key):
        found: dict[str, Any] = conn.execute(
            sa.select(_R.c.answer).where(_R.c.id == key)
        ).scalar_one()
        return found
    done = work()
    conn.execute(sa.update(_R).where(_R.c.id == key).values(answer=done))
    return done


def answer(conn: sa.Connection, key: str) -> dict[str, Any] | None:
    """The answer in the receipt of a request, if it was carried out."""
    found: dict[str, Any] | None = conn.execute(
        sa.select(_R.c.answer).where(_R.c.id == key)
    ).scalar()
    return found


def leave(conn: sa.Connection, key: str, answered: dict[str, Any]) -> None:
    """Leave the receipt of a request that is being carried out, with its answer."""
    row = {"id": key, "created_at": clock.utc_now(), "answer": answered}
    conn.execute(sa.insert(_R), row)


def _leave(conn: sa.Connection, key: str) -> bool:
    """Leave a receipt; False when there is one, from a transaction that was committed."""
    row = {"id": key, "created_at": clock.utc_now()}
    if conn.dialect.name in ("postgresql", "sqlite"):
        statement = if_absent(_R, conn.dialect.name)
    else:
        # counts inserted rows, which ON DUPLICATE KEY UPDATE does not; no other error is possible
        statement = mysql.insert(_R).prefix_with("IGNORE")
    statement = statement.execution_options(preserve_rowcount=True)
    return conn.execute(statement, row).rowcount == 1


def is_any_old(conn: sa.Connection, before: dt.datetime) -> bool:
    """Whether there are receipts that are older."""
    return (
        conn.execute(sa.select(_R.c.id).where(_R.c.created_at < before).limit(1)).first()
        is not None
    )


def forget(conn: sa.Connection, before: dt.datetime) -> None:
    """Delete some of the receipts that are older."""
    old = sa.select(_R.c.id).where(_R.c.created_at < before).limit(_FORGOTTEN_AT_ONCE)
    found = conn.scalars(old.with_for_update(skip_locked=True)).all()
    if found:
        conn.execute(sa.delete(_R).where(_R.c.id.in_(found)))
