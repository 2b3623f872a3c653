"""What people note on a workflow execution; engines neither read nor write it."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from mistral.db.core import tables

_W = tables.workflow_executions


def describe(conn: sa.Connection, execution_id: str, description: str, now: dt.datetime) -> None:
    """Give an execution another description; the same one again changes nothing."""
    is_another = _W.c.description.is_distinct_from(description)
    conn.execute(
        sa.update(_W)
        .where(_W.c.id == execution_id, is_another)
        .values(description=description, updated_at=now)
    )
