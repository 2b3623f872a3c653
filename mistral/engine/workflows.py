"""Workflows: start, completion, operators' commands. Decides, never applies (law 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from mistral import exceptions as exc
from mistral.engine import execution_events, workflow_output
from mistral.expressions import DataContext, Facts
from mistral.lang import WorkflowSpec
from mistral.workflow import data_flow, reverse, states
from mistral.workflow.commands import (
    BeginWorkflow,
    CheckWorkflow,
    Command,
    CreateExecution,
    LockExecution,
    RerunTask,
    RunTask,
    StartTask,
    UpdateExecution,
    from_backlog,
)
from mistral.workflow.definitions import WorkflowDefinition
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.ports import WorkflowDecisionPorts
from mistral.workflow.state_machines import WORKFLOW_ENDS, WorkflowEvent
from mistral.workflow.values import EMPTY, Bag

_EVENTS: Mapping[str, WorkflowEvent] = {
    **WORKFLOW_ENDS,
    states.PAUSED: WorkflowEvent.PAUSE,
    states.RUNNING: WorkflowEvent.RESUME,
}
"""What ``set_state`` means when nobody says why."""


class Workflow:
    """One execution of a workflow, existing or about to be."""

    def __init__(
        self,
        wf_def: WorkflowDefinition | None,
        wf_ex: WorkflowExecution | None = None,
        ports: WorkflowDecisionPorts | None = None,
    ) -> None:
        self._wf_def = wf_def
        self.wf_ex = wf_ex
        self._ports = ports

    @property
    def wf_def(self) -> WorkflowDefinition:
        """The definition; an error for an object built without."""
        if self._wf_def is None:
            raise exc.MistralException("The workflow was built without its definition.")
        return self._wf_def

    @property
    def spec(self) -> WorkflowSpec:
        """The specification that this execution keeps."""
        return self.wf_def.spec

    @property
    def ports(self) -> WorkflowDecisionPorts:
        """The surroundings of decisions; an error for an object built without."""
        if self._ports is None:
            raise exc.MistralException("The workflow was built without its surroundings.")
        return self._ports

    @property
    def draft(self) -> WorkflowExecution:
        """The execution as the decisions so far would leave it."""
        if self.wf_ex is None:
            raise exc.MistralException(f"The workflow '{self.wf_def.name}' has not been started.")
        return self.wf_ex

    # questions

    def is_completed(self) -> bool:
        """Whether the execution has ended."""
        return states.is_completed(self.draft.state)

    # start

    def start(
        self,
        input_dict: Mapping[str, Any],
        desc: str = "",
        params: Mapping[str, Any] | None = None,
        wf_ex_id: str | None = None,
        project_id: str | None = None,
    ) -> list[Command]:
        """Create and begin a root execution.

        :raises InputException: missing or unexpected input.
        """
        given = dict(params or {})
        wf_input = self.validate_input(input_dict)
        values, limits, definition = self.ports.values, self.ports.limits, self.wf_def
        given["env"] = self._evaluated_env(given)
        given["namespace"] = definition.namespace
        execution = WorkflowExecution(
            id=wf_ex_id or self.ports.new_id(),
            workflow_name=definition.name,
            spec_hash=definition.spec_hash,
            workflow_id=definition.id,
            workflow_namespace=definition.namespace,
            workbook_name=definition.workbook_name,
            project_id=project_id,
            description=desc,
            tags=list(definition.tags),
            input=values.pack(wf_input),
            params=values.pack(given),
            created_at=self.ports.now,
            updated_at=self.ports.now,
        )
        data_flow.check_size("WorkflowExecution", "input", execution.input, limits)
        data_flow.check_size("WorkflowExecution", "params", execution.params, limits)
        self.wf_ex = execution
        return [CreateExecution(execution.draft()), BeginWorkflow()]

    def validate_input(self, input_dict: Mapping[str, Any]) -> dict[str, Any]:
        """The given input with the declared defaults (doc:language/workflows#input)."""
        declared = self.spec.input
        data_flow.check_input(f"workflow={self.wf_def.name}", declared, input_dict)
        return {p.name: p.default for p in declared if p.has_default} | dict(input_dict)

    def _evaluated_env(self, params: Mapping[str, Any]) -> dict[str, Any]:
        env = params.get("env") or {}
        if not env or params.get("evaluate_env") is False:
            return dict(env)
        context = DataContext(
            data={}, facts=cast(Facts, _EnvFacts(self.ports.facts(), env)), variables={"__env": env}
        )
        result: dict[str, Any] = self.ports.expressions.evaluate_recursively(
            dict(env), context, "env"
        )
        return result

    def begin(self) -> list[Command]:
        """Let a created execution run: its variables, its first tasks."""
        if self.spec.type == "reverse":
            reverse.needed(self.spec, reverse.target(self.draft, self.ports.values))
        context = self._initial_context()
        commands = self._do(
            UpdateExecution(
                {
                    "context": context,
                    "next_look_at": None,
                    "started_at": self.ports.now,
                },
                WorkflowEvent.BEGIN,
            )
        )
        return commands + [RunTask(name) for name in self._first_tasks()] + [CheckWorkflow()]

    def _first_tasks(self) -> Sequence[str]:
        if self.spec.type == "reverse":
            return reverse.ready(self.spec, reverse.target(self.draft, self.ports.values), (), ())
        return self.spec.start_tasks

    def _initial_context(self) -> Bag:
        base = self.ports.values.pack({"__execution": {"id": self.draft.id}})
        if not self.spec.vars:
            return base
        context = data_flow.context(self.ports, self.draft)
        evaluated = self.ports.expressions.evaluate_recursively(
            dict(self.spec.vars), context, "vars"
        )
        return base.updated(self.ports.values.pack(evaluated))

    # completion

    def check_and_complete(self) -> list[Command]:
        """Complete the workflow if nothing of it is unfinished (doc:language/states)."""
        if self.draft.rollback is not None:
            return []
        if self.draft.state != states.RUNNING or self.draft.unfinished > 0:
            return []
        if self.draft.cancelled:
            names = ", ".join(sorted({t.name for t in self.ports.cancelled_tasks()}))
            return self._cancel(f"Cancelled tasks: {names}")
        if self.draft.unhandled_errors:
            return self.fail(workflow_output.failure(self.ports))
        return self._succeed(None)

    def _succeed(self, message: str | None) -> list[Command]:
        return self._finish(
            states.SUCCESS, message, workflow_output.output(self.spec, self.ports, self.draft)
        )

    def fail(self, message: str | None) -> list[Command]:
        """End in ERROR with a message (doc:language/workflows#output)."""
        output, message = workflow_output.output_on_error(
            self.spec, self.ports, self.draft, message
        )
        return self._finish(states.ERROR, self._cut(message), output)

    def break_off(self, message: str | None) -> list[Command]:
        """End in ERROR without a look at the definition, which may be what can't be read."""
        text = self._cut(message)
        return self._finish(states.ERROR, text, self.ports.values.pack({"result": text}))

    def _cancel(self, message: str | None) -> list[Command]:
        output = workflow_output.only_message(self.ports, message)
        return self._finish(states.CANCELLED, self._cut(message), output)

    def _finish(self, state: str, message: str | None, output: Bag) -> list[Command]:
        undoing = self.draft.rollback
        commands = self.set_state(state, message)
        commands += self._do(
            UpdateExecution(
                {
                    "output": output,
                    "accepted": True,
                    "finished_at": self.ports.now,
                    "next_look_at": None,
                    "backlog": None,
                    "rollback": None,
                }
            )
        )
        if undoing is not None:
            told = execution_events.rolled_back(self.ports, self.draft, undoing, False, message)
        else:
            told = execution_events.to_parent(
                self.ports, self.draft, execution_events.CHILD_FINISHED
            )
        return commands + told

    # operators' commands

    def lock(self) -> list[Command]:
        """Serialise with everybody else who handles this execution."""
        return [LockExecution(self.draft.id)]

    def set_state(
        self, state: str, state_info: str | None = None, event: WorkflowEvent | None = None
    ) -> list[Command]:
        """Change the state as far as a command may.

        :param event: why, where the state does not tell.

        :raises InvalidStateException: for a change that the table does not allow.
        """
        old = self.draft.state
        if not states.is_valid_transition(old, state):
            raise exc.InvalidStateException(
                f"Can't change workflow execution state from {old} to {state}. "
                f"[workflow={self.draft.workflow_name}, execution_id={self.draft.id}]"
            )
        changes = {"state_info": state_info, "updated_at": self.ports.now}
        event = None if state == old else event or _EVENTS[state]
        return self._do(UpdateExecution(changes, event))

    def stop(self, state: str, msg: str | None = None, number: int = 0) -> list[Command]:
        """Put the execution into a final state by command (doc:language/steering#stop)."""
        if state == states.SUCCESS:
            if self.draft.state == states.SUCCESS:
                return self._do(UpdateExecution({"state_info": self._cut(msg)})) if msg else []
            self._refuse_unless_allowed(state)
            return self._succeed(self._cut(msg))
        if self.is_completed():
            return []
        if state == states.ERROR:
            return self.fail(msg)
        if state == states.CANCELLED:
            commands = self._cancel(msg)
            payload = {"message": msg}
            return commands + execution_events.to_children(
                self.ports, self.draft, execution_events.CANCEL, number, payload
            )
        raise exc.WorkflowException(f"Can't stop an execution with state {state}.")

    def _refuse_unless_allowed(self, state: str) -> None:
        if not states.is_valid_transition(self.draft.state, state):
            self.set_state(state)

    def pause(
        self, message: str | None = None, number: int = 0, came_from: str | None = None
    ) -> list[Command]:
        """Start nothing new; what runs goes on (doc:language/steering#pause-and-resume).

        :param came_from: the execution that passed the command on; it does not get it back.
        """
        if self.draft.state == states.PAUSED:
            return []
        if self.draft.rollback is not None:
            raise exc.WorkflowException(
                f"An execution can't be paused while it is rolled back [id={self.draft.id}]"
            )
        if self.draft.state == states.IDLE and self.draft.parent_execution_id:
            # a child that has not begun: it begins when it is resumed
            return self._do(UpdateExecution({"next_look_at": None}, WorkflowEvent.PAUSE))
        ports = self.ports
        commands = self.set_state(states.PAUSED, self._cut(message))
        commands += execution_events.to_children(
            ports, self.draft, execution_events.PAUSE, number, None, came_from
        )
        if came_from != self.draft.parent_execution_id:
            commands += execution_events.to_parent(
                ports, self.draft, execution_events.CHILD_PAUSED, number
            )
        return commands

    def resume(
        self,
        env: Mapping[str, Any] | None = None,
        number: int = 0,
        came_from: str | None = None,
        held: Sequence[TaskExecution] = (),
    ) -> list[Command]:
        """Go on: held tasks, undecided followers, the backlog (doc:language/steering).

        :param held: tasks that waited for this, in order of creation.
        """
        if self.draft.state not in (states.PAUSED, states.IDLE):
            return []
        commands = self.update_env(env) if env else []
        if self.draft.started_at is None:
            return commands + self.begin()
        ports = self.ports
        commands += self.set_state(states.RUNNING)
        commands += execution_events.to_children(
            ports, self.draft, execution_events.RESUME, number, None, came_from
        )
        if came_from != self.draft.parent_execution_id:
            commands += execution_events.to_parent(
                ports, self.draft, execution_events.CHILD_RESUMED, number
            )
        backlog = [from_backlog(stored) for stored in self.draft.backlog or ()]
        commands += self._do(UpdateExecution({"backlog": None}))
        return commands + [StartTask(task_ex.id) for task_ex in held] + backlog

    def rerun(
        self, task_ex: TaskExecution, reset: bool = True, env: Mapping[str, Any] | None = None
    ) -> list[Command]:
        """Run a failed task again, and with it all that it is part of (doc:language/rerun)."""
        commands = self.update_env(env) if env else []
        return [*commands, *self.revive(), RerunTask(task_ex.id, reset)]

    def revive(self) -> list[Command]:
        """Let a finished execution run again and tell its ancestors."""
        if self.draft.state == states.RUNNING:
            return []
        was_completed = self.is_completed()
        event = WorkflowEvent.RUN_AGAIN if was_completed else WorkflowEvent.RESUME
        commands = self.set_state(states.RUNNING, event=event)
        commands += self._do(
            UpdateExecution(
                {
                    "accepted": False,
                    "finished_at": None,
                    "output": EMPTY,
                    "attempt": self.draft.attempt + int(was_completed),
                }
            )
        )
        return commands + execution_events.to_parent(
            self.ports, self.draft, execution_events.CHILD_RUNNING
        )

    def update_env(self, env: Mapping[str, Any]) -> list[Command]:
        """Merge new entries into the environment (doc:language/environments)."""
        values, params = self.ports.values, self.draft.params
        old = values.get(params, "env") if "env" in params else {}
        merged = data_flow.merge_mappings(old or {}, env)
        bag = params.updated(values.pack({"env": merged}))
        data_flow.check_size("WorkflowExecution", "params", bag, self.ports.limits)
        return self._do(UpdateExecution({"params": bag, "updated_at": self.ports.now}))

    def _do(self, *commands: Command) -> list[Command]:
        if self.wf_ex is not None:
            self.wf_ex = self.wf_ex.draft()
        for command in commands:
            if isinstance(command, UpdateExecution):
                command.apply_to(self.draft)
        return list(commands)

    def _cut(self, text: str | None) -> str | None:
        if not text:
            return text
        return text[: self.ports.limits.state_info_chars]


class _EnvFacts:
    """Facts at start: ``env()`` is the raw environment (doc:language/environments)."""

    def __init__(self, behind: Facts, env: Mapping[str, Any]) -> None:
        self._behind = behind
        self._env = env

    def env(self) -> Mapping[str, Any]:
        """The environment as it was given."""
        return self._env

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)
