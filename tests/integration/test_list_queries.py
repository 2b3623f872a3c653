"""Lists of the API find their page by an index, however much history there is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.context import RequestContext
from mistral.db.core import schema_version, tables
from mistral.db.core.database import Database
from mistral.db.reading import listings
from mistral.db.reading.filters import parse
from mistral.db.reading.queries import Listing, PageQuery, Reader

T0 = dt.datetime(2026, 1, 1)
ROWS, COPIES = 200, 100
WIDE = "00000000-0000-4000-8000-000000000001"
"""An execution, and a task, with a few hundred rows below it; its project has the same rows."""
SMALL, LARGE = "small", "large"

NEWEST = (("created_at", True), ("id", True))
OLDEST = (("created_at", False), ("id", False))

LISTS = {
    "executions of a project": (
        listings.executions,
        NEWEST,
        {},
        "ix_workflow_executions_project_id_created_at_id",
    ),
    "tasks of a project": (
        listings.tasks,
        OLDEST,
        {},
        "ix_task_executions_project_id_created_at_id",
    ),
    "actions of a project": (
        listings.action_executions,
        OLDEST,
        {},
        "ix_action_executions_project_id_created_at_id",
    ),
    "tasks of an execution": (
        listings.tasks,
        OLDEST,
        {"workflow_execution_id": WIDE},
        "ix_task_executions_workflow_execution_id_created_at_id",
    ),
    "actions of a task": (
        listings.action_executions,
        OLDEST,
        {"task_execution_id": WIDE},
        "ix_action_executions_task_execution_id_created_at_id",
    ),
}


@pytest.fixture(scope="module")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The SQLite database of this module."""
    return f"sqlite:///{tmp_path_factory.mktemp('lists') / 'mistral.sqlite'}"


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with a long history."""
    if request.param == "sqlite":
        url = request.getfixturevalue("sqlite_url")
        yield from _filled(url)
    else:
        with request.getfixturevalue(request.param).new_database() as url:
            yield from _filled(url)


def _filled(url: str) -> Iterator[Database]:
    schema_version.upgrade(url)
    database = Database(url)
    for table in (tables.workflow_executions, tables.task_executions, tables.action_executions):
        database.write(lambda conn, table=table: _fill(conn, table))
    if not database.is_sqlite:
        names = "workflow_executions, task_executions, action_executions"
        word = "ANALYZE" if database.dialect_name == "postgresql" else "ANALYZE TABLE"
        database.write(lambda conn: conn.exec_driver_sql(f"{word} {names}"))
    yield database
    database.close()


def _fill(conn: sa.Connection, table: sa.Table) -> None:
    rows = [_row(table, number) for number in range(ROWS)]
    conn.execute(sa.insert(table), rows)
    conn.execute(
        sa.insert(table).from_select(
            [column.name for column in table.c],
            sa.select(*[_copied(column) for column in table.c]).select_from(
                table.join(_numbers(COPIES), sa.true())
            ),
        )
    )


def _numbers(count: int) -> Any:
    union = sa.union_all(*[sa.select(sa.literal(n).label("n")) for n in range(count)])
    return union.subquery("numbers")


def _copied(column: sa.Column[Any]) -> Any:
    number = sa.literal_column("numbers.n")
    if column.name == "id":
        return column + "-" + sa.cast(number, sa.String(8))
    if column.name in ("workflow_execution_id", "task_execution_id", "project_id"):
        owner = LARGE if column.name == "project_id" else "another-" + sa.cast(number, sa.String(8))
        return sa.case((number > 1, owner), else_=column)
    return column


def _row(table: sa.Table, number: int) -> dict[str, Any]:
    known = {
        "id": f"{table.name[0]}{number:06}",
        "name": "one",
        "workflow_name": "one",
        "spec_hash": "none",
        "type": "ACTION",
        "state": "SUCCESS",
        "project_id": SMALL,
        "workflow_execution_id": WIDE,
        "task_execution_id": WIDE,
        "runtime_context": {},
        "created_at": T0 + dt.timedelta(seconds=number),
    }
    return {column.name: known[column.name] for column in table.c if column.name in known}


def explained(
    database: Database, listing: Listing, query: PageQuery, ctx: RequestContext
) -> list[str]:
    """What the database says of how it would find a page."""

    def explain(conn: sa.Connection) -> list[str]:
        statement = Reader(listing)._page_statement(conn, query, ctx, None)
        text = statement.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        word = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        return [str(row) for row in conn.exec_driver_sql(f"{word} {text}")]

    return database.read(explain)


@pytest.mark.parametrize("name", LISTS)
def test_a_page_is_found_by_its_index(database: Database, name: str) -> None:
    listing, sort, wanted, index = LISTS[name]
    conditions = tuple(
        parse(each, listing.columns[each].kind, value) for each, value in wanted.items()
    )
    query = PageQuery(("id", "state", "created_at"), sort, 20, conditions)
    ctx = RequestContext(project_id=SMALL, is_admin=bool(wanted))
    plan = explained(database, listing, query, ctx)
    assert any(index in line for line in plan), "\n".join(plan)
    assert not any("filesort" in line or "TEMP B-TREE" in line for line in plan), plan


def test_an_administrator_sees_all_newest_first(database: Database) -> None:
    query = PageQuery(("id", "state", "created_at"), NEWEST, 20)
    plan = explained(database, listings.executions, query, RequestContext(is_admin=True))
    assert any("ix_workflow_executions_created_at_id" in line for line in plan), "\n".join(plan)
