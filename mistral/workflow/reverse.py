"""Reverse workflows: tasks run as soon as all they require has succeeded (doc:language/reverse)."""

from __future__ import annotations

from collections.abc import Collection

from mistral import exceptions as exc
from mistral.lang import WorkflowSpec
from mistral.workflow.entities import WorkflowExecution
from mistral.workflow.values import Values


def target(wf_ex: WorkflowExecution, values: Values) -> str | None:
    """The task for whose sake an execution runs: its start parameter ``task_name``."""
    return values.get(wf_ex.params, "task_name") if "task_name" in wf_ex.params else None


def needed(spec: WorkflowSpec, target: str | None) -> set[str]:
    """The target and everything that it requires, directly or not.

    :raises WorkflowException: for a missing or unknown target.
    """
    if not isinstance(target, str) or target not in spec.tasks:
        raise exc.WorkflowException(f"Invalid task name [wf_name={spec.name}, task_name={target}]")
    found: set[str] = set()
    todo = [target]
    while todo:
        name = todo.pop()
        if name not in spec.tasks:
            # the workflow was stored without validation
            raise exc.WorkflowException(
                f"There is no task '{name}', which is required [wf_name={spec.name}]"
            )
        if name not in found:
            found.add(name)
            todo.extend(spec.tasks[name].requires)
    return found


def ready(
    spec: WorkflowSpec, target: str | None, succeeded: Collection[str], started: Collection[str]
) -> list[str]:
    """Tasks to start now, in the order of the definition."""
    wanted = needed(spec, target)
    return [
        name
        for name in spec.tasks
        if name in wanted
        and name not in started
        and all(required in succeeded for required in spec.tasks[name].requires)
    ]
