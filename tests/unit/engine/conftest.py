"""Engines in this process over one database, whose doorbells a test can leave out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import processes
import pytest
import sqlalchemy as sa

from mistral.actions.providers import ProviderAssembly
from mistral.actions.registry import ActionProviderRegistry
from mistral.context import system_context
from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.execution.action_executions import ActionExecutions
from mistral.db.execution.store import Store
from mistral.db.storage import Storage
from mistral.definitions import Definitions
from mistral.definitions.catalog import Catalog
from mistral.engine.action_queue import ActionQueue, SendOptions
from mistral.engine.default_engine import DefaultEngine, EngineOptions
from mistral.engine.state_log import SHORT
from mistral.expressions import ExpressionOptions, Expressions
from mistral.rpc.clients import ExecutorClient
from mistral.rpc.messages import ActionOrder
from mistral.utils import clock
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.limits import Limits
from mistral.workflow.results import Outcome

_NEVER = 10_000.0
_W = tables.workflow_executions
_A = tables.action_executions


class Orders:
    """The executors: they note what they are to run."""

    def __init__(self) -> None:
        self.sent: list[ActionOrder] = []

    def run_actions(self, orders: Sequence[ActionOrder], target: str | None = None) -> None:
        """Take orders."""
        self.sent += orders


class Site:
    """A database, its definitions, and the engines that a test has started.

    Their relays look only when a test says so.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        expressions = Expressions.from_plugins(ExpressionOptions())
        registry = ActionProviderRegistry.from_plugins(ProviderAssembly())
        self.catalog = Catalog(expressions, registry)
        self.definitions = Definitions(database, expressions, registry)
        self.orders = Orders()
        self.engines: list[DefaultEngine] = []

    def engine(
        self, is_deaf: bool = False, limits: Limits | None = None, trace_style: str = SHORT
    ) -> DefaultEngine:
        """A new engine; a deaf one commits rows and rings no bell."""
        queue = ActionQueue(cast(ExecutorClient, self.orders), self.catalog, SendOptions())
        options = EngineOptions(
            relay_interval=_NEVER, limits=limits or Limits(), trace_style=trace_style
        )
        engine = DefaultEngine(Storage(self.database), self.catalog, queue, options)
        if is_deaf:
            engine._transactions.ring = lambda ready: None  # type: ignore[method-assign]
        engine.start()
        self.engines.append(engine)
        return engine

    def start(self, engine: DefaultEngine, text: str, **workflow_input: Any) -> str:
        """Store workflows and start the one that is called ``main``; its id."""
        self.definitions.create_workflows(f"version: '2.0'\n{text}", system_context())
        return str(engine.start_workflow("main", workflow_input)["id"])

    def time_passes(self) -> None:
        """Whatever was to be looked at some day is due now."""
        past = clock.utc_now() - dt.timedelta(hours=1)

        def work(conn: sa.Connection) -> None:
            for table in (tables.execution_events, _W, _A):
                due = sa.update(table).where(table.c.next_look_at.is_not(None))
                conn.execute(due.values(next_look_at=past))
            timers = tables.timers
            conn.execute(
                sa.update(timers)
                .where(
                    timers.c.claimed_until.is_(None) | (timers.c.claimed_until < dt.datetime.max)
                )
                .values(due_at=past, claimed_until=None)
            )

        self.database.write(work)

    def look(self, engine: DefaultEngine) -> None:
        """A good while later an engine's relay looks."""
        self.time_passes()
        engine._relay.sweep()

    def read(self, question: Callable[[Store], Any]) -> Any:
        """Ask for rows."""
        return self.database.read(lambda conn: question(Store(conn)))

    def execution(self, execution_id: str) -> WorkflowExecution:
        """An execution as it is stored."""
        return cast(WorkflowExecution, self.read(lambda s: s.execution(execution_id)))

    def task(self, execution_id: str, name: str) -> TaskExecution:
        """The newest task of a name."""
        return cast(TaskExecution, self.read(lambda s: s.latest_task(execution_id, name)))

    def child(self, execution_id: str) -> str:
        """The only sub-execution's id."""
        found = sa.select(_W.c.id).where(_W.c.parent_execution_id == execution_id)
        return str(self.database.read(lambda conn: conn.execute(found).scalar_one()))

    def actions(self, execution_id: str) -> list[ActionExecution]:
        """The actions of an execution, the newest first."""
        found = sa.select(_A.c.id).where(_A.c.workflow_execution_id == execution_id)

        def read(conn: sa.Connection) -> list[ActionExecution]:
            rows = ActionExecutions(conn).by_ids(conn.scalars(found).all())
            return sorted(rows, key=lambda action_ex: action_ex.id, reverse=True)

        return self.database.read(read)

    def action(self, execution_id: str) -> ActionExecution:
        """The newest action of an execution."""
        return self.actions(execution_id)[0]

    def deliver(self, execution_id: str, state: str = "SUCCESS") -> None:
        """A third party delivers a result to the newest action: a row, and no bell."""
        action_id = self.action(execution_id).id
        outcome = Outcome(state, "x")
        self.database.write(
            lambda conn: ActionExecutions(conn).deliver(action_id, outcome, clock.utc_now())
        )

    def until(self, condition: Callable[[], Any], what: str = "the condition holds") -> None:
        """Wait for a condition."""
        processes.wait_until(condition, what, 20, 0.01)

    def wait(self, execution_id: str, state: str) -> WorkflowExecution:
        """Until an execution is in a state."""
        self.until(
            lambda: self.execution(execution_id).state == state, f"{execution_id} is {state}"
        )
        return self.execution(execution_id)

    def wait_order(self, execution_id: str) -> None:
        """Until an executor has got the newest action of an execution."""

        def is_sent() -> bool:
            found = self.actions(execution_id)
            return bool(found) and found[0].id in [order.id for order in self.orders.sent]

        self.until(is_sent, f"an action of {execution_id} is sent")


@pytest.fixture
def site(fresh_sqlite_url: str) -> Iterator[Site]:
    """An empty database and no engine."""
    database = Database(fresh_sqlite_url)
    database.write(tables.metadata.create_all)
    found = Site(database)
    yield found
    for engine in found.engines:
        engine.stop()
    database.close()
