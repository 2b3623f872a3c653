"""Receipts: work that takes effect once, whoever asks again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.execution import idempotency_keys
from mistral.engine.background.housekeeping import Housekeeping
from mistral.utils import clock, ids


def test_it_takes_effect_once_and_is_answered_alike(database: Database) -> None:
    runs: list[int] = []

    def work(conn: sa.Connection) -> int:
        runs.append(1)
        return len(runs)

    once = idempotency_keys.once(work)
    assert [database.write(once), database.write(once)] == [1, 1]
    assert database.write(idempotency_keys.once(work)) == 2


def test_what_is_rolled_back_leaves_nothing(database: Database) -> None:
    def refuse(conn: sa.Connection) -> Any:
        raise LookupError

    refused = idempotency_keys.once_for("key", refuse)
    for _ in range(2):
        with pytest.raises(LookupError):
            database.write(refused)
    assert database.write(idempotency_keys.once_for("key", lambda conn: {"x": 1})) == {"x": 1}


def test_another_process_gives_the_same_answer(database: Database) -> None:
    key = ids.new_id()
    first = idempotency_keys.once_for(key, lambda conn: {"state": "RUNNING", "list": [1]})
    again = idempotency_keys.once_for(key, lambda conn: {"state": "another"})
    assert database.write(first) == database.write(again) == {"state": "RUNNING", "list": [1]}


def test_they_are_forgotten_after_an_hour(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_keys, "_FORGOTTEN_AT_ONCE", 2)
    old = clock.utc_now() - idempotency_keys.KEPT - dt.timedelta(seconds=1)
    rows = [{"id": f"old-{number}", "created_at": old} for number in range(5)]
    database.write(lambda conn: conn.execute(sa.insert(tables.receipts), rows).close())
    once = idempotency_keys.once_for("new", lambda conn: {})
    database.write(once)
    Housekeeping(database).look()
    ids_left = sa.select(tables.receipts.c.id)
    assert database.read(lambda conn: list(conn.scalars(ids_left))) == ["new"]
