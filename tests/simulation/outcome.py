"""What a run ended with, in a form that two runs can be compared by."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from mistral.utils import json
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.values import Bag, Values
from tests.simulation.memory import MemoryDatabase

_ID = re.compile(r"\d{9}-\d{6}")
_BLAMED = re.compile(r"Failed by tasks: \[[^\]]*\] \([^)]*\)")
"""A join fails with the first one that can't come; which one that is depends on the order."""

_CAUSE = re.compile(r'(?:[^"\\]|\\[^n])*\\n\\nFailure caused by')
"""A message begins with the cause of the oldest failed task, and so does which one that is."""


def summary(database: MemoryDatabase) -> str:
    """States, outputs and published variables of everything, without ids and times."""
    values = Values(
        lambda hashes: {
            digest: text for (_, digest), text in database.values.items() if digest in set(hashes)
        }
    )
    children: dict[str | None, list[WorkflowExecution]] = defaultdict(list)
    for wf_ex in database.all(WorkflowExecution):
        children[wf_ex.task_execution_id].append(wf_ex)
    tasks: dict[str, list[TaskExecution]] = defaultdict(list)
    for task_ex in database.all(TaskExecution):
        tasks[task_ex.workflow_execution_id].append(task_ex)

    def content(bag: Bag | None) -> Any:
        return values.unpack(bag) if bag else {}

    def of_task(task_ex: TaskExecution) -> Any:
        below = sorted((of_execution(child) for child in children[task_ex.id]), key=json.dumps)
        return [task_ex.name, task_ex.state, content(task_ex.published), below]

    def of_execution(wf_ex: WorkflowExecution) -> Any:
        found = sorted((of_task(t) for t in tasks[wf_ex.id]), key=json.dumps)
        output = content(wf_ex.output)
        if any(_BLAMED.search(t.state_info or "") for t in tasks[wf_ex.id]):
            # of its other inbound tasks it has what those that were faster had published
            output = {name: value for name, value in output.items() if name == "result"}
        return [wf_ex.workflow_name, wf_ex.state, wf_ex.idx, output, found]

    text = json.canonical([of_execution(root) for root in children[None]]).decode()
    text = _BLAMED.sub("Failed by tasks", _ID.sub("ID", text))
    return _CAUSE.sub("Failure caused by", text)
