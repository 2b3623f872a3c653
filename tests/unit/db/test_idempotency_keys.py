"""Receipts: work that takes effect once, whoever asks again."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.execution import idempotency_keys
from mistral.db.storage import Storage
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
    def refuse() -> Any:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            database.write(lambda conn: idempotency_keys.once_for(conn, "key", refuse))
    assert database.write(
        lambda conn: idempotency_keys.once_for(conn, "key", lambda: {"x": 1})
    ) == {"x": 1}


def test_another_process_gives_the_same_answer(database: Database) -> None:
    key = ids.new_id()
    first = {"state": "RUNNING", "list": [1]}
    for answer in (first, {"state": "another"}):
        found = database.write(
            lambda conn, a=answer: idempotency_keys.once_for(conn, key, lambda: a)
        )
        assert found == first


def test_they_are_forgotten_after_an_hour(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_keys, "_FORGOTTEN_AT_ONCE", 2)
    old = clock.utc_now() - idempotency_keys.KEPT - dt.timedelta(seconds=1)
    rows = [{"id": f"old-{number}", "created_at": old} for number in range(5)]
    database.write(lambda conn: conn.execute(sa.insert(tables.receipts), rows).close())
    database.write(lambda conn: idempotency_keys.once_for(conn, "new", dict))
    Housekeeping(Storage(database)).look()
    ids_left = sa.select(tables.receipts.c.id)
    assert database.read(lambda conn: list(conn.scalars(ids_left))) == ["new"]
