"""What decisions need from outside: time, ids, definitions, values, expressions.

Handed in with every decision, so that the same decision can be taken twice with the same answer
(law 3).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any, Protocol

from mistral.expressions import Expressions, Facts
from mistral.lang import AdHocActionSpec, WorkflowSpec
from mistral.workflow.bounds import MEBIBYTE, Bounds
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.values import Values
from mistral.workflow.versions import ON, Versioning

ROWS_OF_CHILD = 4
"""A sub-workflow execution costs as much as so many tasks and actions."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """Sizes in KiB (negative: none), texts' lengths, and bounds.

    ``rows_at_once`` is how many tasks and actions one transaction makes, ``items_at_once`` how many
    items of one task it starts, ``bytes_at_once`` how many bytes of large values it makes
    (negative: any number): what is beyond waits for the next one, so that others have a turn.
    ``bytes_loaded`` is how many an expression may ask for together (negative: any number).
    """

    field_size_kb: int = 1024
    state_info_chars: int = 65500
    merge_strategy: str = "replace"
    versioning: Versioning = ON
    bounds: Bounds = Bounds()
    rows_at_once: int = 500
    items_at_once: int = 50
    bytes_at_once: int = 4 * MEBIBYTE
    bytes_loaded: int = 256 * MEBIBYTE

    def is_much(self, size: int) -> bool:
        """Whether a transaction has made as many bytes as one should."""
        return 0 <= self.bytes_at_once <= size


@dataclasses.dataclass(frozen=True)
class ActionDefinition:
    """What a name in a task means: a plug-in's descriptor or a chain of ad-hoc specifications.

    ``descriptor`` runs at the end; ``adhoc`` lists ad-hoc actions, the one that was named first.
    ``asked`` is the name as the task gives it: without that of the workbook.
    """

    name: str
    descriptor: Any
    adhoc: tuple[tuple[str, AdHocActionSpec], ...] = ()
    asked: str | None = None


@dataclasses.dataclass(frozen=True)
class WorkflowDefinition:
    """A stored workflow: identity and parsed specification."""

    id: str | None
    name: str
    namespace: str
    spec_hash: str
    spec: WorkflowSpec
    workbook_name: str | None = None
    project_id: str | None = None
    tags: tuple[str, ...] = ()


class Means(Protocol):
    """The outside of a decision."""

    now: dt.datetime
    expressions: Expressions
    values: Values
    limits: Limits

    def new_id(self) -> str:
        """A new identifier."""

    def room(self) -> int:
        """How many tasks and actions this transaction may still make; none after many bytes."""

    def execution_number(self) -> int:
        """The number of another execution below the root, the root included."""

    def facts(
        self, task_ex: TaskExecution | None = None, wf_ex: WorkflowExecution | None = None
    ) -> Facts:
        """What expressions may ask, with a current task or without.

        :param wf_ex: the execution as the decision under way would leave it.
        """

    def seal(self, secrets: Mapping[str, Any]) -> str:
        """Secrets in the encrypted form in which they are stored (law 9)."""

    def env(self) -> Mapping[str, Any]:
        """The environment of the root execution."""

    def find_action(self, name: str) -> ActionDefinition:
        """What an action's name means here; InvalidActionException if nothing."""

    def find_workflow(self, name: str) -> WorkflowDefinition | None:
        """What a workflow's name means here."""

    def accepted_actions(self, task_ex: TaskExecution) -> list[ActionExecution]:
        """Accepted actions of a task in order of index."""

    def children(self, task_ex: TaskExecution) -> list[WorkflowExecution]:
        """Sub-executions of a task that count, in order of index."""


class WorkflowMeans(Means, Protocol):
    """What decisions about a whole workflow ask besides."""

    def end_tasks(self) -> list[TaskExecution]:
        """Finished tasks that nothing followed."""

    def arrived(self, task_ex: TaskExecution) -> list[TaskExecution]:
        """Tasks that have led to a join so far."""

    def failed_tasks(self) -> list[TaskExecution]:
        """Tasks in ERROR that nothing handled."""

    def cancelled_tasks(self) -> list[TaskExecution]:
        """Tasks in CANCELLED."""

    def live_children(self) -> list[str]:
        """Ids of the direct sub-executions that have not ended."""

    def command_number(self) -> int:
        """The next number of an operator's command."""
