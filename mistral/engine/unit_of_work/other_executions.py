"""Other executions as they were last committed: expressions, reruns, rollbacks only read them.

One belongs to each unit of work. What the unit changes itself is not seen from here, and nothing
here is locked (law 2: never two executions in one transaction).
"""

from __future__ import annotations

from typing import Any

from mistral.db.storage import Transaction
from mistral.definitions.catalog import Catalog
from mistral.engine.tasks import result_of
from mistral.lang import WorkflowSpec
from mistral.workflow import ancestry, results
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.values import Bag


class OtherExecutions:
    """What one transaction reads of other executions, each once."""

    def __init__(self, tx: Transaction, catalog: Catalog) -> None:
        self._store = tx.store
        self._rows = tx.definitions
        self._catalog = catalog
        self._executions: dict[str, WorkflowExecution | None] = {}

    def execution(self, execution_id: str) -> WorkflowExecution | None:
        """An execution by id."""
        if execution_id not in self._executions:
            self._executions[execution_id] = self._store.execution(execution_id)
        return self._executions[execution_id]

    def refusal(self, child: WorkflowExecution) -> str | None:
        """Why some ancestor can't go on with an execution that runs again; nothing if all can.

        They are seen as they were last committed; one that changes later refuses by itself.
        """
        while child.parent_execution_id and child.task_execution_id:
            parent = self.execution(child.parent_execution_id)
            tasks = self._store.tasks([child.task_execution_id])
            if parent is None or not tasks or self._store.is_being_deleted(parent.id):
                return f"the parent is being deleted [execution_id={child.parent_execution_id}]"
            reason = ancestry.refusal(parent, tasks[0], child.task_attempt)
            if reason is not None:
                return reason
            child = parent
        return None

    def spec_of(self, execution_id: str) -> WorkflowSpec | None:
        """The specification that an execution keeps."""
        found = self.execution(execution_id)
        return self._catalog.spec(self._rows, found.spec_hash) if found else None

    def unpack(self, execution_id: str, bag: Bag | None) -> dict[str, Any]:
        """Variables of another execution: large values are kept with its own root."""
        found = self.execution(execution_id)
        return self._store.values(found.root_id).unpack(bag) if found and bag else {}

    def task_result(self, task_ex: TaskExecution) -> Any:
        """The result of a task of another execution."""
        execution_id = task_ex.workflow_execution_id
        wf_ex, spec = self.execution(execution_id), self.spec_of(execution_id)
        task_spec = spec.tasks.get(task_ex.name) if spec else None
        if wf_ex is None or task_spec is None:
            return None
        values = self._store.values(wf_ex.root_id)
        if task_ex.type == "WORKFLOW":
            children = self._store.children_of_task(task_ex.id)
            counted = results.countable(task_ex.runtime, children)
            return result_of(task_spec, [values.unpack(child.output) for child in counted])
        accepted = self._store.results_of_tasks([task_ex.id])
        return result_of(
            task_spec, [values.get(a.output, "result") if a.output else None for a in accepted]
        )
