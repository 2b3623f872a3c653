"""Which errors of drivers are about the moment."""

from __future__ import annotations

import sqlite3

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import errors
from mistral.db.core.errors import Failure


class FromPostgreSQL(Exception):
    """An error of psycopg: the SQLSTATE tells."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(f"state {sqlstate}")
        self.sqlstate = sqlstate


def met(original: Exception, statement: str | None = "SELECT 1") -> sa.exc.OperationalError:
    return sa.exc.OperationalError(statement, None, original)


@pytest.mark.parametrize(
    ("original", "kind"),
    [
        (FromPostgreSQL("40001"), Failure.CONFLICT),
        (FromPostgreSQL("40P01"), Failure.CONFLICT),
        (FromPostgreSQL("57P01"), Failure.LOST),
        (FromPostgreSQL("57P03"), Failure.LOST),
        (FromPostgreSQL("08006"), Failure.LOST),
        (FromPostgreSQL("53100"), Failure.FULL),
        (FromPostgreSQL("42P01"), None),
        (Exception(1213, "Deadlock found"), Failure.CONFLICT),
        (Exception(1205, "Lock wait timeout exceeded"), Failure.CONFLICT),
        (Exception(1047, "WSREP has not yet prepared node for application use"), Failure.LOST),
        (Exception(2013, "Lost connection to server during query"), Failure.LOST),
        (Exception(1114, "The table is full"), Failure.FULL),
        (Exception(1146, "Table doesn't exist"), None),
        (sqlite3.OperationalError("database is locked"), Failure.CONFLICT),
        (sqlite3.OperationalError("database or disk is full"), Failure.FULL),
        (sqlite3.OperationalError("no such table: x"), None),
    ],
)
def test_codes(original: Exception, kind: Failure | None) -> None:
    assert errors.classify(met(original)) is kind
    assert errors.is_transient(met(original)) is (kind is not None)


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (FromPostgreSQL("25006"), True),
        (FromPostgreSQL("40001"), False),
        (Exception(1290, "running with the --read-only option"), True),
        (Exception(1047, "WSREP has not yet prepared node for application use"), True),
        (Exception(1213, "Deadlock found"), False),
        (Exception(), False),
        (None, False),
    ],
)
def test_which_connections_are_useless(original: Exception | None, expected: bool) -> None:
    assert errors.is_useless(original) is expected


def test_what_is_about_the_server() -> None:
    assert errors.classify(met(Exception("connection refused"), None)) is Failure.LOST
    assert errors.classify(sa.exc.TimeoutError("no connection is free")) is Failure.LOST
    assert errors.is_transient(exc.UnavailableException())
    assert not errors.is_transient(exc.InputException())
    assert errors.classify(ValueError()) is None


@pytest.mark.parametrize(
    "original",
    [
        Exception(1045, "Access denied"),
        Exception(1049, "Unknown database"),
        Exception('FATAL:  password authentication failed for user "m"'),
        Exception('FATAL:  database "m" does not exist'),
    ],
)
def test_what_waiting_does_not_mend(original: Exception) -> None:
    assert errors.is_refusal(met(original, None))
    assert not errors.is_refusal(met(Exception("connection refused"), None))
