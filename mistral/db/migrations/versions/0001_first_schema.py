"""The first schema.

A migration is history: it repeats names and types instead of importing those of today.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
MOMENT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
BIG_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
IDENTIFIER = sa.String(64)
NAME = sa.String(255)
OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}

TABLES = (
    "workflow_definitions",
    "workflow_specs",
    "action_definitions",
    "workbooks",
    "environments",
    "workflow_executions",
    "task_executions",
    "action_executions",
    "join_inbounds",
    "timers",
    "execution_events",
    "execution_values",
    "command_numbers",
    "service_members",
)


def upgrade() -> None:
    _workflow_definitions()
    _workflow_specs()
    _action_definitions()
    _workbooks()
    _environments()
    _workflow_executions()
    _task_executions()
    _action_executions()
    _join_inbounds()
    _timers()
    _execution_events()
    _execution_values()
    _command_numbers()
    _service_members()


def downgrade() -> None:
    for name in reversed(TABLES):
        op.drop_table(name)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns)


def _workflow_definitions() -> None:
    op.create_table(
        "workflow_definitions",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("project_id", sa.String(80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.Column("namespace", NAME, nullable=False),
        sa.Column("definition", LONG_TEXT, nullable=False),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("checksum", sa.String(32)),
        sa.Column("input", LONG_TEXT, nullable=False),
        sa.Column("interface", LONG_TEXT),
        sa.Column("tags", LONG_TEXT),
        sa.Column("workbook_name", NAME),
        sa.Column("is_system", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_definitions"),
        sa.UniqueConstraint(
            "name",
            "namespace",
            "project_id",
            name="uq_workflow_definitions_name_namespace_project_id",
        ),
        **OPTIONS,
    )


def _workflow_specs() -> None:
    op.create_table(
        "workflow_specs",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("content", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_workflow_specs"),
        **OPTIONS,
    )


def _action_definitions() -> None:
    op.create_table(
        "action_definitions",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("project_id", sa.String(80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.Column("namespace", NAME, nullable=False),
        sa.Column("definition", LONG_TEXT, nullable=False),
        sa.Column("spec", LONG_TEXT, nullable=False),
        sa.Column("description", LONG_TEXT),
        sa.Column("input", LONG_TEXT, nullable=False),
        sa.Column("tags", LONG_TEXT),
        sa.Column("workbook_name", NAME),
        sa.PrimaryKeyConstraint("id", name="pk_action_definitions"),
        sa.UniqueConstraint(
            "name",
            "namespace",
            "project_id",
            name="uq_action_definitions_name_namespace_project_id",
        ),
        **OPTIONS,
    )


def _workbooks() -> None:
    op.create_table(
        "workbooks",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("project_id", sa.String(80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.Column("namespace", NAME, nullable=False),
        sa.Column("definition", LONG_TEXT, nullable=False),
        sa.Column("tags", LONG_TEXT),
        sa.PrimaryKeyConstraint("id", name="pk_workbooks"),
        sa.UniqueConstraint(
            "name",
            "namespace",
            "project_id",
            name="uq_workbooks_name_namespace_project_id",
        ),
        **OPTIONS,
    )


def _environments() -> None:
    op.create_table(
        "environments",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("project_id", sa.String(80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.Column("description", LONG_TEXT),
        sa.Column("variables", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_environments"),
        sa.UniqueConstraint("name", "project_id", name="uq_environments_name_project_id"),
        **OPTIONS,
    )


def _workflow_executions() -> None:
    op.create_table(
        "workflow_executions",
        sa.Column("id", NAME, nullable=False),
        sa.Column("workflow_id", IDENTIFIER),
        sa.Column("workflow_name", NAME, nullable=False),
        sa.Column("workflow_namespace", NAME, nullable=False),
        sa.Column("workbook_name", NAME),
        sa.Column("spec_hash", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(80)),
        sa.Column("description", LONG_TEXT),
        sa.Column("tags", LONG_TEXT),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_info", LONG_TEXT),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("input", LONG_TEXT),
        sa.Column("output", LONG_TEXT),
        sa.Column("params", LONG_TEXT),
        sa.Column("context", LONG_TEXT),
        sa.Column("root_execution_id", NAME),
        sa.Column("parent_execution_id", NAME),
        sa.Column("task_execution_id", IDENTIFIER),
        sa.Column("task_attempt", sa.Integer, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("command_number", sa.BigInteger, nullable=False),
        sa.Column("unfinished", sa.Integer, nullable=False),
        sa.Column("unhandled_errors", sa.Integer, nullable=False),
        sa.Column("cancelled", sa.Integer, nullable=False),
        sa.Column("backlog", LONG_TEXT),
        sa.Column("rollback", LONG_TEXT),
        sa.Column("next_look_at", MOMENT),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_workflow_executions"),
        **OPTIONS,
    )
    _index("workflow_executions", "created_at", "id")
    _index("workflow_executions", "next_look_at")
    _index("workflow_executions", "parent_execution_id")
    _index("workflow_executions", "root_execution_id")
    _index("workflow_executions", "state", "updated_at")
    _index("workflow_executions", "task_execution_id")
    _index("workflow_executions", "workflow_id")
    _index("workflow_executions", "workflow_name", "state")


def _task_executions() -> None:
    op.create_table(
        "task_executions",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("workflow_execution_id", NAME, nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_info", LONG_TEXT),
        sa.Column("unique_key", NAME),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("in_context", LONG_TEXT),
        sa.Column("published", LONG_TEXT),
        sa.Column("published_global", LONG_TEXT),
        sa.Column("runtime_context", LONG_TEXT),
        sa.Column("processed", sa.Boolean, nullable=False),
        sa.Column("has_next_tasks", sa.Boolean, nullable=False),
        sa.Column("next_tasks", LONG_TEXT),
        sa.Column("error_handled", sa.Boolean, nullable=False),
        sa.Column("tags", LONG_TEXT),
        sa.Column("project_id", sa.String(80)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.Column("started_at", MOMENT),
        sa.Column("finished_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_task_executions"),
        sa.UniqueConstraint(
            "workflow_execution_id",
            "unique_key",
            name="uq_task_executions_workflow_execution_id_unique_key",
        ),
        **OPTIONS,
    )
    _index("task_executions", "created_at", "id")
    _index("task_executions", "workflow_execution_id", "name")


def _action_executions() -> None:
    op.create_table(
        "action_executions",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("workflow_execution_id", NAME),
        sa.Column("root_execution_id", NAME),
        sa.Column("task_execution_id", IDENTIFIER),
        sa.Column("workflow_namespace", NAME, nullable=False),
        sa.Column("description", LONG_TEXT),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("state_info", LONG_TEXT),
        sa.Column("input", LONG_TEXT),
        sa.Column("output", LONG_TEXT),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("is_sync", sa.Boolean, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("idx", sa.Integer, nullable=False),
        sa.Column("base_name", NAME),
        sa.Column("base_input", LONG_TEXT),
        sa.Column("runtime_context", LONG_TEXT),
        sa.Column("tags", LONG_TEXT),
        sa.Column("project_id", sa.String(80)),
        sa.Column("target", NAME),
        sa.Column("safe_rerun", sa.Boolean, nullable=False),
        sa.Column("result_hash", sa.String(64)),
        sa.Column("result_at", MOMENT),
        sa.Column("processed", sa.Boolean, nullable=False),
        sa.Column("started_at", MOMENT),
        sa.Column("started_by", NAME),
        sa.Column("signalled_at", MOMENT),
        sa.Column("next_look_at", MOMENT),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("last_heartbeat", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        sa.PrimaryKeyConstraint("id", name="pk_action_executions"),
        **OPTIONS,
    )
    _index("action_executions", "created_at", "id")
    _index("action_executions", "next_look_at")
    _index("action_executions", "task_execution_id")
    _index("action_executions", "workflow_execution_id")


def _join_inbounds() -> None:
    op.create_table(
        "join_inbounds",
        sa.Column("task_execution_id", IDENTIFIER, nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source_task_id", IDENTIFIER),
        sa.Column("event", sa.String(16)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("task_execution_id", "name", name="pk_join_inbounds"),
        **OPTIONS,
    )


def _timers() -> None:
    op.create_table(
        "timers",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("execution_id", NAME, nullable=False),
        sa.Column("task_id", IDENTIFIER, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("due_at", MOMENT, nullable=False),
        sa.Column("payload", LONG_TEXT),
        sa.Column("claimed_until", MOMENT),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_timers"),
        **OPTIONS,
    )
    _index("timers", "due_at")
    _index("timers", "execution_id")
    _index("timers", "task_id")


def _execution_events() -> None:
    op.create_table(
        "execution_events",
        sa.Column("id", IDENTIFIER, nullable=False),
        sa.Column("execution_id", NAME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("source_id", NAME),
        sa.Column("task_id", IDENTIFIER),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("payload", LONG_TEXT),
        sa.Column("next_look_at", MOMENT),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_execution_events"),
        **OPTIONS,
    )
    _index("execution_events", "execution_id")
    _index("execution_events", "next_look_at")


def _execution_values() -> None:
    op.create_table(
        "execution_values",
        sa.Column("root_execution_id", NAME, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("content", LONG_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("root_execution_id", "hash", name="pk_execution_values"),
        **OPTIONS,
    )


def _command_numbers() -> None:
    op.create_table(
        "command_numbers",
        sa.Column("id", BIG_SERIAL, nullable=False, autoincrement=True),
        sa.PrimaryKeyConstraint("id", name="pk_command_numbers"),
        sqlite_autoincrement=True,
        **OPTIONS,
    )


def _service_members() -> None:
    op.create_table(
        "service_members",
        sa.Column("id", NAME, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("host", NAME, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_members"),
        **OPTIONS,
    )
    _index("service_members", "last_seen_at")
