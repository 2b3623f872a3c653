"""The row of the maintenance mode on servers, where two may ask for it at the same time."""

from __future__ import annotations

import threading

import processes
import pytest
import sqlalchemy as sa

from mistral.db.core.database import Database
from mistral.db.operations import maintenance
from mistral.utils import clock

_WAITING = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock'",
    "mariadb": "SELECT count(*) FROM information_schema.innodb_trx "
    "WHERE trx_state = 'LOCK WAIT' AND trx_query LIKE '%maintenance%'",
}


pytestmark = pytest.mark.parametrize("database", sorted(_WAITING), indirect=True)


@pytest.fixture
def kind(database: Database) -> str:
    """The server's kind."""
    return "mariadb" if database.dialect_name == "mysql" else database.dialect_name


def test_two_who_are_the_first_to_ask(database: Database, kind: str) -> None:
    answers: list[str] = []

    def ask() -> None:
        found = maintenance.change(database, maintenance.PAUSED, clock.utc_now())
        answers.append(found.status)

    second = threading.Thread(target=ask)
    with database.connect() as conn, conn.begin():
        maintenance.ask(conn, maintenance.PAUSED, clock.utc_now())
        second.start()
        processes.wait_until(
            lambda: database.read(lambda c: c.execute(sa.text(_WAITING[kind])).scalar()),
            "the second one waits for the first",
            30,
            # MariaDB renews that table only when it wasn't read for 0.1 s
            poll=0.3,
        )
    second.join(30)
    assert answers == [maintenance.PAUSING]
    assert database.read(maintenance.read).status == maintenance.PAUSING


def test_a_turn_is_taken_by_one_engine(database: Database) -> None:
    now = clock.utc_now()
    maintenance.change(database, maintenance.PAUSED, now)
    lease = now.replace(year=now.year + 1)
    together = threading.Barrier(4)
    taken: list[bool] = []

    def claim() -> None:
        together.wait(30)
        found = database.write(lambda conn: maintenance.claim(conn, now, lease))
        taken.append(found is not None)

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(taken) == [False, False, False, True]
