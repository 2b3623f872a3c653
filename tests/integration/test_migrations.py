"""The migrations make exactly the tables of ``mistral.db.core.tables``, on every database."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from mistral.db.core import schema_version, tables
from mistral.db.core.database import Database

KINDS = ("sqlite", "postgresql", "mariadb", "mariadb as mariadb://")

_SQLITE_DUMP = (
    "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic_%' "
    "AND tbl_name NOT LIKE 'alembic_%' AND tbl_name NOT LIKE 'sqlite_%'"
)
_SERVER_DUMPS = {
    "postgresql": (
        "SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, "
        "column_default IS NOT NULL FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name <> 'alembic_version'",
        "SELECT tablename, indexname, indexdef FROM pg_indexes "
        "WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
    ),
    "mariadb": (
        "SELECT table_name, column_name, column_type, character_set_name, collation_name, "
        "is_nullable, column_default, extra FROM information_schema.columns "
        "WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'",
        "SELECT table_name, index_name, seq_in_index, column_name, non_unique, sub_part "
        "FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'",
        "SELECT table_name, engine, table_collation FROM information_schema.tables "
        "WHERE table_schema = DATABASE() AND table_name <> 'alembic_version'",
    ),
}


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    kind, _, other_scheme = request.param.partition(" as ")
    url = str(request.getfixturevalue(f"fresh_{kind}_url"))
    return url.replace("mysql+pymysql://", other_scheme) if other_scheme else url


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """The same, ready for statements."""
    database = Database(url)
    yield database
    database.close()


def table_names(database: Database) -> set[str]:
    return database.read(lambda conn: set(sa.inspect(conn).get_table_names()))


def dump(database: Database) -> list[list[tuple[Any, ...]]]:
    """What the database itself says that it holds."""
    if database.is_sqlite:
        rows = database.read(lambda conn: conn.exec_driver_sql(_SQLITE_DUMP).all())
        return [sorted((r[0], r[1], r[2], " ".join((r[3] or "").split())) for r in rows)]
    kind = "postgresql" if database.dialect_name == "postgresql" else "mariadb"
    return [
        sorted(
            (tuple(row) for row in database.read(lambda conn, s=s: conn.exec_driver_sql(s).all())),
            key=repr,
        )
        for s in _SERVER_DUMPS[kind]
    ]


def test_upgrade_and_downgrade(url: str, database: Database) -> None:
    assert schema_version.current(url) is None
    assert not schema_version.is_current(url)

    schema_version.upgrade(url)

    assert schema_version.is_current(url)
    assert table_names(database) == set(tables.metadata.tables) | {"alembic_version"}
    schema_version.upgrade(url)
    assert schema_version.current(url) == schema_version.head()

    schema_version.downgrade(url, "base")

    assert schema_version.current(url) is None
    assert table_names(database) == {"alembic_version"}


def test_tables_and_migrations_are_the_same(url: str, database: Database) -> None:
    schema_version.upgrade(url)

    def differences(conn: sa.Connection) -> list[Any]:
        context = MigrationContext.configure(conn, opts={"compare_type": True})
        return list(compare_metadata(context, tables.metadata))

    assert database.read(differences) == []


def test_the_database_sees_no_difference(url: str, database: Database) -> None:
    """Sharper than alembic's comparison: keys, lengths, collations and defaults, too."""
    schema_version.upgrade(url)
    migrated = dump(database)
    schema_version.downgrade(url, "base")
    database.write(tables.metadata.create_all)
    assert dump(database) == migrated


def test_an_interrupted_upgrade_is_started_again(url: str, database: Database) -> None:
    """PostgreSQL leaves an index that is not valid, MariaDB the first ones complete."""
    schema_version.upgrade(url, "0001")
    if database.is_sqlite:
        pytest.skip("SQLite upgrades in one transaction")
    name = "ix_workflow_executions_project_id_created_at_id"
    columns = "project_id" if database.dialect_name == "postgresql" else "project_id,created_at,id"
    database.write(
        lambda conn: conn.exec_driver_sql(f"CREATE INDEX {name} ON workflow_executions ({columns})")
    )
    schema_version.upgrade(url)
    migrated = dump(database)
    schema_version.downgrade(url, "base")
    database.write(tables.metadata.create_all)
    assert dump(database) == migrated


def test_each_migration_goes_back(url: str, database: Database) -> None:
    schema_version.upgrade(url, "0001")
    first = dump(database)
    schema_version.upgrade(url)
    schema_version.downgrade(url, "0001")
    assert dump(database) == first


def test_nobody_waits_for_an_upgrade(fresh_postgresql_url: str) -> None:
    """A transaction that takes long holds up the upgrade, and the upgrade holds up nobody."""
    url = fresh_postgresql_url
    schema_version.upgrade(url, "0001")
    database = Database(url)
    insert = sa.insert(tables.command_numbers).values()
    taken = "LOCK TABLE task_executions IN ROW EXCLUSIVE MODE"
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX%'"
    )
    upgrade = threading.Thread(target=schema_version.upgrade, args=(url,))
    with database.connect() as long:
        long.exec_driver_sql(taken)
        long.execute(insert)
        upgrade.start()
        give_up_at = time.monotonic() + 60
        while not database.read(lambda conn: conn.execute(waiting).scalar()):
            assert time.monotonic() < give_up_at and upgrade.is_alive()

        def write(conn: sa.Connection) -> None:
            conn.exec_driver_sql("SET LOCAL lock_timeout = '10s'")
            conn.exec_driver_sql(taken)

        database.write(write)
        assert upgrade.is_alive()
        long.rollback()
    upgrade.join(60)
    database.close()
    assert schema_version.is_current(url)


def test_many_processes_upgrade_at_once(url: str) -> None:
    code = f"from mistral.db.core import schema_version; schema_version.upgrade({url!r})"
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(3)
    ]
    for process in processes:
        _, complaint = process.communicate(timeout=60)
        assert process.returncode == 0, complaint.decode()
    assert schema_version.is_current(url)


def test_text_keys_are_exact(url: str, database: Database) -> None:
    """Names that differ in case or accents are different names."""
    schema_version.upgrade(url)
    rows = [{"hash": text, "content": "{}"} for text in ("a", "A", "ä")]
    database.write(lambda conn: conn.execute(sa.insert(tables.workflow_specs), rows))
    found = database.read(
        lambda conn: conn.scalars(
            sa.select(tables.workflow_specs.c.hash).where(tables.workflow_specs.c.hash == "a")
        ).all()
    )
    assert found == ["a"]


def test_sql_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from_nothing = schema_version.alembic_config("postgresql+psycopg://nobody@127.0.0.1/none")
    schema_version.command.upgrade(from_nothing, "head", sql=True)
    assert "CREATE TABLE workflow_executions" in capsys.readouterr().out
