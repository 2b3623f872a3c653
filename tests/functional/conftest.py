"""The API over a real database, with engines and executors that only play their parts.

``api`` is a client of the WSGI application in this process.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any, cast
from unittest.mock import create_autospec

import processes
import pytest
import webob

from mistral import exceptions as exc
from mistral.api.app import create_app
from mistral.api.dependencies import ApiDependencies, ApiOptions
from mistral.api.layers import WsgiApp
from mistral.context import RequestContext
from mistral.db.core import entity_rows
from mistral.db.core.database import Database
from mistral.definitions import Definitions
from mistral.rpc.base import RPCClient
from mistral.rpc.clients import EngineClient, ExecutorClient
from mistral.utils import ids, json
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.values import Bag

_RINGS = ("actions_delivered",)
START = dt.datetime(2026, 1, 2, 3, 4, 5, 600000)


class Api:
    """A client of the application, without a network."""

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> webob.Response:
        """One request; a body that is no text is sent as JSON."""
        request = webob.Request.blank(path, base_url="http://api.example:8989")
        request.method = method
        if isinstance(body, (str, bytes)):
            request.body = body.encode() if isinstance(body, str) else body
        elif body is not None:
            request.body = json.dump_bytes(body)
            request.content_type = "application/json"
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value
        return request.get_response(self._app)

    def get(self, path: str, status: int = 200) -> Any:
        """The document of a GET."""
        response = self("GET", path)
        assert response.status_int == status, response.text
        return response.json


class FakeRpc(RPCClient):
    """Notes what is sent; answers what a test has prepared."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {"ping": {"engine": "e"}}
        self.silent = False

    def call(
        self,
        method: str,
        ctx: RequestContext | None,
        timeout: float | None = None,
        target: str | None = None,
        **args: Any,
    ) -> Any:
        """Answer as prepared: a value, an error, or a function of the arguments."""
        self.sent.append((method, args))
        if self.silent:
            raise exc.RPCException(f"No answer to '{method}'.")
        answer = self.answers.get(method)
        if isinstance(answer, Exception):
            raise answer
        return answer(**args) if callable(answer) else answer

    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        """Note it, or fail as a broken broker does."""
        self.sent.append((method, args))
        if self.silent:
            raise exc.RPCException("The broker is gone.")

    def methods(self) -> list[str]:
        """What was sent, by name."""
        return [method for method, _ in self.sent]

    def rung(self, count: int = 1) -> list[dict[str, Any]]:
        """The deliveries that were told, as soon as there are so many."""

        def told() -> list[dict[str, Any]]:
            batches = [args["deliveries"] for name, args in self.sent if name in _RINGS]
            return [delivery for batch in batches for delivery in batch]

        processes.wait_until(lambda: len(told()) >= count, "the doorbell", 30)
        return told()


@pytest.fixture
def engine() -> FakeRpc:
    """The engines' topic."""
    return FakeRpc()


@pytest.fixture
def executor() -> FakeRpc:
    """The executors' topic."""
    return FakeRpc()


@pytest.fixture
def definitions() -> Definitions:
    """What users store, as far as a test prepares it."""
    found = create_autospec(Definitions, instance=True)
    found.advise.return_value = []
    return cast(Definitions, found)


@pytest.fixture
def dependencies(
    database: Database, engine: FakeRpc, executor: FakeRpc, definitions: Definitions
) -> ApiDependencies:
    """What the application is made of."""
    return ApiDependencies(database, EngineClient(engine), ExecutorClient(executor), definitions)


@pytest.fixture
def make_api(dependencies: ApiDependencies) -> Callable[..., Api]:
    """Makes clients of applications with other options or another caller."""

    def make(caller: RequestContext | None = None, **options: Any) -> Api:
        changed = dataclasses.replace(dependencies, options=ApiOptions(**options))
        if caller is not None:
            changed = dataclasses.replace(changed, authenticate=lambda _: caller)
        return Api(create_app(changed))

    return make


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    """The API as it is without configuration."""
    return make_api()


class Rows:
    """Puts rows into the database, each a second later than the one before."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._moment = START

    def _times(self) -> dict[str, Any]:
        self._moment += dt.timedelta(seconds=1)
        return {"created_at": self._moment, "project_id": "<default-project>"}

    def _add(self, entity: Any) -> Any:
        self.database.write(lambda conn: entity_rows.insert(conn, [entity]))
        return entity

    def execution(self, **values: Any) -> WorkflowExecution:
        """A workflow execution."""
        defaults = {
            "id": ids.new_id(),
            "workflow_name": "wf",
            "workflow_id": ids.new_id(),
            "spec_hash": "0",
            "state": "RUNNING",
        }
        return cast(
            WorkflowExecution, self._add(WorkflowExecution(**(defaults | self._times() | values)))
        )

    def task(self, execution: WorkflowExecution, **values: Any) -> TaskExecution:
        """A task of an execution."""
        defaults = {"id": ids.new_id(), "name": "t", "state": "RUNNING"}
        given = defaults | self._times() | values
        return cast(
            TaskExecution, self._add(TaskExecution(workflow_execution_id=execution.id, **given))
        )

    def action(self, task: TaskExecution | None = None, **values: Any) -> ActionExecution:
        """An asynchronous action that waits, of a task or alone."""
        defaults: dict[str, Any] = {
            "id": ids.new_id(),
            "name": "std.async_noop",
            "is_sync": False,
            "input": Bag({"a": 1}),
        }
        if task is not None:
            defaults |= {
                "task_execution_id": task.id,
                "workflow_execution_id": task.workflow_execution_id,
                "root_execution_id": task.workflow_execution_id,
            }
        return cast(
            ActionExecution, self._add(ActionExecution(**(defaults | self._times() | values)))
        )


@pytest.fixture
def stored(database: Database) -> Rows:
    """Makes rows."""
    return Rows(database)
