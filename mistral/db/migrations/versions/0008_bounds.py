"""What a root execution has used, for its bounds, and how deep a sub-workflow lies.

It only adds; what processes of the version before insert counts as nothing used. Where each
statement commits by itself, an interrupted attempt may be repeated.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}
TABLE = "workflow_executions"
COLUMNS: dict[str, type[sa.types.TypeEngine[int]]] = {
    "depth": sa.Integer,
    "used_tasks": sa.Integer,
    "used_actions": sa.Integer,
    "used_bytes": sa.BigInteger,
}


def upgrade() -> None:
    op.create_table(
        "root_usage",
        sa.Column("root_execution_id", sa.String(255), nullable=False),
        sa.Column("executions", sa.Integer, nullable=False),
        sa.Column("tasks", sa.Integer, nullable=False),
        sa.Column("actions", sa.Integer, nullable=False),
        sa.Column("stored", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("root_execution_id", name="pk_root_usage"),
        if_not_exists=True,
        **OPTIONS,
    )
    there = () if context.is_offline_mode() else _columns()
    for name, kind in COLUMNS.items():
        if name not in there:
            op.add_column(TABLE, sa.Column(name, kind))


def _columns() -> set[str]:
    # an upgrade that was interrupted is repeated
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(TABLE)}


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column(TABLE, name)
    op.drop_table("root_usage")
