"""The rows of a running workflow as plain objects that know what changed in them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Self

from mistral.workflow import states
from mistral.workflow.runtime import ActionRuntime, TaskRuntime
from mistral.workflow.state_machines import (
    ACTION,
    TASK,
    WORKFLOW,
    ActionEvent,
    TaskEvent,
    WorkflowEvent,
)
from mistral.workflow.values import EMPTY, Bag


class Entity:
    """Base of the entities: attributes changed since loading are listed in ``changed``.

    ``old_state`` is the state before its first change, where there was one.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        changed = attributes.get("changed")
        if changed is not None and attributes.get(name) != value:
            if name == "state" and name not in changed:
                attributes["old_state"] = attributes.get(name)
            changed.add(name)
        attributes[name] = value

    def __post_init__(self) -> None:
        self.__dict__["changed"] = set()

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """An unchanged entity of what was stored."""
        entity = cls.__new__(cls)
        entity.__dict__.update(row)
        entity.__dict__["changed"] = set()
        return entity

    def draft(self) -> Self:
        """A copy to think with: changing it changes nothing else."""
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__["changed"] = set(self.__dict__["changed"])
        return copy

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Set several attributes."""
        for name, value in changes.items():
            setattr(self, name, value)


@dataclasses.dataclass(eq=False)
class WorkflowExecution(Entity):
    """One run of a workflow.

    ``unfinished``, ``unhandled_errors`` and ``cancelled`` count its tasks in such states, so that
    nobody has to look at all of them. ``attempt`` rises when a finished execution runs again.
    ``next_look_at`` is the outbox mark of a child that waits for its start. ``rollback`` is set
    while compensations run: what was abandoned, and which parent's task waits for the end.
    ``depth`` counts the executions above. ``used_...`` is what it has used and not added up with
    the others below its root yet.
    """

    id: str
    workflow_name: str
    spec_hash: str
    workflow_id: str | None = None
    workflow_namespace: str = ""
    workbook_name: str | None = None
    project_id: str | None = None
    description: str | None = ""
    tags: list[str] | None = None
    state: str = states.IDLE
    state_info: str | None = None
    accepted: bool = False
    input: Bag = EMPTY
    output: Bag = EMPTY
    params: Bag = EMPTY
    context: Bag = EMPTY
    root_execution_id: str | None = None
    parent_execution_id: str | None = None
    task_execution_id: str | None = None
    task_attempt: int = 0
    idx: int = 0
    attempt: int = 0
    version: int = 0
    command_number: int = 0
    unfinished: int = 0
    unhandled_errors: int = 0
    cancelled: int = 0
    backlog: list[dict[str, Any]] | None = None
    rollback: dict[str, Any] | None = None
    depth: int | None = 0
    used_tasks: int | None = 0
    used_actions: int | None = 0
    used_bytes: int | None = 0
    next_look_at: dt.datetime | None = None
    tries: int = 0
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None

    def move(self, event: WorkflowEvent) -> None:
        """Change the state by the table."""
        self.state = WORKFLOW.after(self.state, event)

    @property
    def root_id(self) -> str:
        """The id of the top execution: this one's own when it has no parent."""
        return self.root_execution_id or self.id


@dataclasses.dataclass(eq=False)
class TaskExecution(Entity):
    """One task of a run.

    ``attempt`` is raised by retry, rerun and re-arm, ``run`` only by the latter two: what carries
    another number belongs to the past.
    """

    id: str
    name: str
    workflow_execution_id: str
    type: str = "ACTION"
    state: str = states.IDLE
    state_info: str | None = None
    unique_key: str | None = None
    attempt: int = 0
    run: int = 0
    in_context: Bag = EMPTY
    published: Bag = EMPTY
    published_global: Bag | None = None
    runtime_context: dict[str, Any] = dataclasses.field(default_factory=dict)
    processed: bool = False
    has_next_tasks: bool = False
    next_tasks: list[list[str]] | None = None
    error_handled: bool = False
    tags: list[str] | None = None
    project_id: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    started_at: dt.datetime | None = None
    finished_at: dt.datetime | None = None

    def move(self, event: TaskEvent) -> None:
        """Change the state by the table."""
        self.state = TASK.after(self.state, event)

    @property
    def runtime(self) -> TaskRuntime:
        """What the engine remembers of the task."""
        return TaskRuntime(self.runtime_context)

    @property
    def is_compensation(self) -> bool:
        """Whether it undoes another task: no part of what the workflow is to do."""
        return self.runtime.undoes is not None


CALLER = "caller"
"""Who has started an action whose result a caller of the API waits for: no executor claims it."""


@dataclasses.dataclass(eq=False)
class ActionExecution(Entity):
    """One run of an action.

    ``result_at`` tells that a result was delivered, ``processed`` that its task has taken it.
    ``next_look_at`` is the outbox mark: when the relay looks at the row again, unless it is null.
    ``base_name`` and ``base_input`` say what really runs when ``name`` is an ad-hoc action.
    ``secrets`` holds, encrypted, the values of those parameters of what really runs whose secrets
    the inputs only show as ``***``; only as long as it may have to be sent.
    """

    id: str
    name: str
    workflow_execution_id: str | None = None
    root_execution_id: str | None = None
    task_execution_id: str | None = None
    workflow_namespace: str = ""
    description: str | None = None
    state: str = states.RUNNING
    state_info: str | None = None
    input: Bag = EMPTY
    output: Bag | None = None
    accepted: bool = False
    is_sync: bool = True
    attempt: int = 0
    idx: int = 0
    base_name: str | None = None
    base_input: Bag | None = None
    secrets: str | None = dataclasses.field(default=None, repr=False)
    runtime_context: dict[str, Any] = dataclasses.field(default_factory=dict)
    tags: list[str] | None = None
    project_id: str | None = None
    target: str | None = None
    safe_rerun: bool = False
    result_hash: str | None = None
    result_at: dt.datetime | None = None
    processed: bool = False
    started_at: dt.datetime | None = None
    started_by: str | None = None
    signalled_at: dt.datetime | None = None
    next_look_at: dt.datetime | None = None
    tries: int = 0
    last_heartbeat: dt.datetime | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None

    @property
    def runtime(self) -> ActionRuntime:
        """What the engine remembers of the action."""
        return ActionRuntime(self.runtime_context)

    def move(self, event: ActionEvent) -> None:
        """Change the state by the table."""
        self.state = ACTION.after(self.state, event)


@dataclasses.dataclass(eq=False)
class JoinInbound(Entity):
    """What one inbound task means for a join: ``ready`` or ``failed``."""

    task_execution_id: str
    name: str
    state: str
    source_task_id: str | None = None
    event: str | None = None
    attempt: int = 0


@dataclasses.dataclass(eq=False)
class Timer(Entity):
    """Something that is due later. Fires at least once; the one who handles it deletes it.

    Until ``claimed_until`` one engine keeps it in memory to fire it in time.
    """

    id: str
    kind: str
    execution_id: str
    task_id: str
    attempt: int
    due_at: dt.datetime
    payload: dict[str, Any] = dataclasses.field(default_factory=dict)
    claimed_until: dt.datetime | None = None
    tries: int = 0


@dataclasses.dataclass(eq=False)
class ExecutionEvent(Entity):
    """Something that another execution has to know, written by the transaction that caused it."""

    id: str
    execution_id: str
    kind: str
    source_id: str | None = None
    task_id: str | None = None
    attempt: int = 0
    number: int = 0
    payload: dict[str, Any] = dataclasses.field(default_factory=dict)
    next_look_at: dt.datetime | None = None
    tries: int = 0
    created_at: dt.datetime | None = None
