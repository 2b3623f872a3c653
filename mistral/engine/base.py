"""Interfaces of the engine, the executor and the policies (public names)."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from mistral.context import RequestContext, system_context
from mistral.lang import TaskSpec
from mistral.workflow.commands import Command
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.ports import DecisionPorts


@dataclasses.dataclass(frozen=True)
class Start:
    """What a start needs besides the workflow's own input.

    ``params`` holds start parameters that come from a user, whose names are free.
    """

    namespace: str = ""
    execution_id: str | None = None
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ctx: RequestContext = dataclasses.field(default_factory=system_context)


class Engine(abc.ABC):
    """Starts workflows and reacts to what happens to them."""

    @abc.abstractmethod
    def start_workflow(
        self,
        wf_identifier: str,
        wf_input: Mapping[str, Any],
        description: str = "",
        start: Start | None = None,
        **params: Any,
    ) -> Any:
        """Start a workflow by id or name and return its execution."""

    @abc.abstractmethod
    def start_action(
        self,
        action_name: str,
        action_input: Mapping[str, Any],
        description: str | None = None,
        ctx: RequestContext | None = None,
        options: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Any:
        """Check and describe a single action; schedule it unless the caller runs it."""

    @abc.abstractmethod
    def on_action_complete(
        self, action_ex_id: str, result: Any, wf_action: bool = False, async_: bool = False
    ) -> Any:
        """Accept the result of an action, or of a sub-workflow, and go on."""

    @abc.abstractmethod
    def pause_workflow(self, wf_ex_id: str) -> Any:
        """Pause an execution."""

    @abc.abstractmethod
    def resume_workflow(self, wf_ex_id: str, env: Mapping[str, Any] | None = None) -> Any:
        """Resume an execution, with changes to its environment."""

    @abc.abstractmethod
    def rerun_workflow(
        self, task_ex_id: str, reset: bool = True, env: Mapping[str, Any] | None = None
    ) -> Any:
        """Run a failed task again."""

    @abc.abstractmethod
    def stop_workflow(self, wf_ex_id: str, state: str, message: str | None = None) -> Any:
        """Put an execution into a final state."""

    @abc.abstractmethod
    def rollback_workflow(self, wf_ex_id: str) -> Any:
        """Compensate what an execution has done."""


class Executor(abc.ABC):
    """Runs actions."""

    @abc.abstractmethod
    def run_action(
        self,
        action_ex_id: str,
        action_class_str: str,
        attributes: Mapping[str, Any] | None,
        action_params: Mapping[str, Any],
        safe_rerun: bool,
        redelivered: bool = False,
    ) -> Any:
        """Run an action and return its result."""


class EventEngine(abc.ABC):
    """Starts workflows on events."""

    @abc.abstractmethod
    def create_event_trigger(self, trigger: Mapping[str, Any], events: list[str]) -> None:
        """Listen to a trigger's event."""

    @abc.abstractmethod
    def delete_event_trigger(self, trigger: Mapping[str, Any], events: list[str]) -> None:
        """Stop listening to a trigger's event."""


@dataclasses.dataclass(frozen=True)
class Scope:
    """What a policy needs to judge: the surroundings and a way to evaluate its parameters."""

    ports: DecisionPorts
    wf_ex: WorkflowExecution
    evaluate: Callable[[Any, str], Any]


class TaskPolicy:
    """Something that happens before a task starts or after it completes.

    Hooks get a draft of the task and answer with commands; a command that changes the task's
    state stops what would come next.
    """

    def before_task_start(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        """Called right before a task starts."""
        return []

    def after_task_complete(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        """Called right after a task completes."""
        return []
