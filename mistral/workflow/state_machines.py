"""The state machines of workflow, task and action executions, as tables (doc:language/states).

What happens to an execution is an event; the table says from which states it may come and to which
state it leads. Whoever changes a state names the event; nobody writes a state past the table.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from mistral.workflow.states import (
    CANCELLED,
    COMPLETED,
    DELAYED,
    ERROR,
    IDLE,
    PAUSED,
    RUNNING,
    SKIPPED,
    SUCCESS,
    UNFINISHED,
    WAITING,
)

E = TypeVar("E", bound=enum.Enum)
Row = tuple[Collection[str], str]
"""From which states an event may come, and to which state it leads."""


class UnknownTransitionError(Exception):
    """A decision wanted a change of state that the table does not know: a fault of the engine.

    No error of a definition, so it becomes no state of a task: the transaction fails, and the event
    that led here is tried again and given up like every other that can't be handled.
    """


class StateMachine(Generic[E]):
    """One kind of execution: (state, event) -> state."""

    def __init__(self, kind: str, initial: Collection[str], rows: Mapping[E, Row]) -> None:
        """:param initial: the states in which such an execution may be made."""
        self.kind = kind
        self.initial = frozenset(initial)
        self.rows: Mapping[E, Row] = MappingProxyType(dict(rows))
        self.table: Mapping[tuple[str, E], str] = MappingProxyType(
            {
                (before, event): after
                for event, (sources, after) in rows.items()
                for before in sources
            }
        )

    def after(self, state: str, event: E) -> str:
        """The state to which an event leads.

        :raises UnknownTransitionError: it can't come in this state.
        """
        found = self.table.get((state, event))
        if found is None:
            raise UnknownTransitionError(
                f"No {self.kind} execution has an event {event.name} in {state}."
            )
        return found

    def target(self, event: E) -> str:
        """The state to which an event leads from wherever it may come."""
        return self.rows[event][1]


class WorkflowEvent(enum.Enum):
    """What happens to a workflow execution."""

    BEGIN = "its first tasks start"
    PAUSE = "an operator, the language or a relative pauses it; a child perhaps before it begins"
    RESUME = "an operator or a relative resumes it"
    SUCCEED = "nothing of it is unfinished, or somebody says so"
    FAIL = "an error that nobody handled, or somebody says so"
    CANCEL = "an operator or the parent cancels it, a task was cancelled, or all was rolled back"
    RUN_AGAIN = "a task of it runs again, or is skipped"
    ROLL_BACK = "what it has done is undone"


WORKFLOW: Final = StateMachine(
    "workflow",
    {IDLE},
    {
        WorkflowEvent.BEGIN: ({IDLE, PAUSED}, RUNNING),
        WorkflowEvent.PAUSE: ({IDLE, RUNNING}, PAUSED),
        WorkflowEvent.RESUME: ({PAUSED}, RUNNING),
        WorkflowEvent.SUCCEED: ({RUNNING}, SUCCESS),
        WorkflowEvent.FAIL: ({IDLE, RUNNING, PAUSED}, ERROR),
        WorkflowEvent.CANCEL: ({IDLE, RUNNING, PAUSED}, CANCELLED),
        WorkflowEvent.RUN_AGAIN: ({ERROR, CANCELLED}, RUNNING),
        WorkflowEvent.ROLL_BACK: ({IDLE, RUNNING, PAUSED, SUCCESS, ERROR, CANCELLED}, RUNNING),
    },
)


class TaskEvent(enum.Enum):
    """What happens to a task execution."""

    START = "it runs: a new one, one that runs again, a join whose inbound tasks have come"
    GO_ON = "a delay or the pause before it is over"
    HOLD = "``pause-before`` lets it wait for the end of a pause"
    WAIT_BEFORE = "``wait-before`` delays its start"
    WAIT_AFTER = "``wait-after`` delays its end, which is decided"
    RETRY = "``retry`` lets it run once more instead of ending"
    RETRY_JOIN = "``retry`` lets a join run once more instead of ending"
    PAUSE = "what it runs is paused"
    RESUME = "what it runs is resumed"
    SUCCEED = "what it runs has succeeded"
    FAIL = "what it runs has failed, its time is up, its join can't run, it is given up"
    CANCEL = "what it runs was cancelled, or a rollback abandons it"
    FAIL_ON = "``fail-on`` makes an error of its success"
    BREAK = "a fatal error: its definition can't be followed, whatever it had come to"
    RERUN = "an operator lets it run again"
    REOPEN = "an operator skips it: it ends once more"
    SKIP = "it ends as skipped"
    WAIT_AGAIN = "a join that has ended gets another inbound task"
    RUN_AGAIN = "its sub-workflow, which had ended, runs again"
    TAKE_TURN = "a compensation that was begun before waits for its turn again"


TASK: Final = StateMachine(
    "task",
    {IDLE, WAITING},
    {
        TaskEvent.START: ({IDLE, WAITING}, RUNNING),
        TaskEvent.GO_ON: ({IDLE, WAITING, DELAYED, RUNNING}, RUNNING),
        TaskEvent.HOLD: ({RUNNING}, IDLE),
        TaskEvent.WAIT_BEFORE: ({RUNNING}, DELAYED),
        TaskEvent.WAIT_AFTER: ({SUCCESS, ERROR, CANCELLED}, DELAYED),
        TaskEvent.RETRY: ({SUCCESS, ERROR}, DELAYED),
        TaskEvent.RETRY_JOIN: ({SUCCESS, ERROR}, WAITING),
        TaskEvent.PAUSE: ({RUNNING, PAUSED}, PAUSED),
        TaskEvent.RESUME: ({PAUSED, RUNNING}, RUNNING),
        TaskEvent.SUCCEED: ({RUNNING, PAUSED, DELAYED}, SUCCESS),
        TaskEvent.FAIL: (UNFINISHED, ERROR),
        TaskEvent.CANCEL: (UNFINISHED, CANCELLED),
        TaskEvent.FAIL_ON: ({SUCCESS}, ERROR),
        TaskEvent.BREAK: (UNFINISHED | COMPLETED, ERROR),
        TaskEvent.RERUN: ({ERROR}, IDLE),
        TaskEvent.REOPEN: ({ERROR}, RUNNING),
        TaskEvent.SKIP: ({RUNNING}, SKIPPED),
        TaskEvent.WAIT_AGAIN: (COMPLETED, WAITING),
        TaskEvent.RUN_AGAIN: (UNFINISHED | {ERROR, CANCELLED}, RUNNING),
        TaskEvent.TAKE_TURN: ({IDLE, RUNNING, SUCCESS, ERROR, CANCELLED}, IDLE),
    },
)


class ActionEvent(enum.Enum):
    """What happens to an action execution."""

    PAUSE = "an operator says that it is paused"
    RESUME = "an operator says that it goes on"
    SUCCEED = "its result: success"
    FAIL = "its result: an error, or that its executor is lost"
    CANCEL = "its result: cancelled, by somebody outside or because nobody waits any more"
    SPOIL = "its result can't be used: too large, or the definition of an ad-hoc action fails"


ACTION: Final = StateMachine(
    "action",
    {RUNNING},
    {
        ActionEvent.PAUSE: ({RUNNING}, PAUSED),
        ActionEvent.RESUME: ({PAUSED}, RUNNING),
        ActionEvent.SUCCEED: ({RUNNING, PAUSED}, SUCCESS),
        ActionEvent.FAIL: ({RUNNING, PAUSED}, ERROR),
        ActionEvent.CANCEL: ({RUNNING, PAUSED}, CANCELLED),
        ActionEvent.SPOIL: ({SUCCESS, ERROR, CANCELLED}, ERROR),
    },
)

WORKFLOW_ENDS: Final[Mapping[str, WorkflowEvent]] = MappingProxyType(
    {
        SUCCESS: WorkflowEvent.SUCCEED,
        ERROR: WorkflowEvent.FAIL,
        CANCELLED: WorkflowEvent.CANCEL,
    }
)
TASK_ENDS: Final[Mapping[str, TaskEvent]] = MappingProxyType(
    {
        SUCCESS: TaskEvent.SUCCEED,
        ERROR: TaskEvent.FAIL,
        CANCELLED: TaskEvent.CANCEL,
        SKIPPED: TaskEvent.SKIP,
    }
)
ACTION_ENDS: Final[Mapping[str, ActionEvent]] = MappingProxyType(
    {
        SUCCESS: ActionEvent.SUCCEED,
        ERROR: ActionEvent.FAIL,
        CANCELLED: ActionEvent.CANCEL,
    }
)
