"""Who may see a row: the one place that says so (doc:rest/conventions#visibility).

A row belongs to a project. Rows of tables that have a ``scope`` are seen by everybody when that is
public. An admin sees all. Whoever may not see a row is told that it does not exist.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import sqlalchemy as sa

from mistral.context import RequestContext

PUBLIC: Final = "public"

Project: TypeAlias = "str | sa.ColumnElement[str]"


def to_project(table: sa.Table, project_id: Project) -> sa.ColumnElement[bool]:
    """The rows that a project may see and use."""
    own = table.c.project_id == project_id
    return sa.or_(own, table.c.scope == PUBLIC) if "scope" in table.c else own


def to_caller(table: sa.Table, ctx: RequestContext) -> sa.ColumnElement[bool]:
    """The rows that a caller may see."""
    return sa.true() if ctx.is_admin else to_project(table, ctx.project_id)


def nearest_first(table: sa.Table, project_id: Project) -> list[sa.ColumnElement[Any]]:
    """Of several visible rows of one name: the project's own, then public ones, oldest first."""
    distance = sa.case((table.c.project_id == project_id, 0), (table.c.scope == PUBLIC, 1), else_=2)
    return [distance, table.c.created_at, table.c.id]
