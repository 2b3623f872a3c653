"""The secrets of actions' inputs, encrypted and apart from what may be shown, and a key for them.

It only adds. Where each statement commits by itself, an interrupted attempt may
be repeated.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}
TABLE, COLUMN = "action_executions", "secrets"


def upgrade() -> None:
    op.create_table(
        "secret_keys",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_secret_keys"),
        if_not_exists=True,
        **OPTIONS,
    )
    if context.is_offline_mode() or not _exists():
        op.add_column(TABLE, sa.Column(COLUMN, LONG_TEXT))


def _exists() -> bool:
    # an upgrade that was interrupted is repeated
    return any(column["name"] == COLUMN for column in sa.inspect(op.get_bind()).get_columns(TABLE))


def downgrade() -> None:
    op.drop_column(TABLE, COLUMN)
    op.drop_table("secret_keys")
