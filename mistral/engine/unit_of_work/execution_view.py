"""What one transaction knows of one workflow execution, as its own changes would leave it.

It answers the domain's questions (:class:`~mistral.workflow.ports.WorkflowDecisionPorts`) and
keeps the rows that were read, so that each is read once; it writes nothing. The unit
of work, which changes them, is built upon it.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.db.storage import Transaction
from mistral.definitions.catalog import Catalog
from mistral.engine.unit_of_work import expression_facts
from mistral.engine.unit_of_work.bulk_changes import BulkChanges
from mistral.engine.unit_of_work.join_inbounds import JoinInbounds
from mistral.engine.unit_of_work.other_executions import OtherExecutions
from mistral.engine.unit_of_work.usage import Usage
from mistral.expressions import Expressions
from mistral.lang import WorkflowSpec
from mistral.workflow import results, states
from mistral.workflow.definitions import ActionDefinition, WorkflowDefinition
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.limits import ROWS_OF_CHILD, Limits
from mistral.workflow.values import Values


class ExecutionView:
    """One transaction's view of one execution. Not shared between threads."""

    def __init__(
        self,
        tx: Transaction,
        catalog: Catalog,
        limits: Limits,
        now: dt.datetime,
        wf_ex: WorkflowExecution,
        root_id: str,
        new_id: Callable[[], str],
    ) -> None:
        self.store = store = tx.store
        self._rows = tx.definitions
        self.catalog = catalog
        self.limits = limits
        self.now = now
        self.wf_ex = wf_ex
        self.new_id = new_id
        self.values: Values = store.values(root_id)
        self.values.most_at_once = limits.bytes_loaded
        self.expressions: Expressions = catalog.expressions
        self.other_executions = OtherExecutions(tx, catalog)
        self.usage = Usage(store, limits.bounds, root_id)
        self._tasks: dict[str, TaskExecution] = {}
        self._actions: dict[str, ActionExecution] = {}
        self._children: dict[str, list[WorkflowExecution]] = {}
        self._env: Mapping[str, Any] | None = None
        self._definitions: dict[str, ActionDefinition] = {}
        self._made = 0
        self.is_new = False
        self.new_executions: list[WorkflowExecution] = []
        self.new_tasks: dict[str, TaskExecution] = {}
        self._bulk_changes = BulkChanges()
        self.inbounds = JoinInbounds(store, self.new_tasks)

    # definitions

    @functools.cached_property
    def spec(self) -> WorkflowSpec:
        """The specification that the execution keeps."""
        return self.catalog.spec(self._rows, self.wf_ex.spec_hash)

    @property
    def definition(self) -> WorkflowDefinition:
        """The execution's definition as it was at its start."""
        w = self.wf_ex
        return WorkflowDefinition(
            w.workflow_id,
            w.workflow_name,
            w.workflow_namespace,
            w.spec_hash,
            self.spec,
            w.workbook_name,
            w.project_id,
            tuple(w.tags or ()),
        )

    def _names(self, name: str) -> list[str]:
        """Inside a workbook its own members come first (doc:language/documents#workbooks)."""
        workbook = self.wf_ex.workbook_name
        return [f"{workbook}.{name}", name] if workbook else [name]

    @property
    def namespace(self) -> str:
        """The namespace of the root execution, by which names are looked up."""
        params = self.wf_ex.params
        return self.values.get(params, "namespace") if "namespace" in params else ""

    def find_action(self, name: str) -> ActionDefinition:
        """What an action's name means here."""
        found = self._definitions.get(name)
        if found is None:
            found = self.catalog.find_action(
                self._rows, self._names(name), self.namespace, self.wf_ex.project_id, name
            )
            self._definitions[name] = found
        return found

    def find_workflow(self, name: str) -> WorkflowDefinition | None:
        """What a workflow's name means here."""
        return self.catalog.find_workflow(
            self._rows, self._names(name), self.namespace, self.wf_ex.project_id
        )

    # questions of expressions and decisions

    def facts(
        self, task_ex: TaskExecution | None = None, wf_ex: WorkflowExecution | None = None
    ) -> expression_facts.TransactionFacts:
        """What expressions may ask."""
        return expression_facts.TransactionFacts(self, task_ex, wf_ex)

    def seal(self, secrets: Mapping[str, Any]) -> str:
        """Secrets in the encrypted form in which they are stored."""
        return self.catalog.vault.seal(secrets)

    def env(self) -> Mapping[str, Any]:
        """The environment of the root execution, read once a transaction."""
        if self._env is None:
            root = self.wf_ex
            if root.root_execution_id is not None:
                root = self.other_executions.execution(root.root_execution_id) or root
            value = self.values.get(root.params, "env") if "env" in root.params else {}
            self._env = value if isinstance(value, Mapping) else {}
        return self._env

    def command_number(self) -> int:
        """The next number of an operator's command."""
        return self.store.command_number()

    def room(self) -> int:
        """How many tasks and actions this transaction may still make; none after many bytes."""
        if self.limits.is_much(self.values.new_size):
            return 0
        made = self._made + ROWS_OF_CHILD * len(self.new_executions)
        return max(0, self.limits.rows_at_once - made)

    def execution_number(self) -> int:
        """The number of another execution below the root, the root included."""
        return self.usage.execution_number()

    def live_children(self) -> list[str]:
        """Ids of the direct sub-executions that have not ended."""
        unfinished = sorted(states.UNFINISHED)
        stored = self.store.children_in(self.wf_ex.id, unfinished)
        return stored + [child.id for child in self.new_executions]

    def end_tasks(self) -> list[TaskExecution]:
        """Finished tasks that nothing followed."""
        return self._seen(
            self.store.end_tasks(self.wf_ex.id),
            lambda t: states.is_completed(t.state) and not t.has_next_tasks,
        )

    def arrived(self, task_ex: TaskExecution) -> list[TaskExecution]:
        """Tasks that have led to a join so far."""
        sources = [row.source_task_id for row in self.inbounds.ready(task_ex.id)]
        return self.tasks([task_id for task_id in sources if task_id is not None])

    def failed_tasks(self) -> list[TaskExecution]:
        """Tasks in ERROR that nothing handled."""
        return self._seen(
            self.store.tasks_in(self.wf_ex.id, [states.ERROR]),
            lambda t: t.state == states.ERROR and not t.error_handled,
        )

    def cancelled_tasks(self) -> list[TaskExecution]:
        """Tasks in CANCELLED."""
        return self.tasks_in(states.CANCELLED)

    def tasks_in(self, *wanted: str) -> list[TaskExecution]:
        """Tasks in one of some states."""
        return self._seen(self.store.tasks_in(self.wf_ex.id, wanted), lambda t: t.state in wanted)

    def unprocessed_tasks(self) -> list[TaskExecution]:
        """Finished tasks whose followers were not decided because of a pause."""
        return self._seen(
            self.store.unprocessed_tasks(self.wf_ex.id),
            lambda t: states.is_completed(t.state) and not t.processed,
        )

    def _seen(
        self, stored: Sequence[TaskExecution], fits: Callable[[TaskExecution], bool]
    ) -> list[TaskExecution]:
        """Stored rows corrected by what this transaction has changed so far.

        Compensations are left out: they are no part of what the workflow is to do.
        """
        return self._corrected(stored, lambda t: not t.is_compensation and fits(t))

    def _corrected(
        self, stored: Sequence[TaskExecution], fits: Callable[[TaskExecution], bool]
    ) -> list[TaskExecution]:
        found = {t.id: self._tasks.setdefault(t.id, t) for t in stored}
        found |= {t.id: t for t in self._tasks.values()}
        return [found[key] for key in sorted(found) if fits(found[key])]

    def latest_task(self, name: str) -> TaskExecution | None:
        """The newest task execution of a name."""
        stored = self.store.latest_task(self.wf_ex.id, name)
        if stored is not None and stored.is_compensation:
            return next(reversed(self.tasks_named([name])), None)
        newest = self._seen(
            [stored] if stored is not None else [],
            lambda t: t.name == name,
        )
        return newest[-1] if newest else None

    def tasks_named(self, names: Sequence[str]) -> list[TaskExecution]:
        """Tasks of some names, oldest first."""
        wanted = set(names)
        return self._seen(
            self.store.tasks_by_name(self.wf_ex.id, names),
            lambda t: t.name in wanted,
        )

    def accepted_actions(self, task_ex: TaskExecution) -> list[ActionExecution]:
        """Accepted actions of a task in order of index."""
        known = {a.id: a for a in self._actions.values() if a.task_execution_id == task_ex.id}
        if not self._knows_all(task_ex, known):
            stored = self.store.results_of_tasks([task_ex.id])
            for row in self._bulk_changes.corrected(stored):
                known.setdefault(row.id, self._actions.setdefault(row.id, row))
        counting = results.counting(task_ex, (a for a in known.values() if a.accepted))
        return sorted(counting, key=lambda a: (a.idx, a.id))

    def _knows_all(self, task_ex: TaskExecution, known: Mapping[str, ActionExecution]) -> bool:
        """Whether the one action that a plain task can have is at hand already."""
        spec = self.spec.tasks.get(task_ex.name)
        return (
            spec is not None
            and not spec.with_items
            and spec.join is None
            and any(a.attempt == task_ex.attempt and a.accepted for a in known.values())
        )

    def children(self, task_ex: TaskExecution) -> list[WorkflowExecution]:
        """Sub-executions of a task that count, in order of index."""
        if task_ex.id not in self._children:
            self._children[task_ex.id] = self.store.children_of_task(task_ex.id)
        return results.countable(task_ex.runtime, self._children[task_ex.id])

    def all_tasks(self) -> list[TaskExecution]:
        """All tasks of the execution, oldest first."""
        return self._seen(self.store.tasks_of(self.wf_ex.id), lambda t: True)

    def compensations(self, *wanted: str) -> list[TaskExecution]:
        """The tasks that undo others, in some states or in any."""
        store, execution_id = self.store, self.wf_ex.id
        stored = store.tasks_in(execution_id, wanted) if wanted else store.tasks_of(execution_id)
        return self._corrected(
            stored, lambda t: t.is_compensation and (not wanted or t.state in wanted)
        )

    def find_tasks(
        self, execution_id: str | None, recursive: bool, state: str | None
    ) -> list[TaskExecution]:
        """Tasks of an execution, of those below it too, or all of the project."""
        stored = self.store.find_tasks(self.wf_ex.project_id, execution_id, recursive, state)
        found = {t.id: self._tasks.get(t.id, t) for t in stored}
        if execution_id in (None, self.wf_ex.id):
            found |= self._tasks
        return [found[i] for i in sorted(found) if state in (None, found[i].state)]

    def find_executions(self, **filters: Any) -> list[WorkflowExecution]:
        """Executions of the project."""
        return self.store.find_executions(self.wf_ex.project_id, filters)

    # rows

    def tasks(self, task_ids: Sequence[str]) -> list[TaskExecution]:
        """Tasks by id, in that order; unknown ones are left out."""
        missing = [i for i in task_ids if i not in self._tasks]
        if missing:
            for row in self.store.tasks(missing):
                self._tasks[row.id] = row
        return [self._tasks[i] for i in task_ids if i in self._tasks]

    def task(self, task_id: str) -> TaskExecution:
        """A task by id."""
        found = self.tasks([task_id])
        if not found:
            raise exc.DBEntityNotFoundError(f"Task execution not found [id={task_id}]")
        return found[0]

    def task_by_key(self, key: str) -> TaskExecution | None:
        """The task of a unique key."""
        for task_ex in self._tasks.values():
            if task_ex.unique_key == key:
                return task_ex
        row = None if self.is_new else self.store.task_by_key(self.wf_ex.id, key)
        return self._tasks.setdefault(row.id, row) if row is not None else None

    def load_actions(self, action_ids: Sequence[str]) -> list[ActionExecution]:
        """Lock and read actions, with their tasks."""
        missing = [i for i in action_ids if i not in self._actions]
        if missing:
            for row in self._bulk_changes.corrected(self.store.lock_actions(missing)):
                self._actions[row.id] = row
        found = [self._actions[i] for i in action_ids if i in self._actions]
        self.tasks(list({a.task_execution_id for a in found if a.task_execution_id}))
        return found

    def action(self, action_id: str) -> ActionExecution | None:
        """An action that this transaction has read or made."""
        return self._actions.get(action_id)

    def touched_tasks(self) -> list[TaskExecution]:
        """The tasks that the transaction has read or made."""
        return list(self._tasks.values())

    def touched_actions(self) -> list[ActionExecution]:
        """The actions that the transaction has read or made."""
        return list(self._actions.values())
