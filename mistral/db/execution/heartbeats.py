"""The processes of the service that have been seen."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from mistral.db.core import fast_statements, tables

_M = tables.service_members

_LAST_SEEN: Final = sa.select(_M.c.id, _M.c.last_seen_at).where(
    _M.c.id.in_(sa.bindparam("ids", expanding=True))
)

KEPT = dt.timedelta(days=1)
"""How long one is remembered that isn't seen any more."""

EXECUTOR: Final = "executor"
LOOKED: Final = "engines/looked"
LISTENING: Final = "engines/listening"
ENGINES: Final = "engines"
"""The kind of two rows: when an engine looked last, and since when there has always been one."""


@dataclasses.dataclass(frozen=True)
class Living:
    """Who was heard of lately.

    :param engine: whether any engine looked for work.
    :param hosts: the names of executors.
    :param is_sure: engines have listened long enough to have heard of every executor.
    """

    engine: bool
    hosts: frozenset[str]
    is_sure: bool


def seen(conn: sa.Connection, member_id: str, kind: str, host: str, now: dt.datetime) -> None:
    """Note that a process is alive."""
    updated = conn.execute(sa.update(_M).where(_M.c.id == member_id).values(last_seen_at=now))
    if updated.rowcount == 0:
        with contextlib.suppress(sa.exc.IntegrityError), conn.begin_nested():
            # somebody else may have noted it at the same moment
            conn.execute(sa.insert(_M).values(id=member_id, kind=kind, host=host, last_seen_at=now))
        forget(conn, now - KEPT)


def last_seen(conn: sa.Connection, member_ids: Collection[str]) -> dict[str, dt.datetime]:
    """When these processes were last seen; one that never was is left out."""
    found = fast_statements.select(conn, _LAST_SEEN, {"ids": list(member_ids)})
    return {row[0]: row[1] for row in found}


def living(conn: sa.Connection, since: dt.datetime) -> Living:
    """Who was heard of since a moment."""
    seen_lately = _M.c.last_seen_at >= since
    found = conn.execute(
        sa.select(_M.c.id, _M.c.kind, _M.c.host, seen_lately).where(
            sa.or_(seen_lately, _M.c.id == LISTENING)
        )
    ).all()
    lately = {row.id for row in found if row[3]}
    return Living(
        engine=LOOKED in lately,
        hosts=frozenset(row.host for row in found if row.kind == EXECUTOR),
        is_sure=LOOKED in lately and LISTENING not in lately,
    )


def forget(conn: sa.Connection, before: dt.datetime) -> None:
    """Processes that have not been seen for long are gone."""
    conn.execute(sa.delete(_M).where(_M.c.last_seen_at < before))
