"""The database's clock is everybody's: each process asks for it now and then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from mistral.db.core.database import Database
from mistral.utils import clock

_UTC_NOW: Final = "SELECT UTC_TIMESTAMP(6)"
_QUESTIONS: Final[Mapping[str, str]] = {
    "postgresql": "SELECT clock_timestamp() AT TIME ZONE 'UTC'",
    "mysql": _UTC_NOW,
    "mariadb": _UTC_NOW,
}


def synchronise(database: Database, known: clock.Clock = clock.COMMON) -> None:
    """Ask for the time; SQLite has none of its own.

    :raises UnavailableException: the server is away.
    """
    if database.dialect_name in _QUESTIONS:
        database.read(lambda conn: ask(conn, database.dialect_name, known))


def ask(conn: sa.Connection, dialect_name: str, known: clock.Clock = clock.COMMON) -> None:
    """The same in a transaction that has begun."""
    question = _QUESTIONS.get(dialect_name)
    if question is None:
        return
    asked_at = clock.steady()
    moment = conn.exec_driver_sql(question).scalar_one()
    known.measured(clock.timestamp(moment), asked_at, by_database=True)


def keep_synchronised(
    database: Database, seconds: float = 60.0, known: clock.Clock = clock.COMMON
) -> None:
    """Ask unless somebody in this process has asked a short time ago."""
    if known.age() > seconds:
        synchronise(database, known)
