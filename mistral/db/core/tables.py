"""All tables, declared once. Entities (:mod:`mistral.workflow.entities`) mirror the execution
tables column by column.

No foreign key leads from one workflow execution to another (law 2); rows of one
execution are deleted by the repository, in a fixed order.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from mistral.db.core.column_types import (
    IDENTIFIER,
    LONG_TEXT,
    MOMENT,
    NAME,
    BagText,
    FreeText,
    Json,
)

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLAlchemy takes a mariadb:// URL for a dialect with options of its own
_OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, default=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, default=0)


def _definition(name: str, *columns: sa.schema.SchemaItem) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("id", IDENTIFIER, primary_key=True),
        sa.Column("name", NAME, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False, default="private"),
        sa.Column("project_id", sa.String(80), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT),
        *columns,
        **_OPTIONS,
    )


workflow_definitions = _definition(
    "workflow_definitions",
    sa.Column("namespace", NAME, nullable=False, default=""),
    sa.Column("definition", LONG_TEXT, nullable=False),
    sa.Column("spec_hash", sa.String(64), nullable=False),
    sa.Column("checksum", sa.String(32)),
    sa.Column("input", LONG_TEXT, nullable=False, default=""),
    sa.Column("interface", Json),
    sa.Column("tags", Json),
    sa.Column("workbook_name", NAME),
    _flag("is_system"),
    sa.UniqueConstraint("name", "namespace", "project_id"),
)

workflow_specs = sa.Table(
    "workflow_specs",
    metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("content", LONG_TEXT, nullable=False),
    **_OPTIONS,
)
"""Parsed definitions (JSON), immutable, by the hash of their content: executions refer to these."""

action_definitions = _definition(
    "action_definitions",
    sa.Column("namespace", NAME, nullable=False, default=""),
    sa.Column("definition", LONG_TEXT, nullable=False),
    sa.Column("spec", Json, nullable=False),
    sa.Column("description", LONG_TEXT),
    sa.Column("input", LONG_TEXT, nullable=False, default=""),
    sa.Column("tags", Json),
    sa.Column("workbook_name", NAME),
    sa.UniqueConstraint("name", "namespace", "project_id"),
)

workbooks = _definition(
    "workbooks",
    sa.Column("namespace", NAME, nullable=False, default=""),
    sa.Column("definition", LONG_TEXT, nullable=False),
    sa.Column("tags", Json),
    sa.UniqueConstraint("name", "namespace", "project_id"),
)

environments = _definition(
    "environments",
    sa.Column("description", LONG_TEXT),
    sa.Column("variables", Json, nullable=False),
    sa.UniqueConstraint("name", "project_id"),
)

workflow_executions = sa.Table(
    "workflow_executions",
    metadata,
    sa.Column("id", NAME, primary_key=True),
    sa.Column("workflow_id", IDENTIFIER),
    sa.Column("workflow_name", NAME, nullable=False),
    sa.Column("workflow_namespace", NAME, nullable=False, default=""),
    sa.Column("workbook_name", NAME),
    sa.Column("spec_hash", sa.String(64), nullable=False),
    sa.Column("project_id", sa.String(80)),
    sa.Column("description", FreeText),
    sa.Column("tags", Json),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("state_info", FreeText),
    _flag("accepted"),
    sa.Column("input", BagText),
    sa.Column("output", BagText),
    sa.Column("params", BagText),
    sa.Column("context", BagText),
    sa.Column("root_execution_id", NAME),
    sa.Column("parent_execution_id", NAME),
    sa.Column("task_execution_id", IDENTIFIER),
    _count("task_attempt"),
    _count("idx"),
    _count("attempt"),
    _count("version"),
    sa.Column("command_number", sa.BigInteger, nullable=False, default=0),
    _count("unfinished"),
    _count("unhandled_errors"),
    _count("cancelled"),
    sa.Column("backlog", Json),
    sa.Column("rollback", Json),
    sa.Column("next_look_at", MOMENT),
    _count("tries"),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("updated_at", MOMENT),
    sa.Column("started_at", MOMENT),
    sa.Column("finished_at", MOMENT),
    sa.Column("depth", sa.Integer),
    sa.Column("used_tasks", sa.Integer),
    sa.Column("used_actions", sa.Integer),
    sa.Column("used_bytes", sa.BigInteger),
    sa.Index(None, "next_look_at"),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "workflow_name", "state"),
    sa.Index(None, "workflow_id"),
    sa.Index(None, "state", "updated_at"),
    sa.Index(None, "root_execution_id"),
    sa.Index(None, "task_execution_id"),
    sa.Index(None, "parent_execution_id"),
    sa.Index(None, "project_id", "created_at", "id"),
    **_OPTIONS,
)

task_executions = sa.Table(
    "task_executions",
    metadata,
    sa.Column("id", IDENTIFIER, primary_key=True),
    sa.Column("name", NAME, nullable=False),
    sa.Column("workflow_execution_id", NAME, nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("state_info", FreeText),
    sa.Column("unique_key", NAME),
    _count("attempt"),
    _count("run"),
    sa.Column("in_context", BagText),
    sa.Column("published", BagText),
    sa.Column("published_global", BagText),
    sa.Column("runtime_context", Json),
    _flag("processed"),
    _flag("has_next_tasks"),
    sa.Column("next_tasks", Json),
    _flag("error_handled"),
    sa.Column("tags", Json),
    sa.Column("project_id", sa.String(80)),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("updated_at", MOMENT),
    sa.Column("started_at", MOMENT),
    sa.Column("finished_at", MOMENT),
    sa.UniqueConstraint("workflow_execution_id", "unique_key"),
    sa.Index(None, "workflow_execution_id", "name"),
    sa.Index(None, "workflow_execution_id", "name", "id"),
    sa.Index(None, "workflow_execution_id", "state"),
    sa.Index(None, "workflow_execution_id", "created_at", "id"),
    sa.Index(None, "project_id", "created_at", "id"),
    sa.Index(None, "created_at", "id"),
    **_OPTIONS,
)

action_executions = sa.Table(
    "action_executions",
    metadata,
    sa.Column("id", IDENTIFIER, primary_key=True),
    sa.Column("name", NAME, nullable=False),
    sa.Column("workflow_execution_id", NAME),
    sa.Column("root_execution_id", NAME),
    sa.Column("task_execution_id", IDENTIFIER),
    sa.Column("workflow_namespace", NAME, nullable=False, default=""),
    sa.Column("description", FreeText),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("state_info", FreeText),
    sa.Column("input", BagText),
    sa.Column("output", BagText),
    _flag("accepted"),
    _flag("is_sync"),
    _count("attempt"),
    _count("idx"),
    sa.Column("base_name", NAME),
    sa.Column("base_input", BagText),
    sa.Column("runtime_context", Json),
    sa.Column("tags", Json),
    sa.Column("project_id", sa.String(80)),
    sa.Column("target", NAME),
    _flag("safe_rerun"),
    sa.Column("result_hash", sa.String(64)),
    sa.Column("result_at", MOMENT),
    _flag("processed"),
    sa.Column("started_at", MOMENT),
    sa.Column("started_by", NAME),
    sa.Column("signalled_at", MOMENT),
    sa.Column("next_look_at", MOMENT),
    _count("tries"),
    sa.Column("last_heartbeat", MOMENT),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Column("updated_at", MOMENT),
    sa.Column("secrets", LONG_TEXT),
    sa.Index(None, "next_look_at"),
    sa.Index(None, "task_execution_id"),
    sa.Index(None, "task_execution_id", "created_at", "id"),
    sa.Index(None, "workflow_execution_id"),
    sa.Index(None, "project_id", "created_at", "id"),
    sa.Index(None, "created_at", "id"),
    **_OPTIONS,
)

join_inbounds = sa.Table(
    "join_inbounds",
    metadata,
    sa.Column("task_execution_id", IDENTIFIER, primary_key=True),
    sa.Column("name", NAME, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("source_task_id", IDENTIFIER),
    sa.Column("event", sa.String(16)),
    _count("attempt"),
    **_OPTIONS,
)

timers = sa.Table(
    "timers",
    metadata,
    sa.Column("id", IDENTIFIER, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("execution_id", NAME, nullable=False),
    sa.Column("task_id", IDENTIFIER, nullable=False),
    _count("attempt"),
    sa.Column("due_at", MOMENT, nullable=False),
    sa.Column("payload", Json),
    sa.Column("claimed_until", MOMENT),
    _count("tries"),
    sa.Index(None, "due_at"),
    sa.Index(None, "task_id"),
    sa.Index(None, "execution_id"),
    **_OPTIONS,
)

execution_events = sa.Table(
    "execution_events",
    metadata,
    sa.Column("id", IDENTIFIER, primary_key=True),
    sa.Column("execution_id", NAME, nullable=False),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("source_id", NAME),
    sa.Column("task_id", IDENTIFIER),
    _count("attempt"),
    sa.Column("number", sa.BigInteger, nullable=False, default=0),
    sa.Column("payload", Json),
    sa.Column("next_look_at", MOMENT),
    _count("tries"),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Index(None, "next_look_at"),
    sa.Index(None, "execution_id"),
    **_OPTIONS,
)

handlings = sa.Table(
    "handlings",
    metadata,
    sa.Column("execution_id", NAME, primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("row_id", NAME, primary_key=True),
    sa.Column("begun", sa.Integer, nullable=False),
    **_OPTIONS,
)
"""How often the handling of a row was begun without an end:
:mod:`mistral.db.execution.delivery_attempts`."""

root_usage = sa.Table(
    "root_usage",
    metadata,
    sa.Column("root_execution_id", NAME, primary_key=True),
    _count("executions"),
    _count("tasks"),
    _count("actions"),
    sa.Column("stored", sa.BigInteger, nullable=False, default=0),
    **_OPTIONS,
)
"""What the executions below a root have used together: :mod:`mistral.db.execution.root_usage`."""

execution_values = sa.Table(
    "execution_values",
    metadata,
    sa.Column("root_execution_id", NAME, primary_key=True),
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("content", LONG_TEXT, nullable=False),
    **_OPTIONS,
)

command_numbers = sa.Table(
    "command_numbers",
    metadata,
    sa.Column(
        "id",
        sa.BigInteger().with_variant(sa.Integer, "sqlite"),
        primary_key=True,
        autoincrement=True,
    ),
    sqlite_autoincrement=True,
    **_OPTIONS,
)
"""The one sequence from which operators' commands take their numbers."""

service_members = sa.Table(
    "service_members",
    metadata,
    sa.Column("id", NAME, primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("host", NAME, nullable=False),
    sa.Column("last_seen_at", MOMENT, nullable=False),
    sa.Index(None, "last_seen_at"),
    **_OPTIONS,
)

maintenance = sa.Table(
    "maintenance",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("status", sa.String(16), nullable=False),
    _flag("resuming"),
    sa.Column("number", sa.BigInteger, nullable=False, default=0),
    sa.Column("claimed_until", MOMENT),
    sa.Column("updated_at", MOMENT, nullable=False),
    **_OPTIONS,
)
"""At most one row, see :mod:`mistral.db.operations.maintenance`."""

deletions = sa.Table(
    "deletions",
    metadata,
    sa.Column("execution_id", NAME, primary_key=True),
    sa.Column("next_look_at", MOMENT),
    **_OPTIONS,
)
"""Executions of which parts may be gone already, see :mod:`mistral.db.execution.deletion`."""

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("id", IDENTIFIER, primary_key=True),
    sa.Column("answer", Json),
    sa.Column("created_at", MOMENT, nullable=False),
    sa.Index(None, "created_at"),
    **_OPTIONS,
)
"""Of committed transactions that must not be repeated:
:mod:`mistral.db.execution.idempotency_keys`."""

secret_keys = sa.Table(
    "secret_keys",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("created_at", MOMENT, nullable=False),
    **_OPTIONS,
)
"""At most one row, see :mod:`mistral.db.core.secret_keys`."""

schema_support = sa.Table(
    "schema_support",
    metadata,
    sa.Column("oldest", sa.String(32), primary_key=True),
    **_OPTIONS,
)
"""One row: versions of the service that know this revision can work on the schema as it is."""
