"""Large values, stored once per root execution and addressed by their content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.insert_absent import if_absent
from mistral.workflow.values import Values

_T = tables.execution_values

_SELECT = sa.select(_T.c.hash, _T.c.content).where(
    _T.c.root_execution_id == sa.bindparam("root_id"),
    _T.c.hash.in_(sa.bindparam("hashes", expanding=True)),
)
_KNOWN = sa.select(_T.c.hash).where(
    _T.c.root_execution_id == sa.bindparam("root_id"),
    _T.c.hash.in_(sa.bindparam("hashes", expanding=True)),
)
_INSERTS = {name: if_absent(_T, name) for name in ("postgresql", "sqlite", "mysql")}


def fetch(conn: sa.Connection, root_id: str, hashes: Iterable[str]) -> dict[str, str]:
    """The JSON texts of stored values by their hashes."""
    rows = conn.execute(_SELECT, {"root_id": root_id, "hashes": list(hashes)})
    return {row[0]: row[1] for row in rows}


def known(conn: sa.Connection, root_id: str, hashes: Iterable[str]) -> set[str]:
    """Which of these are stored."""
    return set(conn.scalars(_KNOWN, {"root_id": root_id, "hashes": list(hashes)}))


def loader(conn: sa.Connection, root_id: str) -> Values:
    """The values of a root execution, read when asked for."""

    def load(hashes: Iterable[str]) -> Mapping[str, str]:
        return fetch(conn, root_id, hashes)

    return Values(load)


def store(conn: sa.Connection, root_id: str, values: Mapping[str, bytes]) -> None:
    """Insert values, in order of hash so that two writers can't block each other."""
    if not values:
        return
    dialect = "mysql" if conn.dialect.name == "mariadb" else conn.dialect.name
    conn.execute(
        _INSERTS[dialect],
        [
            {"root_execution_id": root_id, "hash": digest, "content": values[digest].decode()}
            for digest in sorted(values)
        ],
    )
