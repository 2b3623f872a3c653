"""Law 6: one broken row of each kind is planted and seen, healthy rows are not."""

from __future__ import annotations

import collections
import datetime as dt
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mistral.db import definitions
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.operations import invariants
from mistral.workflow import states
from mistral.workflow.entities import (
    ActionExecution,
    Entity,
    ExecutionEvent,
    JoinInbound,
    TaskExecution,
    Timer,
    WorkflowExecution,
)
from mistral.workflow.look_times import NEVER

NOW = dt.datetime(2024, 5, 6, 7, 8, 9)
SOON = NOW + dt.timedelta(seconds=3)
LONG_AGO = NOW - dt.timedelta(days=1)
TOOL = Path(__file__).parents[3] / "tools" / "check-invariants"

SPEC = definitions.StoredSpec.of(
    "wf",
    {
        "tasks": {
            "a": {"action": "std.noop", "on-success": ["c"]},
            "b": {"action": "std.noop", "on-success": ["c"]},
            "c": {"action": "std.noop", "join": "all", "on-success": ["d"]},
            "d": {"action": "std.noop"},
        }
    },
)


class Plant:
    """Puts rows of one execution into the database, consistent unless told otherwise."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._number = itertools.count()
        database.write(lambda conn: definitions.store_specs(conn, [SPEC]))

    def _insert(self, row: Entity) -> Any:
        self.database.write(lambda conn: entity_rows.insert(conn, [row]))
        return row

    def _id(self, kind: str) -> str:
        return f"{kind}{next(self._number)}"

    def execution(self, **values: Any) -> WorkflowExecution:
        defaults: dict[str, Any] = {
            "id": self._id("wf"),
            "workflow_name": "wf",
            "spec_hash": SPEC.hash,
            "state": states.RUNNING,
            "created_at": LONG_AGO,
        }
        return self._insert(WorkflowExecution(**defaults | values))

    def task(self, execution: WorkflowExecution, name: str = "a", **values: Any) -> TaskExecution:
        defaults: dict[str, Any] = {
            "id": self._id("task"),
            "name": name,
            "workflow_execution_id": execution.id,
            "state": states.RUNNING,
            "created_at": LONG_AGO,
        }
        return self._insert(TaskExecution(**defaults | values))

    def action(self, task: TaskExecution | None, **values: Any) -> ActionExecution:
        defaults: dict[str, Any] = {"id": self._id("action"), "name": "x", "created_at": LONG_AGO}
        if task is not None:
            defaults |= {
                "task_execution_id": task.id,
                "workflow_execution_id": task.workflow_execution_id,
                "attempt": task.attempt,
            }
        return self._insert(ActionExecution(**defaults | values))

    def timer(self, task: TaskExecution, **values: Any) -> Timer:
        defaults: dict[str, Any] = {
            "id": self._id("timer"),
            "kind": "retry",
            "execution_id": task.workflow_execution_id,
            "task_id": task.id,
            "attempt": task.attempt,
            "due_at": SOON,
        }
        return self._insert(Timer(**defaults | values))

    def event(self, execution: WorkflowExecution, **values: Any) -> ExecutionEvent:
        defaults: dict[str, Any] = {
            "id": self._id("event"),
            "execution_id": execution.id,
            "kind": "child",
            "next_look_at": SOON,
            "created_at": LONG_AGO,
        }
        return self._insert(ExecutionEvent(**defaults | values))

    def child(self, task: TaskExecution, **values: Any) -> WorkflowExecution:
        relations: dict[str, Any] = {
            "parent_execution_id": task.workflow_execution_id,
            "root_execution_id": task.workflow_execution_id,
            "task_execution_id": task.id,
            "task_attempt": task.attempt,
        }
        return self.execution(**relations | values)

    def join(self, execution: WorkflowExecution, **inbound: str) -> TaskExecution:
        counts = collections.Counter(inbound.values())
        task = self.task(
            execution,
            "c",
            state=states.WAITING,
            unique_key="join-c",
            runtime_context={"join": dict(counts)},
        )
        for name, state in inbound.items():
            self._insert(JoinInbound(task_execution_id=task.id, name=name, state=state))
        return task

    def member(self, member_id: str, seen: dt.datetime) -> None:
        values = {"id": member_id, "kind": "executor", "host": "h", "last_seen_at": seen}
        self.database.write(lambda conn: conn.execute(tables.service_members.insert(), [values]))

    def found(self) -> list[tuple[str, str]]:
        found = self.database.read(lambda conn: invariants.check(conn, NOW))
        return [(violation.kind, violation.object_id) for violation in found]


@pytest.fixture
def plant(database: Database) -> Plant:
    return Plant(database)


@pytest.fixture
def running(plant: Plant) -> WorkflowExecution:
    """A RUNNING execution that counts one unfinished task, to be planted."""
    return plant.execution(unfinished=1)


# healthy ---------------------------------------------------------------------


def test_an_empty_database(plant: Plant) -> None:
    assert plant.found() == []


@pytest.mark.parametrize(
    "values",
    [
        {"next_look_at": SOON},
        {"started_by": "alive", "started_at": NOW},
        {"started_by": "dead", "next_look_at": SOON},
        {"started_by": "dead", "created_at": NOW},
        {"signalled_at": LONG_AGO, "started_by": "dead"},
        {"state": states.PAUSED},
        {"state": states.SUCCESS, "result_at": NOW, "next_look_at": SOON},
    ],
)
def test_actions_with_a_reason(
    plant: Plant, running: WorkflowExecution, values: dict[str, Any]
) -> None:
    plant.member("alive", NOW)
    plant.member("dead", LONG_AGO)
    plant.action(plant.task(running), **values)
    assert plant.found() == []


def test_a_task_in_its_second_attempt(plant: Plant, running: WorkflowExecution) -> None:
    task = plant.task(running, attempt=2)
    plant.action(task, attempt=1)
    plant.action(task, next_look_at=SOON)
    assert plant.found() == []


def test_other_reasons_of_a_task(plant: Plant) -> None:
    execution = plant.execution(unfinished=5)
    plant.timer(plant.task(execution, state=states.DELAYED, attempt=3))
    plant.timer(plant.task(execution, attempt=3, run=1), attempt=1, kind="timeout")
    plant.child(plant.task(execution), state=states.IDLE, next_look_at=SOON)
    plant.child(plant.task(execution), state=states.PAUSED)
    told = plant.task(execution)
    plant.child(told, state=states.ERROR)
    plant.event(execution, task_id=told.id)
    assert plant.found() == []


def test_a_join_with_an_inbound_task_to_come(plant: Plant) -> None:
    execution = plant.execution(unfinished=2)
    plant.action(plant.task(execution, "b"), next_look_at=SOON)
    plant.join(execution, a="ready")
    assert plant.found() == []


def test_a_join_between_two_tries(plant: Plant, running: WorkflowExecution) -> None:
    plant.timer(plant.join(running, a="ready", b="ready"))
    assert plant.found() == []


def test_an_execution_with_news(plant: Plant) -> None:
    plant.event(plant.execution())
    plant.execution(next_look_at=SOON)
    plant.execution(state=states.IDLE, next_look_at=SOON)
    assert plant.found() == []


def test_paused_and_finished_executions_are_exempt(plant: Plant) -> None:
    for state in (states.PAUSED, states.CANCELLED, states.SUCCESS, states.ERROR):
        execution = plant.execution(state=state, unfinished=2)
        plant.action(plant.task(execution))
        plant.join(execution, a="ready")
    assert plant.found() == []


def test_a_late_result_that_nobody_waits_for(plant: Plant, running: WorkflowExecution) -> None:
    task = plant.task(running, attempt=1)
    plant.action(task, attempt=0, state=states.SUCCESS, result_at=NOW)
    plant.timer(task)
    assert plant.found() == []


# broken ----------------------------------------------------------------------


def _execution_without_reason(plant: Plant) -> str:
    execution = plant.execution()
    plant.task(execution, state=states.SUCCESS)
    return execution.id


def _execution_not_started(plant: Plant) -> str:
    parent = plant.execution(unfinished=1)
    return plant.child(plant.task(parent), state=states.IDLE).id


def _counter_differs(plant: Plant) -> str:
    execution = plant.execution(state=states.PAUSED, unfinished=1, cancelled=1)
    plant.task(execution)
    return execution.id


def _join_counter_differs(plant: Plant) -> str:
    execution = plant.execution(unfinished=2)
    plant.action(plant.task(execution, "b"), next_look_at=SOON)
    values = {"state": states.WAITING, "unique_key": "join-c"}
    return plant.task(execution, "c", runtime_context={"join": {"ready": 1}}, **values).id


def _task_without_reason(plant: Plant) -> str:
    return plant.task(plant.execution(unfinished=1)).id


def _task_whose_timer_is_of_the_past(plant: Plant) -> str:
    task = plant.task(plant.execution(unfinished=1), state=states.DELAYED, attempt=2, run=1)
    plant.timer(task, attempt=0)
    return task.id


def _child_not_reported(plant: Plant) -> str:
    task = plant.task(plant.execution(unfinished=1), type="WORKFLOW")
    plant.child(task, state=states.SUCCESS)
    return task.id


def _join_whose_inbound_tasks_have_ended(plant: Plant) -> str:
    execution = plant.execution(unfinished=1)
    plant.task(execution, "b", state=states.ERROR, error_handled=True)
    return plant.join(execution, a="ready").id


def _join_that_may_run(plant: Plant) -> str:
    execution = plant.execution(unfinished=2)
    plant.action(plant.task(execution, "d"), next_look_at=SOON)
    return plant.join(execution, a="ready", b="ready").id


def _join_that_has_failed(plant: Plant) -> str:
    execution = plant.execution(unfinished=2)
    plant.action(plant.task(execution, "b"), next_look_at=SOON)
    return plant.join(execution, a="failed").id


def _action_without_reason(plant: Plant) -> str:
    return plant.action(plant.task(plant.execution(unfinished=1))).id


def _action_of_no_workflow(plant: Plant) -> str:
    return plant.action(None).id


def _action_claimed_by_dead(plant: Plant) -> str:
    plant.member("dead", LONG_AGO)
    return plant.action(plant.task(plant.execution(unfinished=1)), started_by="dead").id


def _action_claimed_by_unknown(plant: Plant) -> str:
    return plant.action(plant.task(plant.execution(unfinished=1)), started_by="nobody").id


def _result_not_processed(plant: Plant) -> str:
    task = plant.task(plant.execution(unfinished=1))
    return plant.action(task, state=states.SUCCESS, result_at=NOW).id


def _event_set_aside(plant: Plant) -> str:
    execution = plant.execution(unfinished=1)
    plant.timer(plant.task(execution))
    return plant.event(execution, next_look_at=None, tries=5).id


def _event_of_a_missing_execution(plant: Plant) -> str:
    execution = WorkflowExecution("missing", "wf", SPEC.hash)
    return plant.event(execution, next_look_at=None, tries=5).id


def _timer_set_aside(plant: Plant) -> str:
    task = plant.task(plant.execution(unfinished=1))
    plant.action(task, next_look_at=SOON)
    return plant.timer(task, tries=1, claimed_until=NEVER).id


def _action_set_aside(plant: Plant) -> str:
    gone = TaskExecution("missing", "a", "missing")
    return plant.action(gone, state=states.SUCCESS, result_at=LONG_AGO).id


BROKEN: dict[str, list[Callable[[Plant], str]]] = {
    "execution-without-reason": [_execution_without_reason],
    "execution-not-started": [_execution_not_started],
    "counter-differs": [_counter_differs, _join_counter_differs],
    "task-without-reason": [_task_without_reason, _task_whose_timer_is_of_the_past],
    "child-not-reported": [_child_not_reported],
    "join-without-reason": [
        _join_whose_inbound_tasks_have_ended,
        _join_that_may_run,
        _join_that_has_failed,
    ],
    "action-without-reason": [_action_without_reason, _action_of_no_workflow],
    "action-claimed-by-dead": [_action_claimed_by_dead, _action_claimed_by_unknown],
    "result-not-processed": [_result_not_processed],
    "event-set-aside": [_event_set_aside, _event_of_a_missing_execution],
    "timer-set-aside": [_timer_set_aside],
    "action-set-aside": [_action_set_aside],
}
CASES = [(kind, broken) for kind, several in BROKEN.items() for broken in several]


@pytest.mark.parametrize(("kind", "broken"), CASES, ids=[case[1].__name__ for case in CASES])
def test_a_broken_row_is_reported_once(
    plant: Plant, kind: str, broken: Callable[[Plant], str]
) -> None:
    healthy = plant.execution(unfinished=1)
    plant.action(plant.task(healthy), next_look_at=SOON)
    object_id = broken(plant)
    assert plant.found() == [(kind, object_id)]


def test_all_at_once(plant: Plant) -> None:
    planted = sorted((kind, broken(plant)) for kind, broken in CASES)
    assert sorted(plant.found()) == planted


def test_a_violation_reads_as_a_sentence(plant: Plant) -> None:
    object_id = _task_without_reason(plant)
    (violation,) = plant.database.read(lambda conn: invariants.check(conn, NOW))
    assert str(violation) == (
        f"task-without-reason: task 'a' is RUNNING and waits for nothing "
        f"[id={object_id}, execution={violation.execution_id}]"
    )


# the tool --------------------------------------------------------------------


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments], capture_output=True, text=True, timeout=60
    )


def test_the_tool_prints_and_fails(plant: Plant, tmp_path: Path) -> None:
    url = plant.database.url.render_as_string(hide_password=False)
    config = tmp_path / "mistral.conf"
    config.write_text(f"[database]\nconnection = {url}\n")
    healthy = run_tool("--config-file", str(config))
    assert (healthy.returncode, healthy.stdout) == (0, "")
    object_id = _task_without_reason(plant)
    broken = run_tool("--connection", url)
    assert broken.returncode == 1
    assert f"[id={object_id}, " in broken.stdout


def test_the_tool_says_what_it_can_not_do(tmp_path: Path) -> None:
    result = run_tool("--connection", f"sqlite:///{tmp_path}/no/such/directory.sqlite")
    assert result.returncode == 2
    assert result.stderr.startswith("check-invariants: ")
    assert "Traceback" not in result.stderr
