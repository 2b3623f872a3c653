"""The unit of work: what one transaction changes of one workflow execution.

It writes the differences at the end; before that it writes nothing. The handlers ask it, the
dispatcher changes it; ``transactions`` and ``standalone_actions`` make one each time.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Collection

from mistral.db.storage import Store, Transaction
from mistral.definitions.catalog import Catalog
from mistral.engine.unit_of_work.execution_view import ExecutionView
from mistral.engine.unit_of_work.outgoing import Outgoing
from mistral.utils import ids
from mistral.workflow import results, states
from mistral.workflow.commands import Command, UpdateTask
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    TaskExecution,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.limits import Limits

_BOOKKEEPING = frozenset(
    {
        "version",
        "command_number",
        "unfinished",
        "unhandled_errors",
        "cancelled",
        "used_tasks",
        "used_actions",
        "used_bytes",
    }
)
"""Columns of an execution that nobody sees."""


@dataclasses.dataclass(frozen=True)
class Bell:
    """What to ring when the transaction is committed; all belongs to one root execution."""

    root: str
    actions: tuple[ActionExecution, ...] = ()
    children: tuple[str, ...] = ()
    events: tuple[ExecutionEvent, ...] = ()
    timers: tuple[Timer, ...] = ()


class UnitOfWork(ExecutionView):
    """One transaction's view of one execution, and its changes. Not shared between threads."""

    def __init__(
        self,
        tx: Transaction,
        catalog: Catalog,
        limits: Limits,
        now: dt.datetime,
        wf_ex: WorkflowExecution,
        root_id: str | None = None,
        new_id: Callable[[], str] = ids.new_id,
    ) -> None:
        super().__init__(tx, catalog, limits, now, wf_ex, root_id or wf_ex.root_id, new_id)
        self.outgoing = Outgoing(now)
        self.new_actions: dict[str, ActionExecution] = {}
        self.pending: Collection[Command] = ()
        self.postponed: set[tuple[str, int | None]] = set()
        """Tasks, and the next of their items, with which a later transaction goes on."""
        self.settled: set[tuple[str, int]] = set()
        """Attempts of tasks (id, number) that have no action without a result."""

    # changes

    def begin_new(self, execution: WorkflowExecution) -> None:
        """The execution of this transaction is a new one."""
        self.is_new = True
        self.wf_ex = execution

    def add_task(self, task_ex: TaskExecution) -> None:
        """A new task."""
        self.new_tasks[task_ex.id] = self._tasks[task_ex.id] = task_ex
        self._use_task()
        self._count(task_ex, +1)

    def change_task(self, command: UpdateTask) -> None:
        """Change a task and what its execution counts."""
        task_ex = self.task(command.task_id)
        self._count(task_ex, -1)
        if command.changes.get("attempt", task_ex.attempt) > task_ex.attempt:
            self._use_task()
        command.apply_to(task_ex)
        if command.event is not None:
            task_ex.updated_at = self.now
        self._count(task_ex, +1)

    def _use_task(self) -> None:
        self.wf_ex.used_tasks = (self.wf_ex.used_tasks or 0) + 1
        self._made += 1

    def _count(self, task_ex: TaskExecution, sign: int) -> None:
        if task_ex.is_compensation:
            return
        wf_ex, state = self.wf_ex, task_ex.state
        if not states.is_completed(state):
            wf_ex.unfinished += sign
        elif state == states.CANCELLED:
            wf_ex.cancelled += sign
        elif state == states.ERROR and not task_ex.error_handled:
            wf_ex.unhandled_errors += sign

    def forget_env(self) -> None:
        """The environment was changed in this transaction."""
        self._env = None

    def add_action(self, action_ex: ActionExecution) -> None:
        """A new action."""
        self.new_actions[action_ex.id] = self._actions[action_ex.id] = action_ex
        self.wf_ex.used_actions = (self.wf_ex.used_actions or 0) + 1
        self._made += 1

    def discard_results(self, task_id: str, failed_only: bool) -> None:
        """Results that a task has do not count any more."""
        self._bulk_changes.discard_results(task_id, failed_only, self._actions.values())

    def call_off_actions(self, task_ex: TaskExecution, cause: str) -> None:
        """Nobody waits any more for what a task has been running."""
        if (task_ex.id, task_ex.attempt) in self.settled:
            return
        changes = results.called_off(cause, self.now)
        is_new = task_ex.id in self.new_tasks
        self._bulk_changes.call_off(task_ex.id, is_new, changes, self._actions.values())
        self.settled.add((task_ex.id, task_ex.attempt))

    # the end

    def close(self) -> Bell:
        """Everything is decided; what is to be rung when it is written."""
        self.wf_ex.version += 1
        self.usage.close(self.wf_ex, len(self.new_executions), self.values)
        if not self.is_new and self._has_changed(self.wf_ex):
            self.wf_ex.updated_at = self.now
        return Bell(
            self.wf_ex.root_id,
            tuple(a for a in self.new_actions.values() if a.next_look_at is not None),
            tuple(child.id for child in self.new_executions),
            tuple(self.outgoing.events),
            tuple(self.outgoing.timers),
        )

    def write(self, store: Store) -> None:
        """Write everything: the execution first, then tasks, actions, timers, values.

        :param store: of the transaction that carries the decision out.
        """
        if self.is_new:
            store.insert([self.wf_ex])
        else:
            store.update([self.wf_ex])
        store.insert(self.new_executions)
        store.insert(list(self.new_tasks.values()))
        store.update([t for t in self._tasks.values() if t.id not in self.new_tasks])
        self._bulk_changes.write(store)
        store.insert(list(self.new_actions.values()))
        store.update([a for a in self._actions.values() if a.id not in self.new_actions])
        self.inbounds.write(store)
        self.outgoing.write(store)
        self.usage.write(store)
        store.save_values(self.wf_ex.root_id, self.values.new)

    @staticmethod
    def _has_changed(wf_ex: WorkflowExecution) -> bool:
        """Whether an execution has changed as others see it: one that has ended rarely does."""
        changed: set[str] = wf_ex.__dict__["changed"]
        return not states.is_completed(wf_ex.state) or not changed <= _BOOKKEEPING
