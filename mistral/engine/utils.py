"""Look-ups that the use cases share; each reads what it needs and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.db import definitions
from mistral.db.execution import action_executions, large_values
from mistral.db.execution.store import Store
from mistral.engine import snapshots

JsonDict = dict[str, Any]


def environment(conn: sa.Connection, given: Any, project_id: str) -> dict[str, Any]:
    """The start parameter ``env``: a mapping, or a name (doc:language/environments)."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str):
        found = definitions.find_environment(conn, given, project_id)
        if found is None:
            raise exc.WorkflowException(f"Environment is not found: {given}")
        return dict(found)
    raise exc.InputException(
        f"The parameter 'env' must be a mapping or the name of an environment, "
        f"not {type(given).__name__}"
    )


def owner(conn: sa.Connection, entity_id: str, is_workflow: bool) -> str:
    """The id under which the mail of an action, or of a child's end, is handled."""
    store = Store(conn)
    if is_workflow:
        child = store.execution(entity_id)
        if child is None or child.parent_execution_id is None:
            raise exc.NotFoundException(f"Sub-workflow execution not found [id={entity_id}]")
        return child.parent_execution_id
    found = action_executions.by_ids(conn, [entity_id])
    if not found:
        raise exc.NotFoundException(f"Action execution not found [id={entity_id}]")
    return found[0].workflow_execution_id or entity_id


def shown(conn: sa.Connection, entity_id: str, is_workflow: bool) -> JsonDict:
    """An action, or a sub-workflow execution, as callers see it."""
    if is_workflow:
        wf_ex = Store(conn).execution(entity_id)
        if wf_ex is None:
            raise exc.NotFoundException(f"Execution not found [id={entity_id}]")
        return snapshots.execution(wf_ex, large_values.loader(conn, wf_ex.root_id))
    found = action_executions.by_ids(conn, [entity_id])
    if not found:
        raise exc.NotFoundException(f"Action execution not found [id={entity_id}]")
    root_id = found[0].root_execution_id or entity_id
    return snapshots.action(found[0], large_values.loader(conn, root_id))


def execution_of_task(conn: sa.Connection, task_ex_id: str) -> str:
    """The id of the execution to which a task belongs."""
    found = Store(conn).tasks([task_ex_id])
    if not found:
        raise exc.NotFoundException(f"Task execution not found [id={task_ex_id}]")
    return found[0].workflow_execution_id
