"""A process that stops in the middle of a transaction does not hold up the others for long."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mistral.db.core.database import Database

IDLE_LIMIT = 1.0
DEADLINE = 30.0


@pytest.fixture(params=["postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> str:
    """Each of the servers."""
    return str(request.getfixturevalue(f"fresh_{request.param}_url"))


@pytest.fixture
def counter(url: str) -> Iterator[Database]:
    """A database with one row in it that everybody wants to change."""
    database = Database(url, idle_limit=IDLE_LIMIT)
    with database.connect() as conn:
        conn.exec_driver_sql("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER)")
        conn.exec_driver_sql("INSERT INTO counter VALUES (1, 0)")
        conn.commit()
    yield database
    database.close()


def test_its_rows_are_set_free_and_it_runs_again(counter: Database) -> None:
    asleep, wake = threading.Event(), threading.Event()
    tries = []

    def add(conn: sa.Connection) -> None:
        conn.exec_driver_sql("UPDATE counter SET n = n + 1 WHERE id = 1")

    def add_and_sleep(conn: sa.Connection) -> None:
        add(conn)
        tries.append(1)
        if len(tries) == 1:
            asleep.set()
            assert wake.wait(DEADLINE)

    sleeper = threading.Thread(target=counter.write, args=(add_and_sleep,))
    sleeper.start()
    assert asleep.wait(DEADLINE)
    other = threading.Thread(target=counter.write, args=(add,))
    other.start()
    other.join(DEADLINE)
    assert not other.is_alive()
    wake.set()
    sleeper.join(DEADLINE)
    found = counter.read(lambda c: c.exec_driver_sql("SELECT n FROM counter").scalar())
    assert (found, len(tries)) == (2, 2)


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ("-c statement_timeout=5000", ("10s", "5s")),
        ("-c idle_in_transaction_session_timeout=20000", ("20s", "0")),
    ],
)
def test_other_options_of_the_url_leave_the_limit(
    fresh_postgresql_url: str, options: str, limits: tuple[str, str]
) -> None:
    url = sa.make_url(fresh_postgresql_url).update_query_dict({"options": options})
    database = Database(url.render_as_string(hide_password=False))
    names = ("idle_in_transaction_session_timeout", "statement_timeout")
    found = database.read(
        lambda conn: tuple(conn.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names)
    )
    database.close()
    assert found == limits
