"""A client with which tests drive a service: define, start, wait for a condition, look.

Each :class:`Flows` has a namespace of its own, so tests may use plain workflow names and share
one service. Everything that waits has a deadline.
"""

from __future__ import annotations

import dataclasses
import json
import secrets
import textwrap
from collections.abc import Callable
from typing import Any

import processes

FINISHED = ("SUCCESS", "ERROR", "CANCELLED")
TIMEOUT = 60.0
JSON_TEXTS = (
    "input",
    "output",
    "params",
    "published",
    "published_global",
    "result",
    "runtime_context",
)

Answer = tuple[int, Any]


def decoded(row: dict[str, Any]) -> dict[str, Any]:
    """A resource with the values behind its JSON texts."""
    return {
        name: json.loads(value) if name in JSON_TEXTS and isinstance(value, str) else value
        for name, value in row.items()
    }


class Flows:
    """One test's view of a service.

    :param url: base URL of the API, without a version.
    """

    def __init__(self, url: str, namespace: str | None = None) -> None:
        self.url = url
        self.namespace = f"ns-{secrets.token_hex(6)}" if namespace is None else namespace

    def request(self, method: str, path: str, body: object | None = None) -> Answer:
        """Status and document of one request below ``/v2``."""
        return processes.http(method, f"{self.url}/v2{path}", body)

    def ok(self, method: str, path: str, body: object | None = None) -> Any:
        """The document of a request that has to succeed."""
        status, document = self.request(method, path, body)
        assert 200 <= status < 300, (method, path, status, document)
        return document

    def define(self, text: str, kind: str = "workflows") -> None:
        """Store definitions; the version is added."""
        whole = "version: '2.0'\n" + textwrap.dedent(text)
        self.ok("POST", f"/{kind}?namespace={self.namespace}", whole)

    def start(
        self,
        name: str = "main",
        input: Any = None,
        execution_id: str | None = None,
        **params: Any,
    ) -> Execution:
        """Start a workflow of this namespace."""
        body = {
            "workflow_name": name,
            "workflow_namespace": self.namespace,
            "input": input or {},
            "params": params,
        }
        if execution_id is not None:
            body["id"] = execution_id
        return Execution(self, self.ok("POST", "/executions", body)["id"])

    def launch(self, text: str, input: Any = None, **params: Any) -> Execution:
        """Store workflows and start the one that is called ``main``."""
        self.define(text)
        return self.start("main", input, **params)

    def run(self, text: str, input: Any = None, ends: str = "SUCCESS", **params: Any) -> Execution:
        """Store workflows, start ``main`` and wait until it has ended that way."""
        return self.launch(text, input, **params).wait(ends)

    def complete(self, action_id: str, output: Any = None, state: str = "SUCCESS") -> Answer:
        """Deliver a result as a third party does."""
        body = {"state": state, "output": output}
        return self.request("POST", f"/action-executions/{action_id}", body)


@dataclasses.dataclass(frozen=True)
class Execution:
    """A workflow execution, read again at every question."""

    flows: Flows
    id: str

    @property
    def row(self) -> dict[str, Any]:
        """The resource, its JSON texts decoded."""
        return decoded(self.flows.ok("GET", f"/executions/{self.id}"))

    @property
    def state(self) -> str:
        """The state."""
        return str(self.row["state"])

    @property
    def info(self) -> str:
        """What the state is about, as a text."""
        return str(self.row["state_info"] or "")

    @property
    def output(self) -> Any:
        """The output."""
        return self.row["output"]

    def wait(self, state: str = "SUCCESS", timeout: float = TIMEOUT) -> Execution:
        """Until it is in that state; an end in another one is told at once."""

        def reached() -> bool:
            row = self.row
            if row["state"] != state and row["state"] in FINISHED:
                raise AssertionError(
                    f"{self.id} ended in {row['state']}, not {state}: {row['state_info']}"
                )
            return bool(row["state"] == state)

        processes.wait_until(reached, f"execution {self.id} is {state}", timeout)
        return self

    def until(
        self, condition: Callable[[], Any], what: str = "condition", timeout: float = TIMEOUT
    ) -> Any:
        """The first true answer."""
        return processes.wait_until(condition, what, timeout)

    def tasks(self, name: str | None = None) -> list[dict[str, Any]]:
        """The tasks in the order of their creation."""
        found = self.flows.ok("GET", f"/executions/{self.id}/tasks")["tasks"]
        return [decoded(row) for row in found if name in (None, row["name"])]

    def names(self) -> list[str]:
        """The names of the tasks, in alphabetical order, with repetitions."""
        return sorted(row["name"] for row in self.tasks())

    def states(self) -> dict[str, str]:
        """The states of the tasks, by name."""
        return {row["name"]: row["state"] for row in self.tasks()}

    def task(self, name: str) -> dict[str, Any]:
        """The only task of that name, with its result."""
        (row,) = self.tasks(name)
        return decoded(self.flows.ok("GET", f"/tasks/{row['id']}"))

    def wait_task(self, name: str, state: str, timeout: float = TIMEOUT) -> dict[str, Any]:
        """The newest task of that name, once it is in that state."""

        def there() -> dict[str, Any] | None:
            return next((t for t in self.tasks(name)[::-1] if t["state"] == state), None)

        found: dict[str, Any] = self.until(there, f"task {name} is {state}", timeout)
        return found

    def actions(self, task: str, state: str | None = None) -> list[dict[str, Any]]:
        """The actions of all tasks of that name."""
        found = [
            decoded(row)
            for each in self.tasks(task)
            for row in self.flows.ok(
                "GET", f"/tasks/{each['id']}/action_executions?include_output=true"
            )["action_executions"]
        ]
        return [row for row in found if state in (None, row["state"])]

    def wait_actions(self, task: str, count: int = 1, state: str = "RUNNING") -> list[str]:
        """The ids of the actions in that state, once there are so many."""

        def there() -> list[str] | None:
            found = [row["id"] for row in self.actions(task, state)]
            return found if len(found) >= count else None

        found: list[str] = self.until(there, f"{count} actions of {task} are {state}")
        return found

    def children(self, task: str) -> list[Execution]:
        """The sub-workflow executions of the tasks of that name."""
        return [
            Execution(self.flows, row["id"])
            for each in self.tasks(task)
            for row in self.flows.ok("GET", f"/tasks/{each['id']}/workflow_executions")[
                "executions"
            ]
        ]

    def put(self, **body: Any) -> Answer:
        """An operator's command to the execution."""
        return self.flows.request("PUT", f"/executions/{self.id}", body)

    def put_task(self, name: str, **body: Any) -> Answer:
        """An operator's command to the newest task of that name."""
        return self.flows.request("PUT", f"/tasks/{self.tasks(name)[-1]['id']}", body)

    def finish(self, task: str, output: Any = None, state: str = "SUCCESS") -> None:
        """Deliver a result to the one action of a task that waits."""
        action_id = self.wait_actions(task)[0]
        status, document = self.flows.complete(action_id, output, state)
        assert status == 200, document
