"""What executions have used together is added up in every database."""

from __future__ import annotations

import pytest

from mistral.db.core.database import Database
from mistral.db.execution import large_values, root_usage
from mistral.workflow.bounds import Used
from tests.lib.databases import EVERY

pytestmark = pytest.mark.parametrize("database", EVERY, indirect=True)


def test_it_is_added_up(database: Database) -> None:
    assert database.read(lambda conn: root_usage.read(conn, "root")) == Used()
    for used in (Used(1, 2, 3, 4), Used(stored=10**12)):
        database.write(lambda conn, used=used: root_usage.add(conn, "root", used))
    database.write(lambda conn: root_usage.add(conn, "other", Used(tasks=1)))
    assert database.read(lambda conn: root_usage.read(conn, "root")) == Used(1, 2, 3, 10**12 + 4)


def test_values_that_are_stored_are_known(database: Database) -> None:
    database.write(lambda conn: large_values.store(conn, "root", {"a": b"1", "b": b"2"}))
    found = database.read(lambda conn: large_values.known(conn, "root", ["a", "c"]))
    assert found == {"a"}
