"""A database server that restarts breaks all connections at once: that costs one retry."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.execution.action_executions import ActionExecutions

CONNECTIONS = 5


@pytest.fixture
def database(fresh_postgresql_url: str) -> Iterator[Database]:
    """A database whose pool holds several open connections."""
    found = Database(fresh_postgresql_url)
    with found.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()
    together = threading.Barrier(CONNECTIONS)

    def use() -> None:
        found.read(lambda conn: (conn.exec_driver_sql("SELECT 1"), together.wait(60)))

    threads = [threading.Thread(target=use) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield found
    found.close()


def break_all(url: str) -> None:
    """What a restart of the server does."""
    other = Database(url)
    kill = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    other.read(lambda conn: conn.execute(kill).all())
    other.close()


def test_the_first_who_notices_warns_the_others(
    database: Database, fresh_postgresql_url: str
) -> None:
    failed = 0
    break_all(fresh_postgresql_url)
    with contextlib.ExitStack() as held:
        for _ in range(CONNECTIONS):
            conn = held.enter_context(database._reader.connect())
            try:
                ActionExecutions(conn).by_ids(["unknown"])
            except sa.exc.OperationalError:
                failed += 1
    assert failed == 1


def test_writing_goes_on_after_all_connections_broke(
    database: Database, fresh_postgresql_url: str
) -> None:
    tries = []

    def work(conn: sa.Connection) -> None:
        tries.append(1)
        ActionExecutions(conn).locked(["unknown"])

    break_all(fresh_postgresql_url)
    database.write(work)
    assert len(tries) == 2


def touch_directly(conn: sa.Connection) -> None:
    conn.execute(sa.delete(tables.timers))


def touch_by_the_hot_path(conn: sa.Connection) -> None:
    ActionExecutions(conn).locked(["unknown"])


@pytest.mark.parametrize("touch", [touch_directly, touch_by_the_hot_path])
def test_a_server_that_takes_no_changes_any_more_is_left(
    database: Database, touch: Callable[[sa.Connection], None]
) -> None:
    """A primary that became a standby: connections to it live on, and are of no use."""
    pids = []

    def work(conn: sa.Connection) -> None:
        pids.append(conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        touch(conn)

    database.write(
        lambda conn: conn.exec_driver_sql(
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
        ).close()
    )
    database.write(work)
    assert len(pids) == 2
    assert pids[0] != pids[1]
