"""How often the handling of an event was begun and did not end.

There is a row for what was looked for more than once, from before its handling until that ends
well: what fails again and again, or kills its process each time, is known by it to every engine.
The caller has locked the execution (law 2), or the action that belongs to none; only who finds a
process dead has not, and does not wait for those that live.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.insert_absent import insert_absent

_H = tables.handlings

_DIED: Final = "died"
_MANY: Final = "many"

Key = tuple[str, str]
"""The kind of an event and the id of its row."""


def begun(conn: sa.Connection, execution_id: str, keys: Collection[Key]) -> dict[Key, int]:
    """How often these were begun; without those that never were."""
    found = sa.select(_H.c.kind, _H.c.row_id, _H.c.begun).where(_chosen(execution_id, keys))
    return {(row.kind, row.row_id): row.begun for row in conn.execute(found)}


def begin(conn: sa.Connection, execution_id: str, keys: Collection[Key]) -> None:
    """Note that these are about to be handled."""
    before = begun(conn, execution_id, keys) if keys else {}
    if before:
        again = sa.update(_H).where(_chosen(execution_id, before))
        conn.execute(again.values(begun=_H.c.begun + 1))
    new = [
        {"execution_id": execution_id, "kind": kind, "row_id": row_id, "begun": 1}
        for kind, row_id in sorted(set(keys) - set(before))
    ]
    # who notes a death has not locked the execution
    insert_absent(conn, _H, new)


def note_death(conn: sa.Connection, execution_id: str, keys: Collection[Key]) -> None:
    """A process died while it handled these of an execution for the first time.

    Without any it is not known what it handled, and the execution stays a suspect.
    """
    begin(conn, execution_id, [*(keys or [(_MANY, execution_id)]), (_DIED, execution_id)])


def suspects(conn: sa.Connection) -> frozenset[str]:
    """The executions that processes have died of."""
    return frozenset(conn.scalars(sa.select(_H.c.execution_id).where(_H.c.kind == _DIED)))


def acquit(conn: sa.Connection, execution_id: str) -> None:
    """An execution is no suspect any more if all that processes may have died of is handled."""
    own = _H.c.execution_id == execution_id
    others = sa.select(_H.c.row_id).where(own, _H.c.kind != _DIED).limit(1)
    if conn.execute(others).first() is None:
        conn.execute(sa.delete(_H).where(own, _H.c.kind == _DIED))


def take_back(conn: sa.Connection, execution_id: str, keys: Collection[Key]) -> None:
    """Their last handling is not held against them."""
    conn.execute(
        sa.update(_H)
        .where(_chosen(execution_id, keys), _H.c.begun > 0)
        .values(begun=_H.c.begun - 1)
    )


def forget(conn: sa.Connection, execution_id: str, keys: Collection[Key]) -> None:
    """They are handled."""
    conn.execute(sa.delete(_H).where(_chosen(execution_id, keys)))


def _chosen(execution_id: str, keys: Collection[Key]) -> sa.ColumnElement[bool]:
    kinds = sorted({kind for kind, _ in keys})
    return sa.and_(
        _H.c.execution_id == execution_id,
        sa.or_(
            *(
                sa.and_(_H.c.kind == kind, _H.c.row_id.in_([i for k, i in keys if k == kind]))
                for kind in kinds
            )
        ),
    )
