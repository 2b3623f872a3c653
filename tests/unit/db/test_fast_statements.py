"""Statements that run without SQLAlchemy's machinery."""

from __future__ import annotations

import time

import pytest
from sqlalchemy.dialects import sqlite

from mistral.db.core import fast_statements, tables
from mistral.db.core.database import Database
from mistral.db.execution.action_executions import BY_IDS, ActionExecutions


@pytest.mark.parametrize(("length", "padded"), [(1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (100, 128)])
def test_lists_have_few_lengths(length: int, padded: int) -> None:
    values = list(range(length))

    found = fast_statements._padded(values)

    assert len(found) == padded
    assert found[:length] == values
    assert set(found) == set(values)


def test_compiling_a_long_list_takes_no_quadratic_time() -> None:
    began = time.process_time()

    fast_statements._compiled(sqlite.dialect(), BY_IDS, (("ids", 8192),), ("ids",))

    assert time.process_time() - began < 5


def test_a_list_of_nothing_finds_nothing(fresh_sqlite_url: str) -> None:
    database = Database(fresh_sqlite_url)
    with database.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()

    assert database.read(lambda conn: ActionExecutions(conn).by_ids([])) == []
    assert (
        database.read(lambda conn: ActionExecutions(conn).by_ids([str(n) for n in range(9000)]))
        == []
    )
    database.close()
