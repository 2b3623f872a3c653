"""Indexes of lists and of wide executions: what is read is found without reading the rest.

It only adds; processes of the version before run on. Nobody who writes has to wait: PostgreSQL
builds the indexes concurrently, MariaDB and MySQL online. An upgrade that was interrupted is
simply started again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = (
    ("workflow_executions", ("project_id", "created_at", "id")),
    ("task_executions", ("project_id", "created_at", "id")),
    ("task_executions", ("workflow_execution_id", "created_at", "id")),
    ("task_executions", ("workflow_execution_id", "name", "id")),
    ("task_executions", ("workflow_execution_id", "state")),
    ("action_executions", ("project_id", "created_at", "id")),
    ("action_executions", ("task_execution_id", "created_at", "id")),
)


def upgrade() -> None:
    for table, columns in INDEXES:
        _create(_name(table, columns), table, columns)


def downgrade() -> None:
    for table, columns in reversed(INDEXES):
        op.drop_index(_name(table, columns), table)


def _name(table: str, columns: tuple[str, ...]) -> str:
    return f"ix_{table}_{'_'.join(columns)}"


def _create(name: str, table: str, columns: tuple[str, ...]) -> None:
    if op.get_context().dialect.name == "postgresql":
        with op.get_context().autocommit_block():
            # what an interrupted attempt left is not valid
            op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
            op.create_index(name, table, columns, postgresql_concurrently=True)
    elif context.is_offline_mode() or not _exists(name, table):
        op.create_index(name, table, columns)


def _exists(name: str, table: str) -> bool:
    # MariaDB commits each statement by itself: an interrupted attempt has left some
    return any(index["name"] == name for index in sa.inspect(op.get_bind()).get_indexes(table))
