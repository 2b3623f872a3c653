"""The check of law 6 asks every database in a way that it understands."""

from __future__ import annotations

import datetime as dt

import pytest

from mistral.db import definitions
from mistral.db.core import entity_rows
from mistral.db.core.database import Database
from mistral.db.operations import invariants
from mistral.workflow import states
from mistral.workflow.entities import (
    ActionExecution,
    ExecutionEvent,
    JoinInbound,
    TaskExecution,
    WorkflowExecution,
)
from tests.lib.databases import EVERY

NOW = dt.datetime(2024, 5, 6, 7, 8, 9)
SPEC = definitions.StoredSpec.of(
    "wf",
    {
        "tasks": {
            "a": {"action": "std.noop", "on-success": ["c"]},
            "b": {"action": "std.noop", "on-success": ["c"]},
            "c": {"action": "std.noop", "join": "all"},
        }
    },
)

pytestmark = pytest.mark.parametrize("database", EVERY, indirect=True)


def test_what_is_broken_is_found(database: Database) -> None:
    def task(name: str, **values: object) -> TaskExecution:
        facts = {"workflow_execution_id": "w1", "state": states.RUNNING, "created_at": NOW}
        return TaskExecution(id=name, name=name, **facts | values)  # type: ignore[arg-type]

    kinds = [
        [WorkflowExecution("w1", "wf", SPEC.hash, state=states.RUNNING, created_at=NOW)],
        [
            task("a", state=states.SUCCESS),
            task("b"),
            task("d", runtime_context={"with_items": {"count": 3, "next": 1, "capacity": 2}}),
            task(
                "c",
                state=states.WAITING,
                unique_key="c",
                runtime_context={"join": {"ready": 1}},
            ),
        ],
        [
            ActionExecution(
                "x", "std.noop", "w1", task_execution_id="b", started_by="gone", created_at=NOW
            )
        ],
        [
            ActionExecution(
                "y", "std.noop", "w1", task_execution_id="d", signalled_at=NOW, created_at=NOW
            )
        ],
        [JoinInbound("c", "a", "ready")],
        [ExecutionEvent("e", "w1", "news", created_at=NOW)],
    ]
    database.write(lambda conn: definitions.store_specs(conn, [SPEC]))
    for entities in kinds:
        database.write(lambda conn, entities=entities: entity_rows.insert(conn, entities))

    later = NOW + dt.timedelta(hours=1)
    found = database.read(lambda conn: invariants.check(conn, later))
    assert [(violation.kind, violation.object_id) for violation in found] == [
        ("action-claimed-by-dead", "x"),
        ("counter-differs", "w1"),
        ("event-set-aside", "e"),
        ("items-without-reason", "d"),
    ]
    assert "unfinished says 0, but is 3" in found[1].text
