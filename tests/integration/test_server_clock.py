"""Processes go by the database's clock."""

from __future__ import annotations

import time

import pytest

from mistral.db.core import server_clock
from mistral.db.core.database import Database
from mistral.utils import clock


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_the_time_is_the_servers(kind: str, request: pytest.FixtureRequest) -> None:
    known = clock.Clock(lambda: 0.0)
    database = Database(request.getfixturevalue(f"fresh_{kind}_url"))
    server_clock.keep_synchronised(database, known=known)
    # the server runs on this machine
    assert known.seconds() == pytest.approx(time.time(), abs=30)
    before = known._measured_at
    server_clock.keep_synchronised(database, known=known)
    assert known._measured_at == before
    database.close()


def test_sqlite_has_no_clock_of_its_own(fresh_sqlite_url: str) -> None:
    known = clock.Clock(lambda: 5.0)
    database = Database(fresh_sqlite_url)
    server_clock.synchronise(database, known)
    assert known.seconds() == 5.0
    database.close()
