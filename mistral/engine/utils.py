"""Look-ups that the use cases share; each reads what it needs and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.db.storage import Transaction
from mistral.engine import snapshots

JsonDict = dict[str, Any]


def environment(tx: Transaction, given: Any, project_id: str) -> dict[str, Any]:
    """The start parameter ``env``: a mapping, or a name (doc:language/environments)."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str):
        found = tx.definitions.find_environment(given, project_id)
        if found is None:
            raise exc.WorkflowException(f"Environment is not found: {given}")
        return dict(found)
    raise exc.InputException(
        f"The parameter 'env' must be a mapping or the name of an environment, "
        f"not {type(given).__name__}"
    )


def owner(tx: Transaction, entity_id: str, is_workflow: bool) -> str:
    """The id under which the mail of an action, or of a child's end, is handled."""
    if is_workflow:
        child = tx.store.execution(entity_id)
        if child is None or child.parent_execution_id is None:
            raise exc.NotFoundException(f"Sub-workflow execution not found [id={entity_id}]")
        return child.parent_execution_id
    found = tx.actions.by_ids([entity_id])
    if not found:
        raise exc.NotFoundException(f"Action execution not found [id={entity_id}]")
    return found[0].workflow_execution_id or entity_id


def shown(tx: Transaction, entity_id: str, is_workflow: bool) -> JsonDict:
    """An action, or a sub-workflow execution, as callers see it."""
    if is_workflow:
        wf_ex = tx.store.execution(entity_id)
        if wf_ex is None:
            raise exc.NotFoundException(f"Execution not found [id={entity_id}]")
        return snapshots.execution(wf_ex, tx.store.values(wf_ex.root_id))
    found = tx.actions.by_ids([entity_id])
    if not found:
        raise exc.NotFoundException(f"Action execution not found [id={entity_id}]")
    root_id = found[0].root_execution_id or entity_id
    return snapshots.action(found[0], tx.store.values(root_id))


def execution_of_task(tx: Transaction, task_ex_id: str) -> str:
    """The id of the execution to which a task belongs."""
    found = tx.store.tasks([task_ex_id])
    if not found:
        raise exc.NotFoundException(f"Task execution not found [id={task_ex_id}]")
    return found[0].workflow_execution_id
