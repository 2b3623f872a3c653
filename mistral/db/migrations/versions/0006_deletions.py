"""Executions that are being deleted in parts: the mark by which they are hidden and finished.

It only adds a table; processes of the versions before run on and do not know it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    op.create_table(
        "deletions",
        sa.Column("execution_id", sa.String(255), nullable=False),
        sa.Column("next_look_at", MOMENT),
        sa.PrimaryKeyConstraint("execution_id", name="pk_deletions"),
        if_not_exists=True,
        **OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("deletions")
