"""Several engines look for lost work without a leader: each row is taken by one of them."""

from __future__ import annotations

import collections
import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.storage import Storage
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.background.relay import SWEEP_SIZE, Relay
from mistral.rpc.messages import ActionOrder
from mistral.utils import clock, ids
from mistral.workflow.entities import (
    ActionExecution,
    Entity,
    ExecutionEvent,
    Timer,
    WorkflowExecution,
)

ENGINES = 3
ROWS = 300


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with all tables."""
    found = str(request.getfixturevalue(f"fresh_{request.param}_url"))
    database = Database(found)
    database.write(tables.metadata.create_all)
    database.close()
    yield found


class Engine:
    """A relay with its own connections, and what it has found."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self.found: list[str] = []
        queue = MagicMock(spec=ActionQueue)
        queue.options = SendOptions()
        queue.order.side_effect = lambda action_ex, *_: ActionOrder(action_ex.id, "x")
        queue.send.side_effect = lambda orders: self._note(order.id for _, order in orders)
        self.relay = Relay(
            Storage(self.database),
            queue,
            lambda _, mails: self._note(mail.id for mail in mails),
            lambda timers: self._note(timer.id for timer in timers),
            1.0,
        )

    def _note(self, names: Any) -> None:
        self.found += names

    def look(self, together: threading.Barrier) -> None:
        """Look until nothing is due, beginning with all others."""
        together.wait(30)
        while self.relay.sweep():
            continue


def _due_rows(moment: dt.datetime) -> Iterator[list[Entity]]:
    owners = [ids.new_id() for _ in range(ROWS)]
    yield [WorkflowExecution(name, "w", "0", state="RUNNING", created_at=moment) for name in owners]
    yield [
        WorkflowExecution(
            ids.new_id(), "w", "0", parent_execution_id=o, next_look_at=moment, created_at=moment
        )
        for o in owners
    ]
    yield [
        ActionExecution(
            ids.new_id(),
            "std.noop",
            workflow_execution_id=o,
            next_look_at=moment,
            created_at=moment,
        )
        for o in owners
    ]
    yield [
        ExecutionEvent(ids.new_id(), o, "pause", next_look_at=moment, created_at=moment)
        for o in owners
    ]
    yield [Timer(ids.new_id(), "retry", o, ids.new_id(), 0, moment) for o in owners]


def test_each_row_is_taken_once(url: str) -> None:
    assert ROWS > SWEEP_SIZE
    engines = [Engine(url) for _ in range(ENGINES)]
    executions, *due = _due_rows(clock.utc_now())
    for made in (executions, *due):
        engines[0].database.write(lambda conn, made=made: entity_rows.insert(conn, made))
    together = threading.Barrier(ENGINES)
    threads = [threading.Thread(target=engine.look, args=(together,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for engine in engines:
        engine.database.close()
    counts = collections.Counter(name for engine in engines for name in engine.found)
    assert counts == collections.Counter(row.id for made in due for row in made)
