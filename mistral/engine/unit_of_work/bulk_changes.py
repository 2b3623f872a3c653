"""What one transaction changes in all actions of a task, without reading them first.

One belongs to each unit of work. The rows are changed when everything is decided; until then what
is read is corrected here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from mistral.db.storage import Store
from mistral.workflow import results, states
from mistral.workflow.commands import UpdateAction
from mistral.workflow.entities import ActionExecution
from mistral.workflow.state_machines import ACTION, ActionEvent


@dataclasses.dataclass(frozen=True)
class _BulkChange:
    """One change of one task's actions: those for which ``applies`` holds, and the statement."""

    task_id: str
    applies: Callable[[ActionExecution], bool]
    changes: Mapping[str, Any]
    write: Callable[[Store], None]
    event: ActionEvent | None = None

    def correct(self, found: Collection[ActionExecution]) -> None:
        for action_ex in found:
            if action_ex.task_execution_id == self.task_id and self.applies(action_ex):
                UpdateAction(action_ex.id, self.changes, self.event).apply_to(action_ex)


class BulkChanges:
    """The changes in order."""

    def __init__(self) -> None:
        self._changes: list[_BulkChange] = []

    def discard_results(
        self, task_id: str, failed_only: bool, known: Collection[ActionExecution]
    ) -> None:
        """The results that a task has, or only the failed ones, do not count any more."""

        def applies(action_ex: ActionExecution) -> bool:
            return not (failed_only and action_ex.state == states.SUCCESS)

        def write(store: Store) -> None:
            store.discard_results(task_id, failed_only)

        self._add(_BulkChange(task_id, applies, {"accepted": False}, write), known)

    def call_off(
        self,
        task_id: str,
        is_new: bool,
        changes: Mapping[str, Any],
        known: Collection[ActionExecution],
    ) -> None:
        """End the actions of a task that have no result yet; those of a new task are all known."""
        own: list[str] = []

        def write(store: Store) -> None:
            if not is_new:
                cancelled = {**changes, "state": ACTION.target(ActionEvent.CANCEL)}
                store.call_off_actions(task_id, cancelled, own)

        change = _BulkChange(task_id, results.is_live, changes, write, ActionEvent.CANCEL)
        self._add(change, known)
        # the others have a result in their rows
        own += [a.id for a in known if a.task_execution_id == task_id and a.__dict__["changed"]]

    def _add(self, change: _BulkChange, known: Collection[ActionExecution]) -> None:
        self._changes.append(change)
        change.correct(known)

    def corrected(self, found: Sequence[ActionExecution]) -> Sequence[ActionExecution]:
        """Actions that were read after that."""
        for change in self._changes:
            change.correct(found)
        return found

    def write(self, store: Store) -> None:
        """Change the rows: before those that were changed one by one later."""
        for change in self._changes:
            change.write(store)
