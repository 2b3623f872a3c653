"""Delivered results: what is stored, what counts (doc:rest/action_executions#deliver)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.workflow import results
from mistral.workflow.commands import UpdateAction
from mistral.workflow.entities import ActionExecution, TaskExecution
from mistral.workflow.results import Outcome, Verdict
from mistral.workflow.runtime import TaskRuntime
from mistral.workflow.state_machines import ActionEvent
from mistral.workflow.values import Bag, Values
from tests.lib.decisions import NOW, action, child

VALUES = Values(lambda hashes: {})


def running(**more: Any) -> ActionExecution:
    given = {"state": "RUNNING", "tries": 3, "secrets": "sealed", "next_look_at": None, **more}
    return ActionExecution(id="a", name="n", **given)


def test_a_result_is_recorded() -> None:
    own = running()
    assert results.accept(own, Outcome("SUCCESS", 5), VALUES, NOW) is Verdict.ACCEPTED
    assert (own.state, own.output, own.tries, own.secrets) == (
        "SUCCESS",
        Bag({"result": 5}),
        0,
        None,
    )
    assert own.result_at == own.updated_at == NOW
    assert own.next_look_at == NOW + results.RESULT_LOOK_AFTER == NOW + dt.timedelta(seconds=3)
    assert own.result_hash == Outcome("SUCCESS", 5).digest
    assert not own.processed and not own.accepted


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Outcome("SUCCESS", 5), Verdict.REPEATED),
        (Outcome("SUCCESS", 6), Verdict.CONFLICT),
        (Outcome("ERROR", 5), Verdict.CONFLICT),
        (Outcome("SUCCESS", True), Verdict.CONFLICT),
    ],
)
def test_a_second_result_changes_nothing(outcome: Outcome, verdict: Verdict) -> None:
    own = running()
    results.accept(own, Outcome("SUCCESS", 5), VALUES, NOW)
    before = dict(own.__dict__)
    assert results.accept(own, outcome, VALUES, NOW + dt.timedelta(1)) is verdict
    assert own.__dict__ == before


def test_an_action_that_is_called_off() -> None:
    own = running()
    UpdateAction("a", results.called_off("why", NOW), ActionEvent.CANCEL).apply_to(own)
    assert (own.state, own.state_info, own.output) == ("CANCELLED", "why", Bag({"result": None}))
    assert own.result_at == own.updated_at == NOW
    assert (own.processed, own.next_look_at, own.secrets) == (True, None, None)
    late = results.accept(own, Outcome("SUCCESS", 5), VALUES, NOW)
    assert late is Verdict.CONFLICT
    assert results.accept(own, Outcome("CANCELLED"), VALUES, NOW) is Verdict.REPEATED


def test_the_outcome_of_a_row() -> None:
    assert results.outcome_of(action("a", "ERROR", 5), VALUES) == Outcome("ERROR", 5)
    assert results.outcome_of(running(), VALUES) == Outcome("RUNNING", None)


@pytest.mark.parametrize(
    ("limit", "length", "fits"),
    [(1, 2045, True), (1, 2046, False), (0, 1021, True), (0, 1022, False), (-1, 9999, True)],
)
def test_the_size_of_a_value(limit: int, length: int, fits: bool) -> None:
    outcome = Outcome("SUCCESS", "x" * length)
    if fits:
        outcome.check_size(limit)
        assert outcome.fitting(limit) is outcome
        return
    with pytest.raises(exc.SizeLimitExceededException):
        outcome.check_size(limit)
    refused = outcome.fitting(limit)
    assert refused.state == "ERROR" and "output" in refused.value and "xxx" not in refused.value


@pytest.mark.parametrize(
    ("own", "is_live"),
    [
        (running(), True),
        (running(state="PAUSED"), True),
        (running(result_at=NOW), False),
        (running(state="ERROR"), False),
    ],
)
def test_who_waits_for_a_result(own: ActionExecution, is_live: bool) -> None:
    assert results.is_live(own) == is_live


RAW = {"base_name": "b", "state": "SUCCESS", "result_at": NOW}


@pytest.mark.parametrize(
    ("more", "is_raw"),
    [
        (RAW, True),
        ({**RAW, "base_name": None}, False),
        ({**RAW, "state": "ERROR"}, False),
        ({**RAW, "result_at": None}, False),
        ({**RAW, "processed": True}, False),
    ],
)
def test_a_result_that_is_not_transformed_yet(more: dict[str, Any], is_raw: bool) -> None:
    assert results.is_raw(running(**more)) == is_raw


def test_the_newest_child_of_each_item_counts() -> None:
    children = [
        child("old", idx=1, task_attempt=1),
        child("older_attempt", idx=0, task_attempt=3),
        child("late", idx=0, task_attempt=2),
        child("new", idx=1, task_attempt=2),
        child("again", "ERROR", idx=1, task_attempt=2),
        child("runs", "RUNNING", idx=1, task_attempt=3),
        child("past", idx=2, task_attempt=0),
    ]
    found = results.countable(TaskRuntime({"base_attempt": 1}), children)
    assert [each.id for each in found] == ["older_attempt", "again"]
    assert [each.id for each in results.countable(TaskRuntime(), children)][2:] == ["past"]
    shorter = {"base_attempt": 1, "with_items": {"count": 1}}
    assert [each.id for each in results.countable(TaskRuntime(shorter), children)] == [
        "older_attempt"
    ]


def task_ex(**context: Any) -> TaskExecution:
    return TaskExecution(
        id="t", name="t", workflow_execution_id="w", attempt=3, runtime_context=context
    )


def counting(own: TaskExecution) -> list[str]:
    accepted = [
        action("past", attempt=0),
        action("old_failure", "ERROR", attempt=1),
        action("old", attempt=1),
        action("failure", "ERROR", attempt=3),
        action("far", attempt=3, idx=2),
    ]
    return [each.id for each in results.counting(own, accepted)]


def test_actions_that_count() -> None:
    assert counting(task_ex()) == ["past", "old_failure", "old", "failure", "far"]
    assert counting(task_ex(base_attempt=1)) == ["old_failure", "old", "failure", "far"]
    redo = {"with_items": {"count": 2, "redo": [0]}, "base_attempt": 1}
    # failures that are repeated do not count any more
    assert counting(task_ex(**redo)) == ["old", "failure"]
