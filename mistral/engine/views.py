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


def action(action_ex: ActionExecution, values: Values) -> dict[str, Any]:
    """An action with its whole data."""
    return _columns(action_ex, values)


def _columns(entity: Entity, values: Values) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(entity)]  # type: ignore[arg-type]
    return {name: _plain(getattr(entity, name), values) for name in names}


def _plain(value: Any, values: Values) -> Any:
    if isinstance(value, Bag):
        return values.unpack(value)
    if isinstance(value, dt.datetime):
        return clock.render(value)
    return value
