"""The cases of the language: YAML files that tell a story and how it has to end.

``tests/language/README.rst`` describes the files. A case drives any service over REST; each has a
prefix of its own for the names of its definitions, so all may run at once on one service.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import processes
import yaml

from tests.lib import language_checks as checks
from tests.lib.flows import FINISHED, Execution, Flows

PREFIX, TARGET = "__P__", "__HTTP__"
OPEN_STATES = ("RUNNING", "PAUSED", "IDLE")
TIMEOUT = 60.0
#: What is decided beside the end of an execution may come a moment after it.
SETTLE = 8.0
_PAUSE = 0.1
_SUCCESS = (200, 201, 202, 204)
_PATHS = {"workflow": "workflows", "workbook": "workbooks", "action": "actions"}
_STATES = {"pause": "PAUSED", "resume": "RUNNING", "cancel": "CANCELLED", "stop": "ERROR"}


@dataclasses.dataclass(frozen=True)
class CaseFile:
    """One file: its name and what it tells."""

    name: str
    told: Mapping[str, Any]

    @classmethod
    def all_in(cls, directory: Path) -> list[CaseFile]:
        """The cases of a directory by name."""
        paths = sorted(directory.glob("*.yaml"))
        return [cls(p.stem, yaml.safe_load(p.read_text(encoding="utf-8"))) for p in paths]

    @property
    def rows(self) -> list[str]:
        """The rows of the language reference that the case is about."""
        return list(self.told.get("rows", ()))


class Case:
    """One case, played on a service.

    :param target: base URL of the service that ``__HTTP__`` stands for.
    """

    def __init__(self, flows: Flows, file: CaseFile, target: str) -> None:
        self._flows = flows
        tokens = {PREFIX: f"c{secrets.token_hex(4)}_", TARGET: target}
        self._told: Mapping[str, Any] = _replaced(file.told, tokens)
        self._execution: Execution | None = None
        self._steps: dict[str, Callable[[Any], None]] = {
            "check": self._settle,
            "complete": self._complete,
            "define": self._define,
            "delete": self._delete,
            "look": self._look,
            "put_execution": lambda step: self._put(step, step["body"]),
            "put_task": lambda step: self._put_task(step, step["body"]),
            "rerun": self._rerun,
            "run_action": self._run_action,
            "skip": lambda step: self._put_task(step, {"state": "SKIPPED"}),
            "sleep": time.sleep,
            "start_again": lambda step: self._start({**self._told, **step}),
            "update_env": lambda step: self._put(step, _env(step)),
            "validate": self._validate,
            "wait": lambda step: self._wait(step["state"], self._addressed(step)),
            "wait_task": self._wait_task,
        }
        for name, state in _STATES.items():
            self._steps[name] = self._state_setter(state)

    def play(self) -> None:
        """Raise AssertionError where the service does otherwise than the case tells."""
        told = self._told
        for environment in told.get("environments", ()):
            self._flows.ok("POST", "/environments", environment)
        for definition in told.get("definitions", ()):
            self._define(definition)
        if told.get("workflow"):
            self._start(told)
        for step in told.get("steps", ()):
            ((name, content),) = step.items() if isinstance(step, dict) else ((step, {}),)
            self._steps[name]({} if content is None else content)
        wanted = told.get("expect")
        if wanted is None and self._execution is not None:
            wanted = told.get("expect_if_started")
        if wanted:
            if "state" in wanted:
                self._wait(wanted["state"], self._root, told.get("timeout", TIMEOUT))
            self._settle(wanted)

    @property
    def _root(self) -> Execution:
        assert self._execution is not None, "the case has started nothing"
        return self._execution

    # requests

    def _request(self, method: str, path: str, step: Mapping[str, Any], body: Any = None) -> Any:
        """The document of an answer, None when it is the refusal that the case tells of."""
        status, document = self._flows.request(method, path, body)
        expected = checks.as_list(step["status"]) if "status" in step else _SUCCESS
        assert status in expected, f"{method} {path} was answered {status}: {document}"
        for fragment in checks.as_list(step.get("error_contains", [])):
            assert fragment.lower() in json.dumps(document, ensure_ascii=False).lower(), document
        return document if status in _SUCCESS else None

    def _define(self, definition: Mapping[str, Any]) -> None:
        query = f"namespace={definition.get('namespace', '')}"
        if "scope" in definition:
            query += f"&scope={definition['scope']}"
        if definition.get("skip_validation"):
            query += "&skip_validation=true"
        method = "PUT" if definition.get("update") else "POST"
        path = f"/{_PATHS[definition.get('kind', 'workflow')]}?{query}"
        self._request(method, path, definition, definition["text"])

    def _look(self, step: Mapping[str, Any]) -> None:
        document = self._request("GET", _stored(step), step)
        if document is not None:
            checks.definition(step, document)

    def _delete(self, step: Mapping[str, Any]) -> None:
        self._request("DELETE", _stored(step), step)

    def _start(self, told: Mapping[str, Any]) -> None:
        body = {
            "workflow_name": told["workflow"],
            "workflow_namespace": told.get("namespace", ""),
            "input": told.get("input") or {},
            "params": told.get("params") or {},
            "description": told.get("description", ""),
        }
        document = self._request("POST", "/executions", told.get("start", {}), body)
        self._execution = Execution(self._flows, document["id"]) if document else None

    def _validate(self, step: Mapping[str, Any]) -> None:
        path = f"/{_PATHS[step.get('kind', 'workflow')]}/validate"
        document = self._request("POST", path, step, step["text"])
        assert document["valid"] == step["valid"], document

    def _put(self, step: Mapping[str, Any], body: Any) -> None:
        self._request("PUT", f"/executions/{self._addressed(step).id}", step, body)

    def _state_setter(self, state: str) -> Callable[[Any], None]:
        def put(step: Mapping[str, Any]) -> None:
            body: dict[str, Any] = {"state": step.get("state", state)}
            if "message" in step:
                body["state_info"] = step["message"]
            if "env" in step:
                body |= _env(step)
            self._put(step, body)

        return put

    def _put_task(self, step: Mapping[str, Any], body: Mapping[str, Any]) -> None:
        wanted = step.get("from_state", "ERROR")
        execution = self._addressed(step)
        task = execution.wait_task(step["task"], wanted, TIMEOUT)
        self._request("PUT", f"/tasks/{task['id']}", step, body)

    def _rerun(self, step: Mapping[str, Any]) -> None:
        body = {"state": "RUNNING", **{k: step[k] for k in ("reset", "env") if k in step}}
        self._put_task(step, body)

    def _complete(self, step: Mapping[str, Any]) -> None:
        index = step.get("index", 0)
        actions = self._addressed(step)

        def there() -> Mapping[str, Any] | None:
            found = [
                row
                for row in actions.actions(step["task"])
                if step.get("any_state") or row["state"] in OPEN_STATES
            ]
            return found[index] if len(found) > index else None

        action = processes.wait_until(there, f"an action of {step['task']}", TIMEOUT, _PAUSE)
        body = {name: step[name] for name in ("state", "output") if name in step}
        self._request("PUT", f"/action_executions/{action['id']}", step, body)

    def _run_action(self, step: Mapping[str, Any]) -> None:
        body = {name: step[name] for name in ("name", "input", "params") if name in step}
        row = self._request("POST", "/action_executions", step, body)
        if row is None or "expect" not in step:
            return

        def ended() -> Any:
            now = row
            if row.get("id") and row["state"] not in FINISHED:
                now = self._flows.ok("GET", f"/action_executions/{row['id']}")
            return now if now["state"] in FINISHED else None

        checks.action(step["expect"], processes.wait_until(ended, "the action's end", TIMEOUT))

    # waiting

    def _addressed(self, step: Mapping[str, Any]) -> Execution:
        """The execution that a step is about: the root, or a sub-workflow's by name."""
        name, index = step.get("workflow"), step.get("workflow_index", 0)
        if not name:
            return self._root

        def there() -> Execution | None:
            rows = [r for r in descendants(self._root) if r["workflow_name"] == name]
            rows.sort(key=lambda row: row["created_at"])
            return Execution(self._flows, rows[index]["id"]) if len(rows) > index else None

        found: Execution = processes.wait_until(there, f"{name} is started", TIMEOUT, _PAUSE)
        return found

    def _wait(self, state: Any, execution: Execution, timeout: float = TIMEOUT) -> None:
        wanted = checks.as_list(state)
        ended_at: list[float] = []

        def there() -> bool:
            row = execution.row
            if row["state"] in wanted:
                return True
            if row["state"] in FINISHED:
                # a rerun may be on its way
                ended_at.append(time.monotonic())
                lasts = time.monotonic() - ended_at[0]
                assert lasts < SETTLE, f"it is {row['state']}, not {state}: {row['state_info']}"
            return False

        processes.wait_until(there, f"the execution is {state}", timeout, _PAUSE)

    def _wait_task(self, step: Mapping[str, Any]) -> None:
        execution = self._addressed(step)
        wanted, count = step.get("state"), step.get("running_actions")

        def there() -> bool:
            if not [t for t in execution.tasks(step["task"]) if wanted in (None, t["state"])]:
                return False
            return count is None or len(execution.actions(step["task"], "RUNNING")) == count

        processes.wait_until(there, f"task {step['task']}: {dict(step)}", TIMEOUT, _PAUSE)

    def _settle(self, wanted: Mapping[str, Any]) -> None:
        """Hold the execution against what is wanted, for a while."""
        end = time.monotonic() + SETTLE
        execution = self._addressed(wanted)
        while True:
            try:
                checks.execution(wanted, execution)
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(_PAUSE)
            else:
                return


class Runs:
    """The runs of some cases on one service."""

    def __init__(self, pool: concurrent.futures.Executor, url: str, target: str) -> None:
        self._pool = pool
        self._url = url
        self._target = target
        self._futures: dict[str, concurrent.futures.Future[None]] = {}

    def begin(self, files: list[CaseFile]) -> None:
        """Play them, in this order, some at a time."""
        for file in files:
            case = Case(Flows(self._url, namespace=""), file, self._target)
            self._futures[file.name] = self._pool.submit(case.play)

    def end_of(self, name: str) -> None:
        """Wait until a case has ended; raise what it raised."""
        self._futures[name].result()


def descendants(execution: Execution) -> list[dict[str, Any]]:
    """All sub-workflow executions below one, each as a list shows it."""
    found: list[dict[str, Any]] = []
    for task in execution.tasks():
        for child in execution.flows.ok("GET", f"/tasks/{task['id']}/workflow_executions")[
            "executions"
        ]:
            found += [child, *descendants(Execution(execution.flows, child["id"]))]
    return found


def uncovered(files: Iterable[CaseFile], rows: Iterable[str]) -> list[str]:
    """The rows that no case names."""
    named = {row for file in files for row in file.rows}
    return [row for row in rows if row not in named]


def _stored(step: Mapping[str, Any]) -> str:
    """Where the definition is that a step is about."""
    kind, namespace = step.get("kind", "workflow"), step.get("namespace", "")
    return f"/{_PATHS[kind]}/{step['name']}?namespace={namespace}"


def _env(step: Mapping[str, Any]) -> dict[str, Any]:
    return {"params": {"env": step["env"]}}


def _replaced(value: Any, tokens: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for token, text in tokens.items():
            value = value.replace(token, text)
        return value
    if isinstance(value, Mapping):
        return {_replaced(k, tokens): _replaced(v, tokens) for k, v in value.items()}
    if isinstance(value, Sequence):
        return [_replaced(item, tokens) for item in value]
    return value
