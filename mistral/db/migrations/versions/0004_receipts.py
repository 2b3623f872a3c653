"""Receipts of what must not be done twice.

It only adds. Where each statement commits by itself, an interrupted attempt may be repeated.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def upgrade() -> None:
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("answer", LONG_TEXT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_receipts"),
        if_not_exists=True,
        **OPTIONS,
    )
    name = "ix_receipts_created_at"
    if context.is_offline_mode() or not _exists(name):
        op.create_index(name, "receipts", ["created_at"])


def _exists(name: str) -> bool:
    # an upgrade that was interrupted is repeated
    return any(i["name"] == name for i in sa.inspect(op.get_bind()).get_indexes("receipts"))


def downgrade() -> None:
    op.drop_table("receipts")
