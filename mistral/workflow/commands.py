"""What the domain answers: commands, turned into row changes by the dispatcher alone.

Row commands change what is stored; flow commands ask for the next decision.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    JoinInbound,
    TaskExecution,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.state_machines import ActionEvent, TaskEvent, WorkflowEvent
from mistral.workflow.values import EMPTY, Bag


@dataclasses.dataclass(frozen=True)
class Command:
    """Base of all commands."""


# rows ----------------------------------------------------------------------


def _nothing() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclasses.dataclass(frozen=True)
class _Update(Command):
    """Base of the commands that change a row; its state changes by an event alone."""

    def __post_init__(self) -> None:
        if "state" in self.changes:  # type: ignore[attr-defined]
            raise TypeError(f"{type(self).__name__}: the state changes by an event.")


@dataclasses.dataclass(frozen=True)
class LockExecution(Command):
    """Serialise with everybody who handles this execution."""

    execution_id: str


@dataclasses.dataclass(frozen=True)
class CreateExecution(Command):
    """Insert an execution; a child (IDLE) is started afterwards by its own transaction."""

    execution: WorkflowExecution


@dataclasses.dataclass(frozen=True)
class UpdateExecution(_Update):
    """Change the execution that the transaction handles."""

    changes: Mapping[str, Any] = dataclasses.field(default_factory=_nothing)
    event: WorkflowEvent | None = None

    def apply_to(self, wf_ex: WorkflowExecution) -> None:
        """Make the change, in the row or in a draft of it."""
        if self.event is not None:
            wf_ex.move(self.event)
        wf_ex.apply(self.changes)


@dataclasses.dataclass(frozen=True)
class CreateTask(Command):
    """Insert a task."""

    task: TaskExecution


@dataclasses.dataclass(frozen=True)
class UpdateTask(_Update):
    """Change a task."""

    task_id: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=_nothing)
    event: TaskEvent | None = None

    def apply_to(self, task_ex: TaskExecution) -> None:
        """Make the change, in the row or in a draft of it."""
        if self.event is not None:
            task_ex.move(self.event)
        task_ex.apply(self.changes)


@dataclasses.dataclass(frozen=True)
class CreateAction(Command):
    """Insert an action; after the commit it is sent to an executor."""

    action: ActionExecution


@dataclasses.dataclass(frozen=True)
class UpdateAction(_Update):
    """Change an action."""

    action_id: str
    changes: Mapping[str, Any] = dataclasses.field(default_factory=_nothing)
    event: ActionEvent | None = None

    def apply_to(self, action_ex: ActionExecution) -> None:
        """Make the change, in the row or in a draft of it."""
        if self.event is not None:
            action_ex.move(self.event)
        action_ex.apply(self.changes)


@dataclasses.dataclass(frozen=True)
class DiscardResults(Command):
    """The action results that a task has so far (or only the failed ones) do not count any more."""

    task_id: str
    failed_only: bool = False


@dataclasses.dataclass(frozen=True)
class SetInbound(Command):
    """Record what an inbound task means for a join."""

    inbound: JoinInbound


@dataclasses.dataclass(frozen=True)
class CreateTimer(Command):
    """Something becomes due later."""

    timer: Timer


@dataclasses.dataclass(frozen=True)
class SendEvent(Command):
    """An event of another execution, handled there by a transaction of its own."""

    event: ExecutionEvent


# flow ----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class RunTask(Command):
    """Start a task by name: a new task execution, or the one of a join.

    ``triggered_by`` is (task execution id, event) of the task that chose it.
    """

    name: str
    in_context: Bag = EMPTY
    triggered_by: tuple[str, str] | None = None
    source_name: str | None = None


@dataclasses.dataclass(frozen=True)
class BeginWorkflow(Command):
    """Let a created execution run."""


@dataclasses.dataclass(frozen=True)
class StartTask(Command):
    """Go on with a task execution that was held back: IDLE or DELAYED."""

    task_id: str


@dataclasses.dataclass(frozen=True)
class RerunTask(Command):
    """Run a task execution again."""

    task_id: str
    reset: bool = True


@dataclasses.dataclass(frozen=True)
class SkipTask(Command):
    """Put a failed task into SKIPPED."""

    task_id: str


@dataclasses.dataclass(frozen=True)
class StartItems(Command):
    """Start the items of a task that waited for the end of a pause."""

    task_id: str


@dataclasses.dataclass(frozen=True)
class GoOnLater(Command):
    """Go on with a task in a transaction of its own: this one makes enough."""

    task_id: str


@dataclasses.dataclass(frozen=True)
class ContinueTask(Command):
    """Decide what follows a task that ended during a pause."""

    task_id: str


@dataclasses.dataclass(frozen=True)
class EvaluateJoin(Command):
    """See whether a waiting join may run."""

    task_id: str


@dataclasses.dataclass(frozen=True)
class ReviewJoins(Command):
    """See which waiting joins have inbound tasks that can't come after the end of the workflow."""


@dataclasses.dataclass(frozen=True)
class TaskCompleted(Command):
    """A task has ended: joins learn of the edges it took and did not take.

    ``again``: it ended earlier and stays as it is, although others wanted it to run once more.
    """

    task_id: str
    chosen: tuple[str, ...] = ()
    again: bool = False


@dataclasses.dataclass(frozen=True)
class ActionCompleted(Command):
    """An action or a sub-workflow of a task has ended."""

    task_id: str
    action: Any


@dataclasses.dataclass(frozen=True)
class SetWorkflowState(Command):
    """An engine command of the language: ``fail``, ``succeed`` or ``pause``.

    ``forced`` is what a task's start or end demands: the end by a fatal error, the pause of
    ``pause-before``. It does not wait for the end of a pause.
    """

    state: str
    message: str | None = None
    source_task_id: str | None = None
    forced: bool = False


@dataclasses.dataclass(frozen=True)
class CheckWorkflow(Command):
    """See whether the workflow is complete."""


@dataclasses.dataclass(frozen=True)
class NextCompensation(Command):
    """Run the next compensation of an execution that is rolled back, or end the rollback."""


# the stored form of flow commands (a paused execution's backlog) -------------


def to_backlog(command: Command) -> dict[str, Any]:
    """The JSON form of a command that waits for the end of a pause."""
    if isinstance(command, RunTask):
        return {
            "run": command.name,
            "in_context": command.in_context.encode(),
            "triggered_by": command.triggered_by,
            "source": command.source_name,
        }
    if isinstance(command, SetWorkflowState):
        return {
            "state": command.state,
            "message": command.message,
            "source": command.source_task_id,
        }
    raise TypeError(f"{type(command).__name__} does not wait for the end of a pause.")


def from_backlog(stored: Mapping[str, Any]) -> Command:
    """The opposite of :func:`to_backlog`."""
    if "run" in stored:
        trigger = stored["triggered_by"]
        return RunTask(
            stored["run"],
            Bag.decode(stored["in_context"]),
            (trigger[0], trigger[1]) if trigger else None,
            stored["source"],
        )
    return SetWorkflowState(stored["state"], stored["message"], stored["source"])
