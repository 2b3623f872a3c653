"""A start whose transaction ran twice, or whose id is somebody else's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.context import system_context
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.storage import Storage, Transaction
from mistral.definitions.catalog import Catalog
from mistral.engine import standalone_actions, starts
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.default_engine import DefaultEngine
from mistral.rpc.messages import ActionOrder
from mistral.utils import clock, ids
from mistral.workflow.entities import ActionExecution, WorkflowExecution


class CommitsUnheard(Database):
    """Loses the connection after each COMMIT has succeeded, so that work is done again."""

    def write(self, work: Callable[[sa.Connection], Any]) -> Any:
        super().write(work)
        return super().write(work)


@pytest.fixture
def database(fresh_sqlite_url: str) -> Iterator[Database]:
    found = CommitsUnheard(fresh_sqlite_url)
    with found.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()
    yield found
    found.close()


@pytest.fixture
def engine(database: Database) -> DefaultEngine:
    queue = MagicMock(spec=ActionQueue)
    queue.options = SendOptions()
    queue.order.side_effect = lambda action_ex, *_, **_kept: ActionOrder(action_ex.id, "x")
    catalog = MagicMock(spec=Catalog)
    catalog.expressions = None
    return DefaultEngine(Storage(database), catalog, queue)


def test_an_action_of_its_own_is_started_once(
    database: Database, engine: DefaultEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def described(action: Any, request: standalone_actions.Request) -> tuple[ActionExecution, bool]:
        return ActionExecution(id=request.action_id, name="x", created_at=clock.utc_now()), False

    monkeypatch.setattr(standalone_actions, "_described", described)

    answer = engine.start_action("std.async_noop", {}, None, system_context())

    count = sa.select(sa.func.count()).select_from(tables.action_executions)
    assert database.read(lambda conn: conn.execute(count).scalar()) == 1
    assert answer.saved


def test_an_id_of_another_project_shows_nothing(database: Database, engine: DefaultEngine) -> None:
    execution_id = ids.new_id()
    theirs = WorkflowExecution(
        id=execution_id,
        workflow_name="w",
        spec_hash="none",
        project_id="theirs",
        created_at=clock.utc_now(),
    )
    Database.write(database, lambda conn: entity_rows.insert(conn, [theirs]))
    ours, them = (
        dataclasses.replace(system_context(), project_id=name, is_admin=False)
        for name in ("ours", "theirs")
    )

    with pytest.raises(exc.DBDuplicateEntryError):
        database.read(lambda conn: starts.existing(Transaction(conn), execution_id, ours))
    shown = database.read(lambda conn: starts.existing(Transaction(conn), execution_id, them))

    assert shown["id"] == execution_id
