"""Actions as tasks see them: plug-ins, ad-hoc actions and sub-workflows.

Nothing here runs an action: ``schedule`` answers with the rows to insert, ``complete`` with the
changes that a result means.
"""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.actions import secret_flow
from mistral.actions.secret_inputs import Hidden
from mistral.engine.base import Scope
from mistral.expressions import DataContext, LayeredData
from mistral.lang import AdHocActionSpec
from mistral.workflow import data_flow, states
from mistral.workflow.commands import (
    ActionCompleted,
    Command,
    CreateAction,
    CreateExecution,
    UpdateAction,
)
from mistral.workflow.definitions import ActionDefinition, WorkflowDefinition
from mistral.workflow.entities import (
    CALLER,
    ActionExecution,
    TaskExecution,
    WorkflowExecution,
)
from mistral.workflow.look_times import DISPATCH_LOOK_AFTER
from mistral.workflow.results import Outcome
from mistral.workflow.runtime import ActionRuntime
from mistral.workflow.values import EMPTY, Bag


class SubWorkflowError(exc.WorkflowException):
    """A sub-workflow can't be started: an ordinary error (doc:language/states#fatal)."""


class Action(abc.ABC):
    """Something a task runs."""

    def __init__(
        self,
        action_def: Any,
        action_ex: Any = None,
        task_ex: TaskExecution | None = None,
        scope: Scope | None = None,
    ) -> None:
        self.action_def = action_def
        self.action_ex = action_ex
        self.task_ex = task_ex
        self._scope = scope

    @property
    def scope(self) -> Scope:
        """The surroundings of decisions; an error for an object built without."""
        if self._scope is None:
            raise exc.MistralException(f"{type(self).__name__} was built without surroundings.")
        return self._scope

    @abc.abstractmethod
    def complete(self, result: Outcome) -> list[Command]:
        """The changes that a result means for the action's own row."""

    def fail(self, msg: str) -> list[Command]:
        """End the action with an error."""
        return self.complete(Outcome(states.ERROR, msg))

    @abc.abstractmethod
    def is_sync(self, input_dict: Mapping[str, Any]) -> bool:
        """Whether the result comes from the executor itself."""

    @abc.abstractmethod
    def validate_input(self, input_dict: Mapping[str, Any]) -> None:
        """Check parameters; InputException names what is missing or unexpected."""

    @abc.abstractmethod
    def schedule(
        self,
        input_dict: Mapping[str, Any],
        target: str | None,
        index: int = 0,
        desc: str = "",
        safe_rerun: bool = False,
        timeout: int | None = None,
    ) -> list[Command]:
        """Let it run: rows to insert, sent to whom they concern after the commit."""

    def run(
        self,
        input_dict: Mapping[str, Any],
        target: str | None,
        index: int = 0,
        desc: str = "",
        save: bool = True,
        safe_rerun: bool = False,
    ) -> list[Command]:
        """Describe a run whose result somebody waits for: the caller runs it, never the engine.

        With ``save`` the row exists and takes the result like any other; it is not dispatched.
        """
        commands = self.schedule(input_dict, target, index, desc, safe_rerun)
        for command in commands:
            if isinstance(command, CreateAction):
                command.action.next_look_at = None
                command.action.started_by = CALLER
        return commands


class PythonAction(Action):
    """A plug-in class run by an executor."""

    action_def: ActionDefinition

    def is_sync(self, input_dict: Mapping[str, Any]) -> bool:
        """Builds the action as the executor will: a constructor that refuses raises here."""
        return bool(self.action_def.descriptor.instantiate(dict(input_dict), None).is_sync())

    def validate_input(self, input_dict: Mapping[str, Any]) -> None:
        self.action_def.descriptor.check_parameters(dict(input_dict))

    def schedule(
        self,
        input_dict: Mapping[str, Any],
        target: str | None,
        index: int = 0,
        desc: str = "",
        safe_rerun: bool = False,
        timeout: int | None = None,
    ) -> list[Command]:
        own_input = self._with_defaults(input_dict)
        self.validate_input(own_input)
        base_input = self._base_input(own_input)
        hidden = self.action_def.descriptor.hide(base_input)
        shown = self._shown(own_input, base_input, hidden)
        values, now = self.scope.ports.values, self.scope.ports.now
        wf_ex, is_plain = self.scope.wf_ex, base_input is own_input
        action_ex = ActionExecution(
            id=self.scope.ports.new_id(),
            name=self.action_def.name,
            workflow_execution_id=wf_ex.id if self.task_ex else None,
            root_execution_id=wf_ex.root_id if self.task_ex else None,
            task_execution_id=self.task_ex.id if self.task_ex else None,
            workflow_namespace=wf_ex.workflow_namespace,
            description=desc,
            state=states.RUNNING,
            input=values.pack(shown),
            secrets=self.scope.ports.seal(hidden.secrets) if hidden.secrets else None,
            is_sync=self.is_sync(base_input),
            attempt=self.task_ex.attempt if self.task_ex else 0,
            idx=index,
            runtime_context=ActionRuntime.of(index, timeout).stored,
            tags=self.task_ex.tags if self.task_ex else None,
            project_id=wf_ex.project_id,
            target=target,
            safe_rerun=safe_rerun,
            base_name=None if is_plain else self.action_def.descriptor.name,
            base_input=None if is_plain else values.pack(hidden.shown),
            next_look_at=now + DISPATCH_LOOK_AFTER,
            created_at=now,
        )
        whole = Bag(own_input) if hidden.secrets else action_ex.input
        data_flow.check_size("ActionExecution", "input", whole, self.scope.ports.limits)
        return [CreateAction(action_ex)]

    def _with_defaults(self, input_dict: Mapping[str, Any]) -> dict[str, Any]:
        """The input with the environment's defaults for it (doc:language/environments)."""
        defaults = self.scope.ports.env().get("__actions")
        name = self.action_def.asked or self.action_def.name
        mine = defaults.get(name) if isinstance(defaults, Mapping) else None
        if not isinstance(mine, Mapping):
            return dict(input_dict)
        return {**self.scope.evaluate(dict(mine), "env.__actions"), **input_dict}

    def _base_input(self, own_input: dict[str, Any]) -> dict[str, Any]:
        return own_input

    def _shown(
        self, own_input: dict[str, Any], base_input: dict[str, Any], hidden: Hidden
    ) -> Mapping[str, Any]:
        """The input as everybody may see it."""
        return hidden.shown

    def complete(self, result: Outcome) -> list[Command]:
        """Accept the stored result; what was stored stays as it is."""
        output = self.action_ex.output
        data_flow.check_size("ActionExecution", "output", output, self.scope.ports.limits)
        return [
            UpdateAction(
                self.action_ex.id, {"accepted": True, "processed": True, "next_look_at": None}
            )
        ]


class AdHocAction(PythonAction):
    """A chain of stored wrappers around a plug-in (doc:language/adhoc_actions)."""

    def validate_input(self, input_dict: Mapping[str, Any]) -> None:
        name, spec = self.action_def.adhoc[0]
        _check_adhoc(name, spec, input_dict)

    def _base_input(self, own_input: dict[str, Any]) -> dict[str, Any]:
        current = own_input
        for position, (name, spec) in enumerate(self.action_def.adhoc):
            if position:
                _check_adhoc(name, spec, current)
            filled = {p.name: p.default for p in spec.input if p.has_default} | current
            data = self._context(filled)
            evaluate = self.scope.ports.expressions.evaluate_recursively
            current = {
                **evaluate(dict(spec.base_input or {}), data, f"base-input of {name}"),
                **evaluate(dict(spec.base_params or {}), data, f"base of {name}"),
            }
        self.action_def.descriptor.check_parameters(current)
        return current

    def _shown(
        self, own_input: dict[str, Any], base_input: dict[str, Any], hidden: Hidden
    ) -> Mapping[str, Any]:
        return secret_flow.shown_input(self.action_def.adhoc, own_input, base_input, hidden)

    def _context(self, own: Mapping[str, Any]) -> DataContext:
        branch = self.task_ex.in_context if self.task_ex else EMPTY
        behind = data_flow.context(
            self.scope.ports,
            self.scope.wf_ex,
            task_ex=self.task_ex,
            branch=branch,
            with_input=False,
        )
        return DataContext(
            data=LayeredData(own, behind.data), facts=behind.facts, variables=behind.variables
        )

    def complete(self, result: Outcome) -> list[Command]:
        """Accept the result as the definitions transform it."""
        commands = super().complete(result)
        own = self.transformed(result)
        if own is not result:
            output = self.scope.ports.values.pack({"result": own.value})
            commands.append(UpdateAction(self.action_ex.id, {"output": output}))
        return commands

    def transformed(self, result: Outcome) -> Outcome:
        """What the definitions make of a successful result, the innermost first."""
        specs = [(name, spec) for name, spec in self.action_def.adhoc if spec.output is not None]
        if result.state != states.SUCCESS or not specs:
            return result
        ports = self.scope.ports
        value = result.value
        for name, spec in reversed(specs):
            data = DataContext(data=value, facts=ports.facts(self.task_ex))
            value = ports.expressions.evaluate_recursively(spec.output, data, f"output of {name}")
        output = ports.values.pack({"result": value})
        data_flow.check_size("ActionExecution", "output", output, ports.limits)
        return Outcome(result.state, value)


def _check_adhoc(name: str, spec: AdHocActionSpec, given: Mapping[str, Any]) -> None:
    data_flow.check_input(f"name={name}, class=AdHocAction", spec.input, given)


class WorkflowAction(Action):
    """A sub-workflow run by a task (doc:language/sub_workflows)."""

    action_def: WorkflowDefinition

    def is_sync(self, input_dict: Mapping[str, Any]) -> bool:
        """A child reports its end by itself."""
        return False

    def validate_input(self, input_dict: Mapping[str, Any]) -> None:
        spec = self.action_def.spec
        missing = [p.name for p in spec.input if not p.has_default and p.name not in input_dict]
        if missing:
            raise SubWorkflowError(
                f"Invalid input [workflow={self.action_def.name}, missing={missing}]"
            )

    def schedule(
        self,
        input_dict: Mapping[str, Any],
        target: str | None,
        index: int = 0,
        desc: str = "",
        safe_rerun: bool = False,
        timeout: int | None = None,
    ) -> list[Command]:
        self.validate_input(input_dict)
        ports, parent, task_ex = self.scope.ports, self.scope.wf_ex, self.task_ex
        if task_ex is None:
            raise exc.MistralException("A sub-workflow needs a task.")
        depth = (parent.depth or 0) + 1
        ports.limits.bounds.check_execution(depth, ports.execution_number())
        definition = self.action_def
        declared = {p.name: p for p in definition.spec.input}
        defaults = {p.name: p.default for p in declared.values() if p.has_default}
        own_input = defaults | {k: v for k, v in input_dict.items() if k in declared}
        parent_params = parent.params
        params: dict[str, Any] = {k: v for k, v in input_dict.items() if k not in declared}
        # the same object for each child, so that a large one is encoded once
        params.setdefault("env", ports.env())
        for inherited in ("notify", "dry_run"):
            if inherited in parent_params:
                params[inherited] = ports.values.get(parent_params, inherited)
        params |= {
            "namespace": ports.values.get(parent_params, "namespace")
            if "namespace" in parent_params
            else "",
            "index": index,
            "root_execution_id": parent.root_id,
            "task_execution_id": task_ex.id,
        }
        child = WorkflowExecution(
            id=ports.new_id(),
            workflow_name=definition.name,
            spec_hash=definition.spec_hash,
            workflow_id=definition.id,
            workflow_namespace=definition.namespace,
            workbook_name=definition.workbook_name,
            project_id=parent.project_id,
            description="sub-workflow execution",
            tags=list(definition.tags),
            state=states.IDLE,
            input=ports.values.pack(own_input),
            params=ports.values.pack(params),
            root_execution_id=parent.root_id,
            parent_execution_id=parent.id,
            task_execution_id=task_ex.id,
            task_attempt=task_ex.attempt,
            idx=index,
            depth=depth,
            next_look_at=ports.now + DISPATCH_LOOK_AFTER,
            created_at=ports.now,
            updated_at=ports.now,
        )
        data_flow.check_size("WorkflowExecution", "input", child.input, ports.limits)
        return [CreateExecution(child)]

    def complete(self, result: Outcome) -> list[Command]:
        """Let the task take the child's end; the child's row is its own and does not change."""
        if self.task_ex is None:
            raise exc.MistralException("A sub-workflow needs a task.")
        return [ActionCompleted(self.task_ex.id, self.action_ex)]
