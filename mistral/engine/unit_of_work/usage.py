"""What one transaction lets its execution use, held against the bounds of the root execution.

An execution counts in its own row. Now and then, when it makes sub-workflows and at its end, it
adds that up in a row that all executions below the root share, and looks what they have used
together; so the cost of a task stays what it is, and the bounds are kept nearly, not exactly.
One belongs to each unit of work.
"""

from __future__ import annotations

from mistral.db.storage import Store
from mistral.workflow import states
from mistral.workflow.bounds import COUNTED_BYTES, MEBIBYTE, Bounds, Used
from mistral.workflow.entities import WorkflowExecution
from mistral.workflow.values import Values

STEP = 100
"""So many tasks or actions of an execution are added up together."""

STEP_OF_BYTES = 16 * MEBIBYTE


class Usage:
    """What is used, and what is known of the others below the root."""

    def __init__(self, store: Store, bounds: Bounds, root_id: str) -> None:
        self._store = store
        self._bounds = bounds
        self._root_id = root_id
        self._together: Used | None = None
        self._executions = 0
        self._report = Used()

    def execution_number(self) -> int:
        """The number that another execution below the root gets; the root has the first."""
        self._executions += 1
        return 1 + self._others().executions + self._executions

    def exceeded(self, wf_ex: WorkflowExecution) -> str | None:
        """The bound that is exceeded, as far as this transaction has to know."""
        own = _own(wf_ex)
        if self._is_worth_adding(own):
            self._others()
        return self._bounds.exceeded(own + (self._together or Used()))

    def _others(self) -> Used:
        if self._together is None:
            self._together = self._store.usage(self._root_id)
        return self._together

    def _is_worth_adding(self, own: Used) -> bool:
        bounds = self._bounds
        parts = (
            (own.tasks, bounds.tasks, STEP),
            (own.actions, bounds.actions, STEP),
            (own.stored, bounds.values_mb * MEBIBYTE, STEP_OF_BYTES),
        )
        # of a small bound a smaller part
        return any(
            limit >= 0 and used >= max(1, min(step, limit // 10)) for used, limit, step in parts
        )

    def close(self, wf_ex: WorkflowExecution, children: int, values: Values) -> None:
        """Everything is decided: count what is stored, and what is to be added up."""
        large = {key: len(text) for key, text in values.new.items() if len(text) >= COUNTED_BYTES}
        if large:
            known = self._store.known_values(self._root_id, large)
            for key in known:
                del values.new[key]
            wf_ex.used_bytes = (wf_ex.used_bytes or 0) + sum(
                size for key, size in large.items() if key not in known
            )
        own = _own(wf_ex)
        is_end = wf_ex.parent_execution_id is not None and states.is_completed(wf_ex.state)
        # what nobody has held against the bounds waits for the next transaction
        if self._together is not None or is_end:
            self._report = own + Used(executions=children)
            wf_ex.used_tasks = wf_ex.used_actions = wf_ex.used_bytes = 0

    def write(self, store: Store) -> None:
        """Add it up."""
        if self._report:
            store.add_usage(self._root_id, self._report)


def _own(wf_ex: WorkflowExecution) -> Used:
    return Used(0, wf_ex.used_tasks or 0, wf_ex.used_actions or 0, wf_ex.used_bytes or 0)
