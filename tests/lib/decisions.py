"""Makers for tests of decisions: a specification and entities in, commands out (law 3).

A :class:`Flow` is a workflow with one execution under way and :class:`Surroundings` made of
dictionaries; expressions, values and actions are the real ones.
"""

from __future__ import annotations

import datetime as dt
import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import yaml

from mistral import exceptions as exc
from mistral.actions import std_actions
from mistral.actions.descriptors import PythonActionDescriptor
from mistral.engine.base import Scope
from mistral.engine.tasks import RegularTask, WithItemsTask, build_task
from mistral.engine.workflows import Workflow
from mistral.expressions import (
    BUILTIN,
    ExpressionOptions,
    Expressions,
    JinjaEvaluator,
    YaqlEvaluator,
)
from mistral.lang import AdHocActionSpec, WorkflowSpec, action_spec_from_raw, spec_from_raw
from mistral.workflow import states
from mistral.workflow.commands import Command, UpdateAction, UpdateExecution, UpdateTask
from mistral.workflow.definitions import ActionDefinition, WorkflowDefinition
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.limits import Limits
from mistral.workflow.state_machines import ACTION, TASK, WORKFLOW
from mistral.workflow.values import EMPTY, Bag, Values
from mistral_lib import actions as public
from mistral_lib.actions import Secret

NOW = dt.datetime(2026, 1, 1, 12)
C = TypeVar("C", bound=Command)


class Login(public.Action):
    """An action with a secret."""

    def __init__(self, user: str, key: Secret = Secret()) -> None:  # noqa: B008
        self.user = user
        self.key = key

    def run(self, context: Any) -> Any:
        return None


ACTIONS: dict[str, PythonActionDescriptor] = {
    name: PythonActionDescriptor(name, action_class)
    for name, action_class in {
        "std.echo": std_actions.EchoAction,
        "std.noop": std_actions.NoOpAction,
        "std.async_noop": std_actions.AsyncNoOpAction,
        "test.login": Login,
    }.items()
}


@functools.cache
def expressions() -> Expressions:
    """Both languages with the built-in functions, without a limit of real time."""
    options = ExpressionOptions(time_limit=-1)
    return Expressions([YaqlEvaluator(options, BUILTIN), JinjaEvaluator(options, BUILTIN)], options)


class Surroundings:
    """What decisions ask, answered by what a test puts in."""

    def __init__(self) -> None:
        self.now = NOW
        self.expressions = expressions()
        self.values = Values(lambda hashes: {})
        self.limits = Limits()
        self.environment: dict[str, Any] = {}
        self.left = 500
        self.executions = 1
        self.workflows: dict[str, WorkflowDefinition] = {}
        self.adhoc: dict[str, AdHocActionSpec] = {}
        self.accepted: dict[str, list[ActionExecution]] = {}
        self.sub_executions: dict[str, list[WorkflowExecution]] = {}
        self.records: dict[str, Mapping[str, Any]] = {}
        self.ends: list[TaskExecution] = []
        self.came: dict[str, list[TaskExecution]] = {}
        self.failed: list[TaskExecution] = []
        self.cancelled: list[TaskExecution] = []
        self.live: list[str] = []
        self._ids = itertools.count(1)
        self._numbers = itertools.count(100)

    def new_id(self) -> str:
        return f"new-{next(self._ids)}"

    def room(self) -> int:
        return self.left

    def execution_number(self) -> int:
        return self.executions

    def facts(
        self, task_ex: TaskExecution | None = None, wf_ex: WorkflowExecution | None = None
    ) -> Any:
        return Records(self)

    def seal(self, secrets: Mapping[str, Any]) -> str:
        return f"sealed {sorted(secrets)}"

    def env(self) -> Mapping[str, Any]:
        return self.environment

    def find_action(self, name: str) -> ActionDefinition:
        chain = []
        asked = name
        while name in self.adhoc:
            chain.append((name, self.adhoc[name]))
            name = self.adhoc[name].base
        if name not in ACTIONS:
            raise exc.InvalidActionException(f"Failed to find action [action_name={name}]")
        return ActionDefinition(asked, ACTIONS[name], tuple(chain))

    def find_workflow(self, name: str) -> WorkflowDefinition | None:
        return self.workflows.get(name)

    def accepted_actions(self, task_ex: TaskExecution) -> list[ActionExecution]:
        return self.accepted.get(task_ex.id, [])

    def children(self, task_ex: TaskExecution) -> list[WorkflowExecution]:
        return self.sub_executions.get(task_ex.id, [])

    def end_tasks(self) -> list[TaskExecution]:
        return self.ends

    def arrived(self, task_ex: TaskExecution) -> list[TaskExecution]:
        return self.came.get(task_ex.id, [])

    def failed_tasks(self) -> list[TaskExecution]:
        return self.failed

    def cancelled_tasks(self) -> list[TaskExecution]:
        return self.cancelled

    def live_children(self) -> list[str]:
        return self.live

    def command_number(self) -> int:
        return next(self._numbers)

    def define_action(self, name: str, text: str) -> None:
        """An ad-hoc action."""
        self.adhoc[name] = action_spec_from_raw(name, yaml.safe_load(text))

    def define_workflow(self, name: str, text: str = "tasks: {a: {}}", **more: Any) -> None:
        """A workflow that tasks may run."""
        self.workflows[name] = definition(spec(text, name), **more)


class Records:
    """What expressions ask."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings

    def task(self, name: str | None) -> Mapping[str, Any] | None:
        return self._surroundings.records.get(name or "")

    def env(self) -> Mapping[str, Any]:
        return self._surroundings.environment


def spec(text: str, name: str = "w") -> WorkflowSpec:
    """A specification from YAML: a workflow's sections."""
    return spec_from_raw(name, yaml.safe_load(text))


def definition(wf_spec: WorkflowSpec, **more: Any) -> WorkflowDefinition:
    """A stored workflow."""
    given: dict[str, Any] = {"id": "w-id", "namespace": "ns", "spec_hash": "hash", **more}
    return WorkflowDefinition(name=wf_spec.name, spec=wf_spec, **given)


class Flow:
    """A workflow, its execution and the surroundings of decisions about both."""

    def __init__(self, text: str, *, context: Mapping[str, Any] | None = None, **more: Any) -> None:
        self.spec = spec(text)
        self.ports: Any = Surroundings()
        values: Values = self.ports.values
        given = {"state": states.RUNNING, "started_at": NOW, **more}
        for name in ("input", "params", "output"):
            if isinstance(given.get(name), dict):
                given[name] = values.pack(given[name])
        self.wf_ex = WorkflowExecution(
            id="wf", workflow_name="w", spec_hash="hash", context=Bag(context or {}), **given
        )

    def task_ex(self, name: str, state: str = states.RUNNING, **more: Any) -> TaskExecution:
        """A task execution; its id is ``t-`` and its name."""
        for field in ("in_context", "published"):
            if isinstance(more.get(field), dict):
                more[field] = self.ports.values.pack(more[field])
        type_ = "WORKFLOW" if self.spec.tasks[name].workflow else "ACTION"
        given = {"id": f"t-{name}", "workflow_execution_id": "wf", "type": type_, **more}
        return TaskExecution(name=name, state=state, **given)

    def new(self, name: str, ctx: Bag = EMPTY, **more: Any) -> RegularTask:
        """The object of a task that has no execution yet."""
        return build_task(self.wf_ex, self.spec, name, ctx, self.ports, **more)

    def task(self, name: str, state: str = states.RUNNING, **more: Any) -> RegularTask:
        """The object of a task execution."""
        return self.of(self.task_ex(name, state, **more))

    def of(self, task_ex: TaskExecution) -> RegularTask:
        """The object of this task execution."""
        return build_task(
            self.wf_ex, self.spec, task_ex.name, task_ex.in_context, self.ports, task_ex
        )

    def items(self, name: str, state: str = states.RUNNING, **counts: Any) -> WithItemsTask:
        """The object of a task with items, some of which have begun or ended."""
        fresh = {"count": 3, "capacity": 0, "next": 3, "done": 0, "failed": 0, "cancelled": 0}
        context = {"with_items": {**fresh, **counts}}
        task = self.of(self.task_ex(name, state, runtime_context=context))
        assert isinstance(task, WithItemsTask)
        return task

    def workflow(self) -> Workflow:
        """The object of the execution."""
        return Workflow(definition(self.spec), self.wf_ex, self.ports)

    def scope(self, **variables: Any) -> Scope:
        """Surroundings of policies, which know these variables."""

        def evaluate(value: Any, attribute: str) -> Any:
            if isinstance(value, str) and value.startswith("$."):
                return variables[value[2:]]
            return value

        return Scope(self.ports, self.wf_ex, evaluate)


def action(id: str, state: str = states.SUCCESS, value: Any = None, **more: Any) -> ActionExecution:
    """An action that has ended."""
    return ActionExecution(
        id=id, name="std.echo", state=state, output=Bag({"result": value}), accepted=True, **more
    )


def child(id: str, state: str = states.SUCCESS, **more: Any) -> WorkflowExecution:
    """A sub-workflow's execution."""
    return WorkflowExecution(id=id, workflow_name="sub", spec_hash="h", state=state, **more)


def names(commands: Iterable[Command]) -> list[str]:
    """The kinds of commands, in their order."""
    return [type(command).__name__ for command in commands]


def only(kind: type[C], commands: Iterable[Command]) -> list[C]:
    """The commands of one kind."""
    return [command for command in commands if isinstance(command, kind)]


def one(kind: type[C], commands: Iterable[Command]) -> C:
    """The only command of a kind."""
    (command,) = only(kind, commands)
    return command


def changes(commands: Sequence[Command], id: str | None = None) -> dict[str, Any]:
    """All that commands change of a task or an action; without an id, of the execution.

    The state is the one to which the event leads.
    """
    found: dict[str, Any] = {}
    for command in commands:
        changed, state = _changed_by(command)
        if isinstance(command, UpdateTask | UpdateAction | UpdateExecution) and changed == id:
            found |= {**command.changes, **({"state": state} if state else {})}
    return found


def _changed_by(command: Command) -> tuple[str | None, str | None]:
    """The id of what a command changes, and the state to which it leads."""
    match command:
        case UpdateTask():
            return command.task_id, TASK.target(command.event) if command.event else None
        case UpdateAction():
            return command.action_id, ACTION.target(command.event) if command.event else None
        case UpdateExecution():
            return None, WORKFLOW.target(command.event) if command.event else None
    return None, None


def carry_out(commands: Iterable[Command], task_ex: TaskExecution) -> None:
    """Let commands change a task."""
    for command in only(UpdateTask, commands):
        if command.task_id == task_ex.id:
            command.apply_to(task_ex)
