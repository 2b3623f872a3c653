"""Executions and actions as the engine's answers show them: JSON dictionaries of columns."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from mistral.utils import clock
from mistral.workflow.entities import ActionExecution, Entity, WorkflowExecution
from mistral.workflow.values import Bag, Values


def execution(wf_ex: WorkflowExecution, values: Values) -> dict[str, Any]:
    """An execution with its whole data."""
    return _columns(wf_ex, values)


def brief(wf_ex: WorkflowExecution) -> dict[str, Any]:
    """An execution without its data: what an operator's command has made of it."""
    names = [field.name for field in dataclasses.fields(wf_ex)]
    found = {name: getattr(wf_ex, name) for name in names}
    return {k: _plain(v) for k, v in found.items() if not isinstance(v, Bag)}


def action(action_ex: ActionExecution, values: Values) -> dict[str, Any]:
    """An action with its whole data, but for its secrets."""
    found = _columns(action_ex, values)
    del found["secrets"]
    return found


def _columns(entity: Entity, values: Values) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(entity)]  # type: ignore[arg-type]
    found = {name: getattr(entity, name) for name in names}
    return {k: values.unpack(v) if isinstance(v, Bag) else _plain(v) for k, v in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return clock.render(value)
    return value
