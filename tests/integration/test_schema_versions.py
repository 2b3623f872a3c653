"""Which versions of the service can work on which schema: migrations expand (doc: operating)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from mistral.db.core import schema_version, tables
from mistral.db.core.database import Database

KINDS = ("sqlite", "postgresql", "mariadb")
Tables = dict[str, dict[str, Any]]


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    return str(request.getfixturevalue(f"fresh_{request.param}_url"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The same, ready for statements."""
    found = Database(url)
    yield found
    found.close()


def _revisions() -> list[str]:
    scripts = ScriptDirectory(str(schema_version.MIGRATIONS)).walk_revisions()
    return [script.revision for script in reversed(list(scripts))]


def _described(database: Database) -> Tables:
    """What a process that writes and reads by columns depends on."""

    def read(conn: sa.Connection) -> Tables:
        inspector = sa.inspect(conn)
        return {
            name: {
                "columns": {c["name"]: c for c in inspector.get_columns(name)},
                "unique": {
                    tuple(i["column_names"]) for i in inspector.get_indexes(name) if i["unique"]
                }
                | {tuple(u["column_names"]) for u in inspector.get_unique_constraints(name)}
                | {tuple(inspector.get_pk_constraint(name)["constrained_columns"])},
                "foreign": len(inspector.get_foreign_keys(name)),
                "checks": len(inspector.get_check_constraints(name)),
            }
            for name in inspector.get_table_names()
            if name != "alembic_version"
        }

    return database.read(read)


def _broken(before: Tables, after: Tables) -> Iterator[str]:
    """What a process that knows only the schema before would stumble over."""
    for name, old in before.items():
        new = after.get(name)
        if new is None:
            yield f"table {name} is gone"
            continue
        for column, was in old["columns"].items():
            now = new["columns"].get(column)
            if now is None:
                yield f"column {name}.{column} is gone"
            elif str(now["type"]) != str(was["type"]) or now["nullable"] != was["nullable"]:
                yield f"column {name}.{column} is not what it was"
        for column in new["columns"].keys() - old["columns"].keys():
            now = new["columns"][column]
            if not now["nullable"] and now["default"] is None:
                yield f"column {name}.{column} has to be given by those who do not know it"
        for kind in ("unique", "foreign", "checks"):
            if new[kind] != old[kind]:
                yield f"table {name} has other constraints ({kind})"


def test_migrations_only_expand(url: str, database: Database) -> None:
    """One that contracts raises what schema_support tells, and names itself here."""
    first, *others = _revisions()
    schema_version.upgrade(url, first)
    before = _described(database)
    for revision in others:
        schema_version.upgrade(url, revision)
        after = _described(database)
        assert list(_broken(before, after)) == [], revision
        before = after


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE environments DROP COLUMN description",
        "ALTER TABLE environments ADD COLUMN one INTEGER NOT NULL",
        "ALTER TABLE environments RENAME COLUMN description TO text",
        "CREATE UNIQUE INDEX one ON environments (name)",
        "DROP TABLE environments",
    ],
)
def test_the_check_sees_what_breaks(fresh_postgresql_url: str, statement: str) -> None:
    schema_version.upgrade(fresh_postgresql_url)
    database = Database(fresh_postgresql_url)
    before = _described(database)
    database.write(lambda conn: conn.exec_driver_sql(statement))
    after = _described(database)
    database.close()
    assert list(_broken(before, after))


def _pretend(database: Database, revision: str, oldest: str | None) -> None:
    """Let a version that does not exist yet have migrated the database."""

    def work(conn: sa.Connection) -> None:
        conn.execute(sa.text("UPDATE alembic_version SET version_num = :r"), {"r": revision})
        if oldest is None:
            tables.schema_support.drop(conn)
        else:
            conn.execute(sa.update(tables.schema_support).values(oldest=oldest))

    database.write(work)


def test_this_version_works_on_its_own_schema(url: str, database: Database) -> None:
    assert not schema_version.is_usable(url)
    for revision in _revisions():
        schema_version.upgrade(url, revision)
        assert schema_version.is_usable(url) == (revision == schema_version.head())


@pytest.mark.parametrize(
    ("oldest", "is_usable"),
    [("0001", True), (schema_version.head(), True), ("9998", False), (None, False)],
)
def test_a_later_schema_says_who_can_use_it(
    url: str, database: Database, oldest: str | None, is_usable: bool
) -> None:
    schema_version.upgrade(url)
    _pretend(database, "9999", oldest)
    assert schema_version.is_usable(url) == is_usable
