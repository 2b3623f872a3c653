"""Inserting what may be there already: one statement, and the row that was first stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite


def if_absent(table: sa.Table, dialect: str) -> Any:
    """An insert of rows whose primary key nobody has inserted yet; the others change nothing.

    On MySQL it does not tell how many were inserted.

    :param dialect: as SQLAlchemy names it.
    """
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    # IGNORE would hide other errors too; a no-op update says exactly what is meant
    key = list(table.primary_key)[-1]
    return mysql.insert(table).on_duplicate_key_update({key.name: key})


def insert_absent(conn: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows whose primary key nobody has inserted yet.

    Rows come sorted by their key, so that two writers of the same ones can't block each other.
    """
    if rows:
        conn.execute(if_absent(table, conn.dialect.name), list(rows))
