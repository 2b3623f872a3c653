"""When a join may run, what its inbound tasks mean, and why one does not lead to it any more."""

from __future__ import annotations

import pytest

from mistral.workflow import joins
from mistral.workflow.entities import TaskExecution
from mistral.workflow.joins import FAILED, READY, WAITING, EndedJoin
from tests.lib.decisions import spec

TASKS = spec("""
tasks:
  every: {join: all}
  two: {join: 2}
  a: {on-success: [every, {two: <% $.x %>}], on-error: [elsewhere], on-skip: [every]}
  b: {on-complete: [every]}
  elsewhere: {}
""").tasks


def task_ex(state: str = "WAITING", **runtime_context: object) -> TaskExecution:
    return TaskExecution(
        id="j", name="j", workflow_execution_id="w", state=state, runtime_context=runtime_context
    )


@pytest.mark.parametrize(
    ("join", "total", "ready", "failed", "verdict"),
    [
        ("every", 3, 3, 0, READY),
        ("every", 3, 2, 0, WAITING),
        ("every", 3, 2, 1, FAILED),
        ("two", 3, 2, 0, READY),
        ("two", 3, 2, 1, READY),
        ("two", 3, 1, 1, WAITING),
        ("two", 3, 1, 2, FAILED),
        ("two", 2, 1, 1, FAILED),
    ],
)
def test_verdicts(join: str, total: int, ready: int, failed: int, verdict: str) -> None:
    assert joins.verdict(TASKS[join], total, ready, failed) == verdict


def test_how_many_may_fail() -> None:
    assert [joins.tolerated(TASKS[name], 3) for name in ("every", "two", "a")] == [0, 1, 3]


def test_counts() -> None:
    assert joins.counts(task_ex()) == (0, 0)
    assert joins.counts(task_ex(join={READY: 2, FAILED: 1})) == (2, 1)
    assert joins.counts(task_ex(join={FAILED: 1})) == (0, 1)


def test_recounting() -> None:
    begun = task_ex(other=1)
    assert begun.runtime.recounted(None, READY).stored == {"other": 1, "join": {READY: 1}}
    assert begun.runtime_context == {"other": 1}
    known = task_ex(join={READY: 1, FAILED: 1})
    assert known.runtime.recounted(FAILED, READY).stored == {"join": {READY: 2, FAILED: 0}}
    assert known.runtime.recounted(None, READY).stored == {"join": {READY: 2, FAILED: 1}}
    assert known.runtime_context == {"join": {READY: 1, FAILED: 1}}
    assert task_ex().runtime.recounted(READY, FAILED).stored == {"join": {READY: -1, FAILED: 1}}


@pytest.mark.parametrize(
    ("name", "join", "state", "cause"),
    [
        ("a", "every", None, "a never ran"),
        ("a", "every", "SUCCESS", "a succeeded, but went elsewhere"),
        ("a", "two", "SUCCESS", "a succeeded, but the condition of its transition was false"),
        ("a", "every", "ERROR", "a failed"),
        ("a", "every", "SKIPPED", "a was skipped, but went elsewhere"),
        ("a", "two", "SKIPPED", "a was skipped"),
        ("a", "every", "CANCELLED", "a was cancelled"),
        ("a", "every", "RUNNING", "a is RUNNING"),
        ("b", "every", "ERROR", "b failed, but went elsewhere"),
        ("b", "every", "SUCCESS", "b succeeded, but went elsewhere"),
        ("b", "two", "SUCCESS", "b succeeded, but leads here in other cases only"),
    ],
)
def test_why_a_task_does_not_lead_here(name: str, join: str, state: str | None, cause: str) -> None:
    assert joins.cause(TASKS[name], join, state) == cause


def test_what_an_operator_has_decided() -> None:
    assert not task_ex().runtime.runs_anyway
    waiting = task_ex(join={FAILED: 1})
    waiting.apply(waiting.runtime.running_anyway().change)
    assert waiting.runtime.runs_anyway and waiting.runtime_context["join"] == {FAILED: 1}
    assert not joins.is_settled(waiting)
    waiting.state = "SUCCESS"
    assert joins.is_settled(waiting)
    assert not joins.is_settled(task_ex("SUCCESS"))
    assert joins.is_settled(task_ex("SKIPPED"))


def test_whether_a_join_that_has_ended_may_run_again() -> None:
    failed = EndedJoin({"a": READY, "b": FAILED}, tolerated=0, is_settled=False)
    assert not failed.may_run_again(["a"])
    assert failed.may_run_again(["b"])
    assert EndedJoin(failed.decided, 1, False).may_run_again(["a"])
    # who had not come before is no matter of a join that an operator has settled
    assert not EndedJoin(failed.decided, 1, True).may_run_again(["b"])
    assert EndedJoin(failed.decided, 1, True).may_run_again(["a"])


def test_the_ways_to_a_join() -> None:
    flow = spec("""
    tasks:
      start: {on-success: [a]}
      a: {on-success: [j]}
      b: {on-success: [j]}
      j: {join: all, on-success: [again]}
      again: {on-success: [a]}
    """)
    assert joins.origins(flow, "j", ["a"]) == {"a", "start", "again"}
    assert joins.origins(flow, "j", ["b", "j"]) == {"b"}
