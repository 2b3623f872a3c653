"""Actions that no executor has taken although they are there to be taken."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Final

import sqlalchemy as sa

from mistral.db.core import tables
from mistral.workflow import states

_TASK = tables.task_executions
_ACTION = tables.action_executions
_BATCH: Final = 500


def targets(
    conn: sa.Connection, task_ids: Sequence[str], hosts: Collection[str], before: dt.datetime
) -> dict[str, str | None]:
    """The tasks whose actions wait for an executor that is none of these, with its name if given.

    :param before: what is younger has not waited long enough.
    """
    waits = sa.and_(
        _TASK.c.state == states.RUNNING,
        _TASK.c.state_info.is_(None),
        _ACTION.c.created_at < before,
        _ACTION.c.started_by.is_(None),
        _ACTION.c.signalled_at.is_(None),
        _ACTION.c.result_at.is_(None),
    )
    if hosts:
        waits = sa.and_(waits, _ACTION.c.target.is_not(None), _ACTION.c.target.not_in(hosts))
    found: dict[str, str | None] = {}
    for start in range(0, len(task_ids), _BATCH):
        batch = task_ids[start : start + _BATCH]
        statement = (
            sa.select(_ACTION.c.task_execution_id, _ACTION.c.target)
            .join_from(_ACTION, _TASK, _TASK.c.id == _ACTION.c.task_execution_id)
            .where(_ACTION.c.task_execution_id.in_(batch), waits)
        )
        found |= {row[0]: row[1] for row in conn.execute(statement)}
    return found
