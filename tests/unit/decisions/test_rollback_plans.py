"""What is undone, in which order, and how (doc:language/rollback)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine.rollback import plan
from mistral.engine.rollback.plan import Step
from mistral.workflow.commands import CreateAction, CreateTask
from mistral.workflow.entities import TaskExecution
from mistral.workflow.values import Bag
from tests.lib.decisions import NOW, Flow, action, child, one

TEXT = """
tasks:
  a: {rollback: std.echo output=<% $.v %>}
  b: {rollback: std.noop}
  none: {}
  items: {with-items: "i in <% $.list %>", rollback: std.echo output=<% $.i %>}
  sub: {workflow: w}
  both: {workflow: w, with-items: "i in <% $.list %>", rollback: std.noop}
  empty: {rollback: <% $.name %>}
"""


def at(minute: int) -> dt.datetime:
    return NOW + dt.timedelta(minutes=minute)


def flow(**context: Any) -> Flow:
    return Flow(TEXT, context={"list": ["x", "y"], **context}, project_id="p")


def planned(here: Flow, *tasks: TaskExecution, **more: Any) -> list[Step]:
    return plan.plan(here.spec, tasks, more.get("actions", {}), more.get("children", {}))


def done(here: Flow, name: str, minute: int, state: str = "SUCCESS", **more: Any) -> TaskExecution:
    return here.task_ex(name, state, **{"finished_at": at(minute), **more})


def test_newest_first() -> None:
    here = flow()
    first, second = done(here, "a", 1), done(here, "b", 2)
    third = done(here, "a", 2, id="t-z")
    assert planned(here, first, second, third) == [Step(third), Step(second), Step(first)]


def test_what_is_not_undone() -> None:
    here = flow()
    gone = TaskExecution(id="t", name="gone", workflow_execution_id="wf", state="SUCCESS")
    for task_ex in (done(here, "none", 1), done(here, "a", 1, "ERROR"), gone):
        assert planned(here, task_ex) == []
    assert planned(here, gone, done(here, "a", 1)) != []


def test_items_are_undone_one_by_one() -> None:
    here = flow()
    own = done(here, "items", 5)
    actions = [
        action("1", idx=0, result_at=at(1)),
        action("2", idx=1, result_at=at(3)),
        action("3", "ERROR", idx=2, result_at=at(4)),
        action("4", idx=0, result_at=at(2)),
        action("5", idx=3, result_at=None),
    ]
    steps = planned(here, own, actions={"t-items": actions})
    assert steps == [Step(own, 3), Step(own, 1), Step(own, 0)]
    assert [step.key for step in steps] == [
        "rollback-t-items-3",
        "rollback-t-items-1",
        "rollback-t-items-0",
    ]


def test_sub_workflows_are_undone_after_what_their_task_declares() -> None:
    here = flow()
    own = done(here, "both", 5)
    children = [
        child("c1", finished_at=at(2)),
        child("c2", finished_at=at(1)),
        child("c3", finished_at=None),
    ]
    steps = planned(here, own, children={"t-both": children})
    assert steps == [
        Step(own),
        Step(own, child_id="c3"),
        Step(own, child_id="c1"),
        Step(own, child_id="c2"),
    ]
    assert [step.key for step in steps[:2]] == ["rollback-t-both", "rollback-c3"]
    # a task that failed has begun sub-workflows all the same
    failed = done(here, "sub", 1, "ERROR")
    assert planned(here, failed, children={"t-sub": children[:1]}) == [Step(failed, child_id="c1")]


def test_what_has_not_ended_is_the_newest() -> None:
    here = flow()
    running = here.task_ex("sub", "RUNNING")
    steps = planned(here, done(here, "a", 1), running, children={"t-sub": [child("c")]})
    assert [step.task_ex.name for step in steps] == ["sub", "a"]


def test_a_compensation_is_a_task() -> None:
    here = flow()
    own = here.task_ex("a", "SUCCESS", in_context={"v": 1}, published={"w": 2}, tags=["x"])
    found = plan.create(here.ports, here.wf_ex, Step(own, 0), 4)
    assert isinstance(found, CreateTask)
    assert found.task.__dict__ == {
        **TaskExecution(id="new-1", name="a", workflow_execution_id="wf").__dict__,
        "unique_key": "rollback-t-a-0",
        "in_context": Bag({"v": 1, "w": 2}),
        "runtime_context": {"rollback_of": "t-a", "rollback_order": 4, "index": 0},
        "tags": ["x"],
        "project_id": "p",
        "created_at": NOW,
        "updated_at": NOW,
    }
    of_child = plan.create(here.ports, here.wf_ex, Step(own, child_id="c"), 0).task
    assert (of_child.type, of_child.runtime_context["child_id"]) == ("WORKFLOW", "c")
    assert "index" not in of_child.runtime_context
    assert of_child.is_compensation


def compensation(here: Flow, **context: Any) -> TaskExecution:
    return here.task_ex("a", "RUNNING", id="comp", runtime_context=context)


def test_the_order_of_compensations() -> None:
    here = flow()
    assert plan.turn(compensation(here, rollback_order=3)) == (3, "comp")
    assert plan.turn(compensation(here)) == (0, "comp")


def test_a_join_that_ran_again_is_undone_again() -> None:
    here = flow()
    own = here.task_ex("a", "SUCCESS", attempt=2)
    begun = compensation(here, k=1).runtime.undoing(own.attempt).stored
    assert begun == {"k": 1, "undoes_attempt": 2}
    ended = compensation(here, **begun).runtime.undone().stored
    assert ended == {**begun, "undone_attempt": 2}
    assert compensation(here, k=1).runtime.undone().stored == {"k": 1}
    assert plan.covers(compensation(here, **ended), own)
    own.attempt = 3
    assert not plan.covers(compensation(here, **ended), own)
    assert plan.covers(compensation(here), own)


def scheduled(here: Flow, own: TaskExecution, **context: Any) -> Any:
    spare = compensation(here, **context)
    commands = plan.schedule(here.ports, here.wf_ex, here.spec, spare, own)
    return one(CreateAction, commands).action


def test_the_action_of_a_compensation() -> None:
    here = flow()
    own = here.task_ex("a", "SUCCESS", in_context={"v": 1}, published={"v": 2})
    found = scheduled(here, own)
    assert (found.name, found.input, found.task_execution_id) == (
        "std.echo",
        Bag({"output": 2}),
        "comp",
    )
    assert (found.idx, found.target, found.description) == (0, None, "Compensation of task 'a'")


def test_the_compensation_of_an_item() -> None:
    here = flow()
    found = scheduled(here, here.task_ex("items", "SUCCESS"), index=1)
    assert (found.idx, found.input) == (1, Bag({"output": "y"}))


@pytest.mark.parametrize("name", ["", None])
def test_a_compensation_without_an_action(name: Any) -> None:
    here = flow(name=name)
    with pytest.raises(exc.InvalidActionException):
        scheduled(here, here.task_ex("empty", "SUCCESS"))


def test_how_a_message_names_a_compensation() -> None:
    here = flow()
    assert plan.label(compensation(here)) == "a"
    assert plan.label(compensation(here, index=0)) == "a[0]"
