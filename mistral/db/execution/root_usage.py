"""What the executions below a root have used together: one row a root, written now and then.

The row is the last that a transaction locks before the values, and only until its end.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from mistral.db.core import tables
from mistral.workflow.bounds import Used

_T = tables.root_usage
_COUNTS: Final = ("executions", "tasks", "actions", "stored")

_SELECT = sa.select(*(_T.c[name] for name in _COUNTS)).where(
    _T.c.root_execution_id == sa.bindparam("root_id")
)


def _upserts() -> dict[str, Any]:
    own = postgresql.insert(_T)
    lite = sqlite.insert(_T)
    my = mysql.insert(_T)
    key = [_T.c.root_execution_id]
    return {
        "postgresql": own.on_conflict_do_update(
            index_elements=key, set_={n: _T.c[n] + own.excluded[n] for n in _COUNTS}
        ),
        "sqlite": lite.on_conflict_do_update(
            index_elements=key, set_={n: _T.c[n] + lite.excluded[n] for n in _COUNTS}
        ),
        "mysql": my.on_duplicate_key_update({n: _T.c[n] + my.inserted[n] for n in _COUNTS}),
    }


_UPSERTS: Final = _upserts()


def read(conn: sa.Connection, root_id: str) -> Used:
    """What was used as far as it was added up."""
    found = conn.execute(_SELECT, {"root_id": root_id}).first()
    return Used(*found) if found is not None else Used()


def add(conn: sa.Connection, root_id: str, used: Used) -> None:
    """Add what was used since."""
    dialect = "mysql" if conn.dialect.name == "mariadb" else conn.dialect.name
    counts = {name: getattr(used, name) for name in _COUNTS}
    conn.execute(_UPSERTS[dialect], {"root_execution_id": root_id, **counts})
