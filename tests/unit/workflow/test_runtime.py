"""What rows remember of tasks and actions: records that read and write the same JSON as ever."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from mistral.workflow.entities import ActionExecution, TaskExecution
from mistral.workflow.items import Items
from mistral.workflow.runtime import COMPENSATION_PREFIX, ActionRuntime, TaskRuntime

ROOT = Path(__file__).resolve().parents[3]

STORED: dict[str, Any] = {
    "triggered_by": [{"task_id": "t0", "event": "on-success"}],
    "base_attempt": 2,
    "round_attempt": 3,
    "concurrency": 4,
    "timeout": 9,
    "timed_out": 1,
    "wait_before_policy": {"skip": True},
    "wait_after_policy": {"skip": True},
    "retry_task_policy": {"retry_no": 2},
    "delay_over": 5,
    "postponed": True,
    "result_erased": True,
    "join": {"ready": 1, "failed": 2},
    "runs_anyway": True,
    "waits_for_retry": True,
    "with_items": {
        "count": 5,
        "capacity": 1,
        "next": 3,
        "done": 2,
        "failed": 1,
        "cancelled": 0,
        "redo": [0, 1, 2, 4],
        "items": {"0": "x"},
        "more": True,
    },
    "made by another version": {"k": 1},
}
"""A row as the version before has written it, with all that there is."""


def test_a_row_of_the_version_before_is_read() -> None:
    found = TaskRuntime(STORED)
    assert found.triggers == [{"task_id": "t0", "event": "on-success"}]
    assert (found.base_attempt, found.round_attempt, found.concurrency) == (2, 3, 4)
    assert (found.timeout, found.timed_out, found.retries) == (9, 1, 2)
    assert found.has_waited_after and found.is_retried and found.is_postponed
    assert found.is_result_erased and found.runs_anyway and found.waits_for_retry
    assert found.is_delay_over(5) and not found.is_delay_over(6)
    assert found.inbound == {"ready": 1, "failed": 2}
    items = found.items
    assert items == Items(5, 1, 3, 2, 1, 0, (0, 1, 2, 4), {"0": "x"}, True)
    assert found.stored == STORED and found.with_items(items).stored == STORED


def test_a_row_with_nothing_in_it() -> None:
    for found in (TaskRuntime(), TaskRuntime(None), TaskRuntime({})):
        assert (found.base_attempt, found.round_attempt, found.concurrency) == (0, 0, 0)
        assert (found.timeout, found.timed_out, found.retries, found.items) == (None, None, 0, None)
        assert not found.triggers and not found.inbound
        assert not (found.has_waited_after or found.is_retried or found.is_postponed)
        assert not (found.is_result_erased or found.runs_anyway or found.waits_for_retry)
        assert not (found.has_items or found.is_delay_over(0))
        assert (found.undoes, found.index, found.child_id, found.undone_attempt) == (None,) * 4
        assert (found.order, found.stored) == (0, {})


@pytest.mark.parametrize(
    ("changed", "entries"),
    [
        (
            TaskRuntime().triggered_by([("t", "e")]),
            {"triggered_by": [{"task_id": "t", "event": "e"}]},
        ),
        (TaskRuntime().counting_from(2), {"base_attempt": 2}),
        (TaskRuntime().with_timeout(3), {"timeout": 3}),
        (TaskRuntime().with_timed_out(1), {"timed_out": 1}),
        (TaskRuntime().with_concurrency(2), {"concurrency": 2}),
        (TaskRuntime().waiting_before(), {"wait_before_policy": {"skip": True}}),
        (TaskRuntime().waiting_after(), {"wait_after_policy": {"skip": True}}),
        (TaskRuntime().postponed(), {"postponed": True}),
        (TaskRuntime().delayed_enough(3), {"delay_over": 3}),
        (TaskRuntime().erased(), {"result_erased": True}),
        (TaskRuntime().running_anyway(), {"runs_anyway": True}),
        (TaskRuntime().waiting_for_retry(), {"waits_for_retry": True}),
        (TaskRuntime().undoing(2), {"undoes_attempt": 2}),
        (TaskRuntime().with_order(2), {"rollback_order": 2}),
    ],
)
def test_the_version_before_reads_what_is_written(
    changed: TaskRuntime, entries: dict[str, Any]
) -> None:
    assert changed.stored == entries
    assert changed.change == {"runtime_context": entries}


def test_a_change_leaves_the_rest_and_the_record_before_it() -> None:
    before = TaskRuntime(STORED)
    gone = before.started().resumed().without_timed_out().retry_is_due()
    left = {"postponed", "delay_over", "timed_out", "waits_for_retry"}
    assert gone.stored == {k: v for k, v in STORED.items() if k not in left}
    assert gone.started() == gone
    assert before.stored == STORED


def test_a_retry_repeats_all_items() -> None:
    found = TaskRuntime(STORED).retried(7, is_join=False)
    assert not found.has_items and not found.is_result_erased
    assert (found.base_attempt, found.retries) == (7, 3)
    assert not TaskRuntime().retried(1, is_join=False).waits_for_retry
    assert TaskRuntime().retried(1, is_join=True).waits_for_retry


def test_what_a_rerun_remembers() -> None:
    found = TaskRuntime(STORED)
    kept = {name: STORED[name] for name in ("triggered_by", "join")}
    assert found.reset(8).stored == {**kept, "base_attempt": 8}
    joined = {"join": STORED["join"], "base_attempt": 2, "round_attempt": 8}
    assert found.rearmed(8).stored == joined
    items = Items(3, 3)
    assert found.renewed(items).stored == {
        **kept,
        "base_attempt": 2,
        "round_attempt": 3,
        "concurrency": 4,
        "with_items": items.stored(),
    }


def test_a_compensation() -> None:
    found = TaskRuntime.compensation("t", 2, None, None)
    assert found.stored == {"rollback_of": "t", "rollback_order": 2}
    assert (found.undoes, found.order, found.index, found.child_id) == ("t", 2, None, None)
    assert TaskRuntime.compensation("t", 0, 3, None).index == 3
    assert TaskRuntime.compensation("t", 0, None, "c").child_id == "c"
    assert found.undoing(4).undone().undone_attempt == 4
    given: dict[str, Any] = {"id": "t", "name": "n", "workflow_execution_id": "w"}
    assert TaskExecution(**given, runtime_context=found.stored).is_compensation
    assert not TaskExecution(**given).is_compensation


def test_counting_items() -> None:
    items = Items(4, 2)
    assert items.stored() == {
        "count": 4,
        "capacity": 2,
        "next": 0,
        "done": 0,
        "failed": 0,
        "cancelled": 0,
    }
    assert items.may_start and not items.are_running and not items.is_complete
    busy = items.with_more().started(2)
    assert (busy.next, busy.capacity, busy.has_more) == (2, 0, False)
    assert busy.are_running and not busy.may_start
    failed = busy.item_ended("ERROR")
    assert (failed.done, failed.capacity, failed.failed, failed.cancelled) == (1, 1, 1, 0)
    assert failed.item_runs_again() == busy
    assert busy.item_ended("SUCCESS").failed == 0
    assert busy.item_ended("CANCELLED").is_complete
    assert Items(1, 0, next=1, done=1).is_complete
    assert items.has(3) and not items.has(4)


def test_an_item_that_had_succeeded_or_was_cancelled_runs_again() -> None:
    found = Items(2, 1, next=2, done=2, failed=0, cancelled=1).item_runs_again()
    assert (found.done, found.capacity, found.failed, found.cancelled) == (1, 0, 0, 0)


def test_items_that_are_not_repeated_count_as_done() -> None:
    found = Items(5, 2, done=3, redo=(1, 4))
    assert (found.to_run, found.keeps_successes, found.are_running) == (2, True, False)
    assert found.started(1).are_running
    assert not found.started(2).may_start
    assert Items(3, 3).redoing((2,)).redo == (2,)
    assert not Items(3, 3).keeps_successes


def test_what_other_versions_count_is_kept() -> None:
    stored = {**Items(1, 1).stored(), "new": [1]}
    assert Items.read(stored).started(1).stored()["new"] == [1]


def test_actions() -> None:
    assert ActionRuntime.of(3, None).stored == {"index": 3}
    assert ActionRuntime.of(3, 9).stored == {"index": 3, "timeout": 9}
    found = ActionExecution(id="a", name="n", runtime_context={"index": 1, "losses": 2, "new": 1})
    assert (found.runtime.losses, found.runtime.timeout, found.runtime.stored_bytes) == (2, None, 0)
    assert found.runtime.lost_again().stored == {"index": 1, "losses": 3, "new": 1}
    counted = found.runtime.with_stored_bytes(7)
    assert counted.stored["stored_bytes"] == counted.stored_bytes == 7
    assert counted.counted() == found.runtime
    assert ActionRuntime().with_timeout(4).timeout == 4


def test_records_of_two_kinds_are_not_equal() -> None:
    assert TaskRuntime({"index": 1}) == TaskRuntime({"index": 1})
    assert TaskRuntime({"index": 1}) != ActionRuntime({"index": 1})


def test_nobody_else_knows_the_keys() -> None:
    """Of the column's keys, those that no other mapping of the engine has."""
    keys = {
        *("rollback_of", "rollback_order", "undoes_attempt", "undone_attempt", "base_attempt"),
        *("round_attempt", "retry_task_policy", "retry_no", "wait_after_policy", "delay_over"),
        *("wait_before_policy", "result_erased", "runs_anyway", "waits_for_retry", "stored_bytes"),
        *("losses", "with_items", "timed_out", '"with_items"', COMPENSATION_PREFIX),
    }
    found = {
        (str(path.relative_to(ROOT)), node.value)
        for room in ("engine", "workflow", "db", "api")
        for path in sorted((ROOT / "mistral" / room).rglob("*.py"))
        if path.name != "runtime.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and node.value in keys
    }
    assert found == set()
