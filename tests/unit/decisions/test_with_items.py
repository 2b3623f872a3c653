"""Tasks with items: which run, what is counted, when all is done (doc:language/with_items)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine.tasks import SLICE, WithItemsTask, result_of
from mistral.workflow.bounds import Bounds
from mistral.workflow.commands import (
    Command,
    CreateAction,
    CreateExecution,
    CreateTask,
    DiscardResults,
    GoOnLater,
)
from mistral.workflow.values import Bag
from tests.lib.decisions import Flow, action, changes, child, names, one, only

TEXT = """
tasks:
  a: {with-items: "i in <% $.list %>", action: "std.echo output=<% $.i %>"}
  limited: {with-items: "i in <% $.list %>", action: std.noop, concurrency: 2}
  two: {with-items: ["i in <% $.list %>", "k in <% $.more %>"], action: std.noop}
  sub: {with-items: "i in <% $.list %>", workflow: sub}
"""


def flow(items: Any = ("x", "y", "z"), **more: Any) -> Flow:
    found = Flow(TEXT, context={"list": list(items) if isinstance(items, tuple) else items, **more})
    found.ports.define_workflow("sub")
    return found


def counts(commands: Sequence[Command], id: str = "t-a") -> dict[str, Any]:
    """What is counted at last."""
    found: dict[str, Any] = changes(commands, id)["runtime_context"]["with_items"]
    return found


def started(commands: Sequence[Command]) -> list[int]:
    """The positions of the actions that were made."""
    return [command.action.idx for command in only(CreateAction, commands)]


def begun(here: Flow, name: str = "a") -> tuple[list[Command], str]:
    """What the start of a task answers, and the id of its execution."""
    commands = here.new(name).run()
    return commands, one(CreateTask, commands).task.id


def test_all_items_begin() -> None:
    here = flow()
    commands, own = begun(here)
    assert started(commands) == [0, 1, 2]
    inputs = [here.ports.values.unpack(c.action.input) for c in only(CreateAction, commands)]
    assert inputs == [{"output": "x"}, {"output": "y"}, {"output": "z"}]
    assert counts(commands, own) == {
        "count": 3,
        "capacity": 0,
        "next": 3,
        "done": 0,
        "failed": 0,
        "cancelled": 0,
    }


def test_a_task_without_items_has_succeeded() -> None:
    here = flow(())
    commands, own = begun(here)
    assert started(commands) == []
    assert changes(commands, own)["state"] == "SUCCESS"


def test_as_many_as_may_run_at_a_time() -> None:
    here = flow()
    commands, own = begun(here, "limited")
    assert started(commands) == [0, 1]
    found = counts(commands, own)
    assert (found["next"], found["capacity"], "more" in found) == (2, 0, False)
    # the others belong to the same lists
    assert here.ports.values.unpack(Bag.decode(found["items"])) == {
        "items": [{"i": "x"}, {"i": "y"}, {"i": "z"}]
    }


@pytest.mark.parametrize(
    ("name", "room", "at_once", "number"),
    [("a", 2, 50, 2), ("a", 500, 1, 1), ("a", 0, 50, 0), ("sub", 4, 50, 1), ("sub", 8, 50, 2)],
)
def test_a_transaction_makes_only_so_many(name: str, room: int, at_once: int, number: int) -> None:
    here = flow()
    here.ports.left = room
    here.ports.limits = dataclasses.replace(here.ports.limits, items_at_once=at_once)
    commands, own = begun(here, name)
    assert len(only(CreateAction, commands)) + len(only(CreateExecution, commands)) == number
    assert [c.task_id for c in only(GoOnLater, commands)] == [own]
    found = counts(commands, own)
    assert (found["next"], found["capacity"], found["more"]) == (number, 3 - number, True)


def test_a_child_begins_where_only_little_room_is_left() -> None:
    here = flow()
    here.ports.left = 1
    assert len(only(CreateExecution, begun(here, "sub")[0])) == 1


@pytest.mark.parametrize(
    ("lists", "text"),
    [
        ({"items": 3}, "'i' must be iterable, not int"),
        ({"items": ("x",), "more": []}, "all lists must have the same length"),
    ],
)
def test_lists_that_are_none(lists: dict[str, Any], text: str) -> None:
    items = lists.pop("items")
    with pytest.raises(exc.InputException, match=text):
        flow(items, **{"more": [1], **lists}).new("two").run()


def test_several_lists_go_along_with_each_other() -> None:
    here = flow(("x", "y"), more=[1, 2])
    task = here.items("two")
    assert [task.item(0), task.item(1)] == [{"i": "x", "k": 1}, {"i": "y", "k": 2}]
    with pytest.raises(exc.WorkflowException, match="no item 2 any more"):
        task.item(2)


def test_more_items_than_the_bound_allows() -> None:
    here = flow()
    here.ports.limits = dataclasses.replace(here.ports.limits, bounds=Bounds(items=2))
    with pytest.raises(exc.BoundExceededException, match="items_limit"):
        here.new("a").run()


def test_an_item_has_ended_and_the_next_one_begins() -> None:
    here = flow()
    commands = here.items("limited", capacity=0, next=2).on_action_complete(action("x"))
    assert started(commands) == [2]
    found = counts(commands, "t-limited")
    assert (found["done"], found["next"], found["capacity"]) == (1, 3, 0)


@pytest.mark.parametrize("why", ["paused", "waits for room", "none left"])
def test_an_item_has_ended_and_none_begins(why: str) -> None:
    here = flow()
    if why == "paused":
        here.wf_ex.state = "PAUSED"
    more = {"more": True} if why == "waits for room" else {}
    task = here.items("a", next=3 if why == "none left" else 2, **more)
    commands = task.on_action_complete(action("x"))
    assert names(commands) == ["UpdateTask"]
    assert (counts(commands)["done"], counts(commands)["capacity"]) == (1, 1)


@pytest.mark.parametrize(
    ("state", "failed", "end", "info"),
    [
        ("SUCCESS", 0, "SUCCESS", None),
        ("ERROR", 0, "ERROR", "One or more actions had failed."),
        ("SUCCESS", 1, "ERROR", "One or more actions had failed."),
        ("CANCELLED", 0, "CANCELLED", "One or more actions was cancelled."),
    ],
)
def test_the_last_item_has_ended(state: str, failed: int, end: str, info: str | None) -> None:
    commands = flow().items("a", done=2, failed=failed).on_action_complete(action("x", state))
    found = changes(commands, "t-a")
    assert (found["state"], found["state_info"]) == (end, info)
    counted = counts(commands)
    assert (counted["done"], counted["capacity"]) == (3, 1)
    assert counted["failed"] == failed + (state == "ERROR")
    assert counted["cancelled"] == (state == "CANCELLED")


def test_a_cancelled_item_ends_all() -> None:
    commands = flow().items("a", done=0).on_action_complete(action("x", "CANCELLED"))
    assert changes(commands, "t-a")["state"] == "CANCELLED"


@pytest.mark.parametrize("state", ["ERROR", "DELAYED"])
def test_an_item_that_ends_too_late_is_only_counted(state: str) -> None:
    commands = flow().items("a", state, done=2).on_action_complete(action("x"))
    assert names(commands) == ["UpdateTask"]
    assert counts(commands)["done"] == 3


@pytest.mark.parametrize(
    ("counted", "is_completed"),
    [
        ({"done": 3}, True),
        ({"done": 4}, True),
        ({"done": 2}, False),
        ({"done": 0, "cancelled": 1}, True),
    ],
)
def test_when_all_is_done(counted: dict[str, int], is_completed: bool) -> None:
    assert flow().items("a", **counted).is_with_items_completed() == is_completed


def test_before_the_lists_are_known_nothing_is_done() -> None:
    task = flow().task("a")
    assert isinstance(task, WithItemsTask)
    assert not task.is_with_items_completed()
    assert task.start_missing() == []


def test_what_is_missing_begins_after_a_pause() -> None:
    commands = flow().items("a", next=1, capacity=2, more=True).start_missing()
    assert started(commands) == [1, 2]
    assert "more" not in counts(commands)


@pytest.mark.parametrize(("next_one", "capacity"), [(3, 2), (1, 0)])
def test_nothing_is_missing(next_one: int, capacity: int) -> None:
    task = flow().items("a", next=next_one, capacity=capacity)
    assert task.start_missing() == []
    waiting = flow().items("a", next=next_one, capacity=capacity, more=True)
    commands = waiting.start_missing()
    assert names(commands) == ["UpdateTask"]
    assert "more" not in counts(commands)


def test_a_rerun_repeats_what_did_not_succeed() -> None:
    here = flow()
    here.ports.accepted["t-a"] = [
        action("0", idx=0),
        action("1", "ERROR", idx=1),
        action("2", idx=2, attempt=1),
    ]
    own = here.items("a", "ERROR", done=3, failed=1).draft
    own.runtime_context |= {"triggered_by": [1], "concurrency": 2, "timeout": 3, "join": {}}
    own.runtime_context |= {"base_attempt": 1, "round_attempt": 1}
    task = here.of(own)
    commands = task.renew(reset=False)
    assert commands[0] == DiscardResults("t-a", failed_only=True)
    context = dict(changes(commands, "t-a")["runtime_context"])
    # what is older than the join's present round does not spare an item
    assert context.pop("with_items")["redo"] == [0, 1]
    assert context == {
        "triggered_by": [1],
        "join": {},
        "base_attempt": 1,
        "round_attempt": 1,
        "concurrency": 2,
    }
    assert changes(commands, "t-a")["attempt"] == 1
    again = task.run()
    assert started(again) == [0, 1]
    found = counts(again)
    assert (found["count"], found["done"], found["capacity"], found["redo"]) == (3, 1, 0, [0, 1])


def test_a_rerun_of_sub_workflows_repeats_what_did_not_succeed() -> None:
    here = flow()
    here.ports.sub_executions["t-sub"] = [
        child("0", idx=0),
        child("1", "ERROR", idx=1),
        child("2", "SUCCESS", idx=2, task_attempt=4),
    ]
    task = here.items("sub", "ERROR", done=3, failed=1)
    found = changes(task.renew(reset=False), "t-sub")["runtime_context"]["with_items"]
    assert found["redo"] == [1]


def test_a_rerun_of_lists_that_have_changed() -> None:
    here = flow(("x", "y"))
    task = here.items("a", "RUNNING", count=3, redo=[1, 2])
    here.ports.accepted["t-a"] = [action("1", idx=1), action("2", idx=2)]
    commands = task.schedule_actions()
    assert started(commands) == [1]
    # results of items that there are no longer
    assert changes(commands, "2") == {"accepted": False} and changes(commands, "1") == {}
    assert counts(commands)["done"] == 1
    longer = flow(("x", "y", "z", "u"))
    again = longer.items("a", "RUNNING", count=3, redo=[1]).schedule_actions()
    assert started(again) == [1, 3]
    assert counts(again)["redo"] == [1, 3]


def test_a_complete_rerun_repeats_all() -> None:
    commands = flow().items("a", "ERROR", done=3, failed=1).renew()
    assert commands[0] == DiscardResults("t-a")
    assert "with_items" not in changes(commands, "t-a")["runtime_context"]


def test_the_items_are_those_of_the_beginning() -> None:
    here = flow(("x", "y", "z"))
    commands, own = begun(here, "limited")
    noted = counts(commands, own)["items"]
    later = flow(("other",))
    task = later.items("limited", items=noted)
    assert task.item(2) == {"i": "z"}


def test_many_items_are_noted_in_parts() -> None:
    here = flow(tuple(range(2 * SLICE + 1)))
    commands, own = begun(here, "limited")
    found = counts(commands, own)
    assert sorted(Bag.decode(found["items"])) == ["0", "1", "2"]
    task = here.items("limited", count=found["count"], items=found["items"])
    assert [task.item(i)["i"] for i in (0, SLICE - 1, SLICE, 2 * SLICE)] == [
        0,
        SLICE - 1,
        SLICE,
        2 * SLICE,
    ]


def test_the_result_of_a_task() -> None:
    tasks = flow().spec.tasks
    plain = Flow("tasks: {p: {}}").spec.tasks["p"]
    assert result_of(tasks["a"], []) == [] and result_of(tasks["a"], [1]) == [1]
    assert [result_of(plain, found) for found in ([], [1], [1, 2])] == [[], 1, [1, 2]]
    assert result_of(plain, [1], in_items=True) == [1]
    assert result_of(tasks["a"], [1], in_items=False) == 1
