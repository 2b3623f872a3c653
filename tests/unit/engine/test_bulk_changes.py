"""What is changed in all actions of a task is one small statement."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

from mistral.db.execution.store import Store
from mistral.engine.unit_of_work.bulk_changes import BulkChanges
from mistral.utils import clock
from mistral.workflow import results
from mistral.workflow.entities import ActionExecution


def _action(number: int, **values: Any) -> ActionExecution:
    return ActionExecution.from_row(
        {"id": str(number), "name": "a", "task_execution_id": "t", "state": "RUNNING", **values}
    )


def test_a_call_off_names_only_what_is_written_by_itself() -> None:
    """The others have a result in their rows: of very many no database takes all ids."""
    now = clock.utc_now()
    ended = [_action(i, state="SUCCESS", result_at=now) for i in range(3)]
    live, fresh = _action(3), _action(4)
    fresh.apply({"state": "SUCCESS", "result_at": now})
    sweeps, store = BulkChanges(), MagicMock(spec=Store)
    sweeps.call_off("t", False, results.called_off("why", now), [*ended, live, fresh])
    sweeps.write(store)
    assert store.call_off_actions.call_args.args[2] == ["3", "4"]
    assert [a.state for a in (live, fresh)] == ["CANCELLED", "SUCCESS"]
