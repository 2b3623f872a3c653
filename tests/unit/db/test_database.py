"""Transactions while the server is away: how long it is waited for, what callers are told."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db.core import database as transaction
from mistral.db.core.database import Database


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a PostgreSQL server that isn't there: the port is taken, nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"postgresql://secret:word@127.0.0.1:{taken.getsockname()[1]}/m"


def test_callers_are_told_to_try_again(nobody: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "PATIENCE", 0.1)
    database = Database(nobody)
    for ask in (database.read, database.write):
        with pytest.raises(exc.UnavailableException) as caught:
            ask(lambda conn: conn.exec_driver_sql("SELECT 1"))
        assert "secret" not in str(caught.value) and "127.0.0.1" not in str(caught.value)
    with pytest.raises(exc.UnavailableException):
        database.ping()
    database.close()


def test_a_start_waits_for_the_server(nobody: str, caplog: pytest.LogCaptureFixture) -> None:
    database = Database(nobody)
    began = time.monotonic()
    with pytest.raises(exc.ConfigurationError, match="Can't reach the database"):
        database.wait_for_server(retries=2, interval=0.2)
    assert time.monotonic() - began >= 0.4
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 2
    assert "word" not in caplog.text
    database.close()


def test_a_start_does_not_wait_for_what_never_comes(tmp_path: object) -> None:
    database = Database(f"sqlite:///{tmp_path}/no/directory/mistral.sqlite")
    with pytest.raises(exc.ConfigurationError, match="unable to open database file"):
        database.wait_for_server(retries=-1, interval=3600)


def test_a_start_goes_on_when_the_server_is_there(fresh_sqlite_url: str) -> None:
    database = Database(fresh_sqlite_url)
    database.wait_for_server(retries=0, interval=1)
    database.close()


def test_errors_show_no_values(fresh_sqlite_url: str) -> None:
    database = Database(fresh_sqlite_url)
    with pytest.raises(sa.exc.OperationalError) as caught:
        database.write(lambda conn: conn.execute(sa.text("INSERT INTO t VALUES (:x)"), {"x": "s3"}))
    assert "s3" not in str(caught.value)
    database.close()


def test_a_conflict_is_waited_out(fresh_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process that writes for long is no reason to give up at once."""
    monkeypatch.setattr(transaction, "PATIENCE", 0)
    database = Database(fresh_sqlite_url)
    tries = []

    def work(conn: sa.Connection) -> int:
        tries.append(threading.get_ident())
        if len(tries) < 4:
            conn.exec_driver_sql("SELECT 1")
            raise sa.exc.OperationalError("x", None, Exception(1213, "Deadlock found"))
        return len(tries)

    assert database.write(work) == 4
    database.close()
