"""The key for secrets of a service whose operator has configured none.

It keeps them out of answers, logs and exports of single tables; from who may read the whole
database it keeps nothing. The row is never changed.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.utils import clock

_K = tables.secret_keys
_ROW: Final = 1
_READ: Final = sa.select(_K.c.key).where(_K.c.id == _ROW)


def find(database: Database) -> str | None:
    """The key, if one was ever needed."""
    return database.read(lambda conn: conn.scalar(_READ))


def find_or_keep(database: Database, key: str) -> str:
    """The key; the given one if there is none yet. All processes get the same."""

    def work(conn: sa.Connection) -> str:
        found = conn.scalar(_READ)
        if found is None:
            row = {"id": _ROW, "key": key, "created_at": clock.utc_now()}
            conn.execute(sa.insert(_K).values(**row))
        return found or key

    try:
        return database.write(work)
    except sa.exc.IntegrityError:
        # another process was faster
        return database.write(work)
