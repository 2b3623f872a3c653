"""Who sees which rows: lists, items and definitions ask the same rule."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mistral.context import RequestContext, no_auth_context
from mistral.db import definitions
from mistral.db.core import tables, visibility
from mistral.db.reading import listings
from mistral.db.reading.queries import PageQuery, Reader
from mistral.exceptions import NotFoundException

NOW = dt.datetime(2026, 1, 2)
ADMIN = no_auth_context()
MEMBER = dataclasses.replace(ADMIN, project_id="own", roles=(), is_admin=False)
ROWS = [("own", "private"), ("own", "public"), ("other", "private"), ("other", "public")]
ALL = [f"{project}-{scope}" for project, scope in ROWS]
SEEN = {"own-private", "own-public", "other-public"}


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sa.Connection]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'rows.sqlite'}")
    with engine.connect() as found:
        tables.metadata.create_all(found)
        values = [
            {
                "id": f"{project}-{scope}",
                "name": f"{project}-{scope}",
                "scope": scope,
                "project_id": project,
                "created_at": NOW,
                "variables": {},
            }
            for project, scope in ROWS
        ]
        found.execute(sa.insert(tables.environments), values)
        yield found
    engine.dispose()


@pytest.mark.parametrize(("caller", "expected"), [(ADMIN, set(ALL)), (MEMBER, SEEN)])
def test_all_ways_to_a_row(conn: sa.Connection, caller: RequestContext, expected: set[str]) -> None:
    reader = Reader(listings.environments)
    query = PageQuery(("id",), (("id", False),), 10)
    assert {row[0] for row in reader.page(conn, query, caller)} == expected
    assert {row[0] for row in reader.items(conn, ALL, ("id",), caller)} == expected
    assert {name for name in ALL if definitions.environments.find(conn, name, caller)} == expected
    for name in ALL:
        if name in expected:
            assert reader.item(conn, name, ("id",), caller) == [name]
        else:
            with pytest.raises(NotFoundException):
                reader.item(conn, name, ("id",), caller)


def test_what_a_project_may_use(conn: sa.Connection) -> None:
    found = {name for name in ALL if definitions.find_environment(conn, name, "own") is not None}
    assert found == SEEN


def test_what_runs_has_no_scope() -> None:
    for table in (tables.workflow_executions, tables.task_executions, tables.action_executions):
        assert "scope" not in str(visibility.to_project(table, "own"))
