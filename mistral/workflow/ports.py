"""What decisions need from outside: time, ids, definitions, values, expressions.

Handed in with every decision, so that the same decision can be taken twice with the same answer
(law 3).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Protocol

from mistral.expressions import Expressions, Facts
from mistral.workflow.definitions import ActionDefinition, WorkflowDefinition
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.limits import Limits
from mistral.workflow.values import Values


class DecisionPorts(Protocol):
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


class WorkflowDecisionPorts(DecisionPorts, Protocol):
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
