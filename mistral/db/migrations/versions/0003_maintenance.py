"""Maintenance mode, and which versions of the service can work on this schema.

It only adds. Where each statement commits by itself, an interrupted attempt may be repeated.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"
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
        "maintenance",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("resuming", sa.Boolean, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("claimed_until", MOMENT),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_maintenance"),
        if_not_exists=True,
        **OPTIONS,
    )
    support = op.create_table(
        "schema_support",
        sa.Column("oldest", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("oldest", name="pk_schema_support"),
        if_not_exists=True,
        **OPTIONS,
    )
    op.execute(sa.delete(support))
    op.bulk_insert(support, [{"oldest": "0001"}])


def downgrade() -> None:
    op.drop_table("schema_support")
    op.drop_table("maintenance")
