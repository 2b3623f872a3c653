"""What every task has in common: its life from creation to what follows. Decides only (law 3)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.engine import policies
from mistral.engine.actions import SubWorkflowError
from mistral.engine.base import Scope, TaskPolicy
from mistral.expressions import DataContext
from mistral.lang import ENGINE_COMMANDS, PublishSpec, Target, TaskSpec, WorkflowSpec
from mistral.utils import json
from mistral.workflow import data_flow, direct, states
from mistral.workflow.commands import (
    CheckWorkflow,
    Command,
    CreateTask,
    DiscardResults,
    GoOnLater,
    RunTask,
    SetWorkflowState,
    TaskCompleted,
    UpdateAction,
    UpdateExecution,
    UpdateTask,
)
from mistral.workflow.entities import (
    TaskExecution,
    WorkflowExecution,
)
from mistral.workflow.ports import DecisionPorts
from mistral.workflow.runtime import TaskRuntime
from mistral.workflow.state_machines import TASK_ENDS, TaskEvent
from mistral.workflow.values import EMPTY, Bag

_COMMAND_STATES = {"fail": states.ERROR, "succeed": states.SUCCESS, "pause": states.PAUSED}

_EVENTS: Mapping[str, TaskEvent] = {
    **TASK_ENDS,
    states.IDLE: TaskEvent.HOLD,
    states.WAITING: TaskEvent.WAIT_AGAIN,
    states.RUNNING: TaskEvent.GO_ON,
    states.PAUSED: TaskEvent.PAUSE,
}
"""What ``set_state`` means."""


class Task:
    """One task of one execution.

    :param ctx: the context that a new task inherits.
    :param task_ex: the task execution; none yet for a new task.
    :param unique_key: set where a workflow has at most one execution of the task.
    :param waiting: the task waits for others before it may start (joins).
    :param triggered_by: (task execution id, event) pairs of the tasks that chose this one.
    """

    def __init__(
        self,
        wf_ex: WorkflowExecution,
        wf_spec: WorkflowSpec,
        task_spec: TaskSpec,
        ctx: Bag,
        task_ex: TaskExecution | None = None,
        unique_key: str | None = None,
        waiting: bool = False,
        ports: DecisionPorts | None = None,
        triggered_by: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.wf_ex = wf_ex
        self.wf_spec = wf_spec
        self.task_spec = task_spec
        self.ctx = ctx
        self.task_ex = task_ex.draft() if task_ex is not None else None
        self.unique_key = unique_key
        self.waiting = waiting
        self.triggered_by = triggered_by
        self._ports = ports
        self._initial_state = task_ex.state if task_ex is not None else None

    # questions

    def is_completed(self) -> bool:
        """Whether the task has ended."""
        return self.task_ex is not None and states.is_completed(self.task_ex.state)

    def is_waiting(self) -> bool:
        """Whether the task waits for others."""
        return self.waiting

    def is_created(self) -> bool:
        """Whether the task has an execution."""
        return self.task_ex is not None

    def is_state_changed(self) -> bool:
        """Whether decisions taken through this object changed the task's state."""
        return self.task_ex is not None and self.task_ex.state != self._initial_state

    @property
    def ports(self) -> DecisionPorts:
        """The surroundings of decisions; an error for an object built without."""
        if self._ports is None:
            raise exc.MistralException("The task was built without its surroundings.")
        return self._ports

    @property
    def draft(self) -> TaskExecution:
        """The task execution as the decisions so far would leave it."""
        if self.task_ex is None:
            raise exc.MistralException(f"The task '{self.task_spec.name}' has no execution yet.")
        return self.task_ex

    # starting

    def defer(self) -> list[Command]:
        """Let the task wait: created, or put back, in state WAITING."""
        if self.task_ex is None:
            return self._create(states.WAITING)
        return self.set_state(states.WAITING, "Task is waiting.", processed=False)

    def run(self) -> list[Command]:
        """Start the task: a new one, or one that was held back."""
        if self.task_ex is None:
            commands = self._create(states.IDLE)
        else:
            commands = self._remember(self.draft.runtime.started())
        commands += self._do(
            UpdateTask(
                self.draft.id,
                {"state_info": None, "started_at": self.draft.started_at or self.ports.now},
                TaskEvent.START,
            )
        )
        commands += self._before_policies()
        if self.draft.state == states.RUNNING:
            commands += self._schedule_or_fail()
        return commands

    def postpone(self) -> list[Command]:
        """Create the task; it is started later."""
        commands = self._create(states.IDLE)
        commands += self._remember(self.draft.runtime.postponed())
        return [*commands, GoOnLater(self.draft.id)]

    def resume(self) -> list[Command]:
        """Go on after a delay or a pause: policies before the start are done."""
        commands = self.set_state(states.RUNNING)
        commands += self._remember(self.draft.runtime.resumed())
        # who runs already was resumed by somebody else
        return commands + self._schedule_or_fail() if self.is_state_changed() else []

    def _remember(self, runtime: TaskRuntime) -> list[Command]:
        if runtime == self.draft.runtime:
            return []
        return self._do(UpdateTask(self.draft.id, runtime.change))

    def _create(self, state: str) -> list[Command]:
        ports = self.ports
        self.task_ex = TaskExecution(
            id=ports.new_id(),
            name=self.task_spec.name,
            workflow_execution_id=self.wf_ex.id,
            type="WORKFLOW" if self.task_spec.workflow else "ACTION",
            state=state,
            unique_key=self.unique_key,
            in_context=self.ctx,
            runtime_context=self._triggers().stored,
            tags=list(self.task_spec.tags),
            project_id=self.wf_ex.project_id,
            created_at=ports.now,
            updated_at=ports.now,
        )
        return [CreateTask(self.task_ex.draft())]

    def _triggers(self) -> TaskRuntime:
        runtime = TaskRuntime()
        return runtime.triggered_by(self.triggered_by) if self.triggered_by else runtime

    def _before_policies(self) -> list[Command]:
        found = policies.before_policies(self.task_spec)
        if not found:
            return []
        scope = self._scope(self._context())
        commands: list[Command] = []
        for policy in found:
            commands += self._do(*policy.before_task_start(self.draft, self.task_spec, scope))
        return commands

    def _schedule_or_fail(self) -> list[Command]:
        try:
            return self.schedule_actions()
        except SubWorkflowError as error:
            return self.complete(states.ERROR, str(error))

    def schedule_actions(self) -> list[Command]:
        """Create what the task runs."""
        raise exc.MistralException(f"{type(self).__name__} runs nothing by itself.")

    # completing

    def on_action_complete(self, action_ex: Any) -> list[Command]:
        """Handle the end of an action or of a sub-workflow of this task."""
        raise exc.MistralException(f"{type(self).__name__} has no actions.")

    def complete(
        self, state: str, state_info: str | None = None, published: bool = False
    ) -> list[Command]:
        """End the task: publish, ask the policies, choose what follows.

        :param published: publishing happened before (the end was only delayed).
        """
        if self.is_completed():
            return []
        commands = self._do(
            UpdateTask(
                self.draft.id,
                {"state_info": self._cut(state_info), "updated_at": self.ports.now},
                TASK_ENDS[state],
            )
        )
        if not published:
            commands += self._publish()
            commands += self._forget_result()
        if state != states.SKIPPED:
            commands += self._after_policies()
        if not self.is_completed():
            return commands
        commands += self._do(UpdateTask(self.draft.id, {"finished_at": self.ports.now}))
        return commands + self.follow_up()

    def follow_up(self, resumed: bool = False) -> list[Command]:
        """Decide what follows a task that has ended, unless the workflow is paused or has ended.

        :param resumed: the decision was put off until now, so ``pause`` commands are void.
        """
        chosen = self._choose()
        is_held = self.wf_ex.state != states.RUNNING
        names = [c for c in chosen if c.name not in ENGINE_COMMANDS]
        ends_all = any(c.name in direct.ENDS for c in chosen)
        commands = self._do(
            UpdateTask(
                self.draft.id,
                {
                    # the output is made of what has no follower (doc:language/transitions#commands)
                    "has_next_tasks": bool(names) and not ends_all,
                    "next_tasks": [[c.name, c.event] for c in chosen] or None,
                    "error_handled": any(c.event == direct.ON_ERROR for c in chosen),
                    "processed": not is_held,
                },
            )
        )
        if is_held:
            return commands
        commands.append(TaskCompleted(self.draft.id, tuple(c.name for c in names)))
        context = data_flow.outbound(self.draft, self.ports.limits.versioning)
        following = [
            command
            for item in direct.up_to_end(chosen)
            if (command := self._command(item, context, resumed)) is not None
        ]
        return commands + following + [CheckWorkflow()]

    def _choose(self) -> list[direct.Chosen]:
        if self.task_spec.type == "reverse":
            return []
        conditions = self._context(data_flow.outbound(self.draft))

        def holds(target: Target) -> bool:
            return bool(self._evaluate(target.condition, conditions, f"condition of {target.name}"))

        return direct.choose(self.task_spec, self.draft.state, holds)

    def _command(self, item: direct.Chosen, context: Bag, resumed: bool) -> Command | None:
        if item.name == "noop" or (resumed and item.name == "pause"):
            return None
        if item.name in ENGINE_COMMANDS:
            params = self._evaluate(dict(item.params), self._context(context), item.name)
            message = params.get("msg")
            if isinstance(message, Mapping):
                message = json.spaced(json.dumps(message))
            text = None if message is None else str(message)
            return SetWorkflowState(_COMMAND_STATES[item.name], text, self.draft.id)
        if item.name not in self.wf_spec.tasks:
            # the workflow was stored without validation
            raise exc.WorkflowException(
                f"There is no task '{item.name}', which '{item.event}' leads to"
            )
        return RunTask(item.name, context, (self.draft.id, item.event), self.task_spec.name)

    def _after_policies(self) -> list[Command]:
        commands: list[Command] = []
        for policy in policies.after_policies(self.task_spec):
            commands += self._ask_after(policy)
            if not self.is_completed():
                break
        return commands

    def _ask_after(self, policy: TaskPolicy) -> list[Command]:
        scope = self._scope(self._context(data_flow.outbound(self.draft)))
        return self._do(*policy.after_task_complete(self.draft, self.task_spec, scope))

    # publishing

    def _publish(self) -> list[Command]:
        state = self.draft.state
        clauses = direct.publish_clauses(self.task_spec, state)
        plain = direct.plain_publish(self.task_spec, state)
        if not plain and not clauses:
            return []
        branch, shared = self._published(plain, [c.publish for c in clauses if c.publish])
        values, limits = self.ports.values, self.ports.limits
        if limits.merge_strategy == "merge":
            branch = data_flow.merged_over(self.draft.in_context, branch, values)
        published = values.pack(branch)
        data_flow.check_size("TaskExecution", "published", published, limits)
        changes: dict[str, Any] = {"published": published}
        commands: list[Command] = []
        if shared:
            bag = values.pack(shared)
            data_flow.check_size("TaskExecution", "published_global", bag, limits)
            changes["published_global"] = bag
            commands += self._publish_globally(shared)
        return self._do(UpdateTask(self.draft.id, changes)) + commands

    def _published(
        self, plain: Mapping[str, Any], clauses: Iterable[PublishSpec]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Branch and global variables, all evaluated against the context before publishing."""
        context = self._context(self.draft.in_context)
        branch: dict[str, Any] = {}
        shared: dict[str, Any] = {}
        for publish in clauses:
            branch |= self._evaluate(dict(publish.branch), context, "publish.branch")
            shared |= self._evaluate(dict(publish.global_), context, "publish.global")
        branch |= self._evaluate(dict(plain), context, "publish")
        return branch, shared

    def _publish_globally(self, shared: Mapping[str, Any]) -> list[Command]:
        values, before = self.ports.values, self.wf_ex.context
        context = before.updated(values.pack(data_flow.merged_over(before, shared, values)))
        published = UpdateExecution({"context": context})
        self.wf_ex = self.wf_ex.draft()
        published.apply_to(self.wf_ex)
        return [published]

    def _forget_result(self) -> list[Command]:
        if self.task_spec.workflow or self.task_spec.keep_result in (True, None):
            return []
        if self._evaluate(self.task_spec.keep_result, self._context(), "keep-result"):
            return []
        # the marker tells expressions of this very decision, which still know the old rows
        return [
            *self._remember(self.draft.runtime.erased()),
            *(
                UpdateAction(action_ex.id, {"output": EMPTY})
                for action_ex in self.ports.accepted_actions(self.draft)
            ),
        ]

    # repeating

    def reset(self) -> list[Command]:
        """Make the task as good as new: another attempt, nothing remembered of the last run."""
        attempt = self.draft.attempt + 1
        changes = self._rerun_changes(attempt, self.draft.runtime.reset(attempt))
        again = UpdateTask(self.draft.id, changes, TaskEvent.RERUN)
        return [DiscardResults(self.draft.id), *self._do(again)]

    def _rerun_changes(self, attempt: int, runtime: TaskRuntime) -> dict[str, Any]:
        return {
            "state_info": None,
            "attempt": attempt,
            "run": self.draft.run + 1,
            **runtime.change,
            "published": EMPTY,
            "published_global": None,
            "processed": False,
            "has_next_tasks": False,
            "next_tasks": None,
            "error_handled": False,
            "started_at": None,
            "finished_at": None,
        }

    def rerun(self, reset: bool = True) -> list[Command]:
        """Run the task again."""
        return self.renew(reset) + self.run()

    def renew(self, reset: bool = True) -> list[Command]:
        """Make a task that has ended ready for another run; without ``reset`` keep successes."""
        return self.reset()

    def rearm(self) -> list[Command]:
        """Let an ended join wait again: one more has come (doc:language/joins#joining-again)."""
        attempt = self.draft.attempt + 1
        changes = self._rerun_changes(attempt, self.draft.runtime.rearmed(attempt))
        return self._do(UpdateTask(self.draft.id, changes, TaskEvent.WAIT_AGAIN))

    def set_state(
        self, state: str, state_info: str | None = None, processed: bool | None = None
    ) -> list[Command]:
        """Set the state without anything that would follow."""
        changes: dict[str, Any] = {"state_info": self._cut(state_info)}
        if processed is not None:
            changes["processed"] = processed
        return self._do(UpdateTask(self.draft.id, changes, _EVENTS[state]))

    # evaluating

    def _do(self, *commands: Command) -> list[Command]:
        """Let commands take effect on the draft and pass them on."""
        for command in commands:
            if isinstance(command, UpdateTask) and command.task_id == self.draft.id:
                command.apply_to(self.draft)
        return list(commands)

    def _context(
        self, branch: Bag | None = None, item: Mapping[str, Any] | None = None
    ) -> DataContext:
        own = self.draft.in_context if branch is None else branch
        return data_flow.context(self.ports, self.wf_ex, task_ex=self.draft, branch=own, item=item)

    def _evaluate(self, value: Any, context: DataContext, attribute: str) -> Any:
        return self.ports.expressions.evaluate_recursively(value, context, attribute)

    def _scope(self, context: DataContext) -> Scope:
        evaluate = self.ports.expressions.evaluate_recursively
        return Scope(
            self.ports, self.wf_ex, lambda value, attribute: evaluate(value, context, attribute)
        )

    def _cut(self, text: str | None) -> str | None:
        return text[: self.ports.limits.state_info_chars] if text else text
