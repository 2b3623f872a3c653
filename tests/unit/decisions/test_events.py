"""What an execution tells its relatives: kinds, numbers and contents."""

from __future__ import annotations

from typing import Any

from mistral.engine import execution_events
from mistral.workflow.commands import Command, SendEvent
from mistral.workflow.entities import ExecutionEvent
from tests.lib.decisions import NOW, Flow, one

PARENT = {"parent_execution_id": "parent", "task_execution_id": "pt", "task_attempt": 3}


def flow(**more: Any) -> Flow:
    return Flow("tasks: {a: {}}", **more)


def told(*commands: Command) -> ExecutionEvent:
    return one(SendEvent, commands).event


def facts(event: ExecutionEvent) -> tuple[Any, ...]:
    return (event.execution_id, event.kind, event.task_id, event.attempt, event.number)


def test_news_for_the_parent() -> None:
    here = flow(state="ERROR", state_info="why", attempt=2, **PARENT)
    event = told(*execution_events.to_parent(here.ports, here.wf_ex, "kind", 7))
    assert facts(event) == ("parent", "kind", "pt", 3, 7)
    assert event.payload == {"attempt": 2, "state": "ERROR", "state_info": "why"}
    assert (event.id, event.source_id, event.created_at) == ("new-1", "wf", NOW)
    assert told(*execution_events.to_parent(here.ports, here.wf_ex, "kind")).number == 0
    assert execution_events.to_parent(here.ports, flow().wf_ex, "kind") == []


def test_news_for_the_children() -> None:
    here = flow()
    here.ports.live = ["c1", "c2", "c3"]
    found = execution_events.to_children(here.ports, here.wf_ex, "kind", 7, {"x": 1}, "c2")
    events = [command.event for command in found if isinstance(command, SendEvent)]
    assert [facts(event) for event in events] == [
        ("c1", "kind", None, 0, 7),
        ("c3", "kind", None, 0, 7),
    ]
    assert [event.payload for event in events] == [{"x": 1}, {"x": 1}]
    (first, *_) = execution_events.to_children(here.ports, here.wf_ex, "kind", 7)
    assert told(first).payload == {}


def test_a_child_that_runs_again_too_late_is_ended() -> None:
    here = flow()
    asked = ExecutionEvent(id="e", execution_id="wf", kind="child-running", source_id="c")
    event = told(execution_events.refuse(here.ports, here.wf_ex, asked, "gone"))
    assert facts(event) == ("c", "cancel", None, 0, 100)
    assert event.payload == {"message": "The rerun or skip came too late: gone"}


def test_each_turn_of_a_rollback_has_a_number_of_its_own() -> None:
    here = flow()
    own = here.task_ex("a", id="comp", attempt=4)
    events = [told(execution_events.roll_back(here.ports, here.wf_ex, "c", own)) for _ in range(2)]
    assert [facts(event) for event in events] == [
        ("c", "rollback", "comp", 4, 100),
        ("c", "rollback", "comp", 4, 101),
    ]


def test_the_end_of_a_rollback() -> None:
    here = flow(**PARENT)
    asked = {"execution_id": "other", "task_id": "t", "attempt": 5}
    event = told(
        *execution_events.rolled_back(here.ports, here.wf_ex, {"asked": asked}, True, "why")
    )
    assert facts(event) == ("other", "child-rolled-back", "t", 5, 0)
    assert event.payload == {"done": True, "message": "why"}
    owed = told(*execution_events.rolled_back(here.ports, here.wf_ex, {"owed": True}, True, None))
    assert facts(owed) == ("parent", "child-finished", "pt", 3, 0)
    assert execution_events.rolled_back(here.ports, here.wf_ex, {}, True, None) == []


def test_a_reminder() -> None:
    here = flow()
    event = told(execution_events.go_on(here.ports, here.wf_ex, "t", 3, 2))
    assert facts(event) == ("wf", "go-on", "t", 2, 0)
    assert event.payload == {"next": 3}


def test_a_parent_hears_of_a_deletion() -> None:
    (event,) = execution_events.of_deletion(flow(**PARENT).wf_ex, (), lambda: "new", NOW)
    assert facts(event) == ("parent", "child-finished", "pt", 3, 0)
    assert event.payload == {
        "attempt": 0,
        "state": "ERROR",
        "state_info": "The sub-workflow execution was deleted [execution_id=wf]",
        "deleted": True,
    }
    assert (event.source_id, event.created_at, event.next_look_at) == ("wf", NOW, NOW)


def test_who_asked_for_a_rollback_hears_of_a_deletion() -> None:
    asked = ExecutionEvent(
        id="e", execution_id="wf", kind="rollback", source_id="other", task_id="t", attempt=2
    )
    gone = execution_events.not_rolled_back(asked, "new", NOW)
    assert facts(gone) == ("other", "child-rolled-back", "t", 2, 0)
    assert gone.payload == {
        "done": False,
        "message": "The sub-workflow execution was deleted [execution_id=wf]",
    }
    assert (gone.id, gone.source_id, gone.created_at, gone.next_look_at) == ("new", "wf", NOW, NOW)
    here = flow(state="SUCCESS", **PARENT)
    other = ExecutionEvent(id="f", execution_id="wf", kind="pause", source_id="other")
    (found,) = execution_events.of_deletion(here.wf_ex, [other, asked], lambda: "new", NOW)
    assert found.__dict__ == gone.__dict__
    under_way = flow(rollback={"asked": {"execution_id": "x", "task_id": "y", "attempt": 1}})
    (found,) = execution_events.of_deletion(under_way.wf_ex, (), lambda: "new", NOW)
    assert facts(found) == ("x", "child-rolled-back", "y", 1, 0)
