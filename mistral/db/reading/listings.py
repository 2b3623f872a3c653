"""What the API reads of each table: attribute names and the columns behind them."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.execution import deletion
from mistral.db.reading.filters import Kind
from mistral.db.reading.queries import Column, Join, Listing
from mistral.workflow import states

_WF = tables.workflow_executions
_TASK = tables.task_executions
_ACTION = tables.action_executions

_IS_RAW: Final = sa.and_(
    _ACTION.c.base_name.is_not(None),
    _ACTION.c.state == states.SUCCESS,
    _ACTION.c.result_at.is_not(None),
    sa.not_(_ACTION.c.processed),
)
"""As :func:`mistral.workflow.results.is_raw` says it of a row."""

action_state: Final = sa.case((_IS_RAW, states.RUNNING), else_=_ACTION.c.state)
"""The state of an action for readers: it ends with its final value, not before."""

_OF_WORKFLOW: Final = "workflow"
_OF_TASK: Final = "task"


def _columns(table: sa.Table, names: str, kind: Kind = Kind.TEXT) -> dict[str, Column]:
    return {
        name: Column(table.c[name], kind, nullable=bool(table.c[name].nullable))
        for name in names.split()
    }


def _joined(join: str, source: sa.ColumnElement[Any], kind: Kind = Kind.TEXT) -> Column:
    return Column(source, kind, join)


workflows: Final = Listing(
    "Workflow",
    tables.workflow_definitions,
    {
        **_columns(
            tables.workflow_definitions,
            "id name namespace input definition checksum scope project_id",
        ),
        **_columns(tables.workflow_definitions, "interface", Kind.OBJECT),
        **_columns(tables.workflow_definitions, "tags", Kind.TAGS),
        **_columns(tables.workflow_definitions, "created_at updated_at", Kind.MOMENT),
    },
)

workbooks: Final = Listing(
    "Workbook",
    tables.workbooks,
    {
        **_columns(tables.workbooks, "id name namespace definition scope project_id"),
        **_columns(tables.workbooks, "tags", Kind.TAGS),
        **_columns(tables.workbooks, "created_at updated_at", Kind.MOMENT),
    },
)

actions: Final = Listing(
    "Action",
    tables.action_definitions,
    {
        **_columns(
            tables.action_definitions,
            "id name namespace input description definition scope project_id",
        ),
        **_columns(tables.action_definitions, "tags", Kind.TAGS),
        **_columns(tables.action_definitions, "created_at updated_at", Kind.MOMENT),
    },
)

environments: Final = Listing(
    "Environment",
    tables.environments,
    {
        **_columns(tables.environments, "id name description scope project_id"),
        **_columns(tables.environments, "variables", Kind.OBJECT),
        **_columns(tables.environments, "created_at updated_at", Kind.MOMENT),
    },
)

executions: Final = Listing(
    "Workflow execution",
    _WF,
    {
        **_columns(
            _WF,
            "id workflow_name workflow_namespace description state state_info project_id spec_hash",
        ),
        **_columns(_WF, "workflow_id task_execution_id root_execution_id", Kind.UUID),
        **_columns(_WF, "tags", Kind.TAGS_FOLDED),
        **_columns(_WF, "input output params context", Kind.BAG),
        **_columns(_WF, "created_at updated_at", Kind.MOMENT),
    },
    root=Column(sa.func.coalesce(_WF.c.root_execution_id, _WF.c.id)),
    kept=deletion.kept(_WF.c.id),
)

tasks: Final = Listing(
    "Task execution",
    _TASK,
    {
        **_columns(_TASK, "id name type state state_info project_id"),
        **_columns(_TASK, "workflow_execution_id", Kind.UUID),
        **_columns(_TASK, "tags", Kind.TAGS_FOLDED),
        **_columns(_TASK, "runtime_context", Kind.OBJECT),
        **_columns(_TASK, "published published_global", Kind.BAG),
        **_columns(_TASK, "processed", Kind.FLAG),
        **_columns(_TASK, "created_at updated_at started_at finished_at", Kind.MOMENT),
        "workflow_name": _joined(_OF_WORKFLOW, _WF.c.workflow_name),
        "workflow_namespace": _joined(_OF_WORKFLOW, _WF.c.workflow_namespace),
        "workflow_id": _joined(_OF_WORKFLOW, _WF.c.workflow_id, Kind.UUID),
        "workflow_state": _joined(_OF_WORKFLOW, _WF.c.state),
    },
    joins={_OF_WORKFLOW: Join(_WF, _WF.c.id == _TASK.c.workflow_execution_id)},
    root=_joined(_OF_WORKFLOW, sa.func.coalesce(_WF.c.root_execution_id, _WF.c.id)),
    kept=deletion.kept(_TASK.c.workflow_execution_id),
)

action_executions: Final = Listing(
    "Action execution",
    _ACTION,
    {
        **_columns(
            _ACTION,
            "id name workflow_namespace description state_info project_id workflow_execution_id",
        ),
        "state": Column(action_state, nullable=False),
        **_columns(_ACTION, "task_execution_id", Kind.UUID),
        **_columns(_ACTION, "tags", Kind.TAGS),
        **_columns(_ACTION, "input", Kind.BAG),
        "output": Column(sa.case((_IS_RAW, None), else_=_ACTION.c.output), Kind.BAG),
        **_columns(_ACTION, "is_sync", Kind.FLAG),
        # a repeated delivery shows what the first one showed, processed meanwhile or not
        "accepted": Column(
            sa.or_(
                _ACTION.c.accepted,
                sa.and_(
                    _ACTION.c.result_at.is_not(None), sa.not_(_ACTION.c.processed), sa.not_(_IS_RAW)
                ),
            ),
            Kind.FLAG,
        ),
        **_columns(_ACTION, "created_at updated_at", Kind.MOMENT),
        "workflow_name": _joined(_OF_WORKFLOW, _WF.c.workflow_name),
        "task_name": _joined(_OF_TASK, _TASK.c.name),
    },
    joins={
        _OF_WORKFLOW: Join(_WF, _WF.c.id == _ACTION.c.workflow_execution_id),
        _OF_TASK: Join(_TASK, _TASK.c.id == _ACTION.c.task_execution_id),
    },
    root=Column(sa.func.coalesce(_ACTION.c.root_execution_id, _ACTION.c.id)),
    kept=deletion.kept(_ACTION.c.workflow_execution_id),
)
