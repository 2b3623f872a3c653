"""An execution's start, end and operators' commands: what is decided (doc:language/steering)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine.workflows import Workflow
from mistral.workflow.commands import (
    BeginWorkflow,
    CheckWorkflow,
    CreateExecution,
    LockExecution,
    RerunTask,
    RunTask,
    SendEvent,
    SetWorkflowState,
    StartTask,
    to_backlog,
)
from mistral.workflow.entities import ExecutionEvent
from mistral.workflow.values import EMPTY, Bag
from tests.lib.decisions import NOW, Flow, action, changes, definition, names, one, only, spec

TEXT = """
input: [a, {b: 2}]
vars: {v: <% $.a + 1 %>, e: <% env().k %>}
output: {o: <% $.x %>}
tasks: {first: {on-success: [next]}, second: {}, next: {}}
"""
REVERSE = "{type: reverse, tasks: {a: {requires: [b]}, b: {}, c: {}}}"
CHILD = {"parent_execution_id": "parent", "task_execution_id": "pt", "task_attempt": 3}


def new(text: str = TEXT) -> tuple[Flow, Workflow]:
    """A workflow that has not been started."""
    here = Flow(text)
    own = definition(here.spec, workbook_name="book", tags=("t",))
    return here, Workflow(own, None, here.ports)


def event(commands: Any, kind: str) -> ExecutionEvent:
    """The only news of a kind."""
    (found,) = [c.event for c in only(SendEvent, commands) if c.event.kind == kind]
    assert (found.source_id, found.created_at) == ("wf", NOW)
    return found


# start


def test_a_start() -> None:
    here, workflow = new()
    commands = workflow.start({"a": 1}, "told", {"p": 1}, "given", "project")
    assert commands[1] == BeginWorkflow()
    found = one(CreateExecution, commands).execution
    assert (found.id, found.state, found.workflow_name) == ("given", "IDLE", "w")
    assert (found.workflow_id, found.workflow_namespace, found.spec_hash) == ("w-id", "ns", "hash")
    assert (found.workbook_name, found.tags, found.description) == ("book", ["t"], "told")
    assert (found.project_id, found.created_at, found.updated_at) == ("project", NOW, NOW)
    assert found.input == Bag({"a": 1, "b": 2})
    assert found.params == Bag({"p": 1, "env": {}, "namespace": "ns"})
    assert one(CreateExecution, new()[1].start({"a": 1})).execution.id == "new-1"


@pytest.mark.parametrize(
    ("given", "text"),
    [({}, r"missing=\['a'\]"), ({"a": 1, "c": 2}, r"unexpected=\['c'\]")],
)
def test_input_that_was_not_declared(given: dict[str, Any], text: str) -> None:
    with pytest.raises(exc.InputException, match=rf"Invalid input \[workflow=w, {text}\]"):
        new()[1].start(given)


def test_an_environment_is_evaluated_unless_that_is_not_wanted() -> None:
    env = {"k": 1, "l": "<% env().k + 1 %>"}
    params = one(CreateExecution, new()[1].start({"a": 1}, params={"env": env})).execution.params
    assert params.inline["env"] == {"k": 1, "l": 2}
    raw = new()[1].start({"a": 1}, params={"env": env, "evaluate_env": False})
    assert one(CreateExecution, raw).execution.params.inline["env"] == env


@pytest.mark.parametrize("field", ["input", "params"])
def test_a_start_with_too_much(field: str) -> None:
    here, workflow = new()
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=1)
    big = "x" * 3000
    given = {"a": big} if field == "input" else {"a": 1}
    with pytest.raises(exc.SizeLimitExceededException, match=field):
        workflow.start(given, params={"p": big} if field == "params" else {})


def test_a_begin() -> None:
    here = Flow(TEXT, state="IDLE", started_at=None, input={"a": 1}, next_look_at=NOW)
    here.ports.environment["k"] = "e"
    commands = here.workflow().begin()
    assert changes(commands) == {
        "state": "RUNNING",
        "context": Bag({"__execution": {"id": "wf"}, "v": 2, "e": "e"}),
        "next_look_at": None,
        "started_at": NOW,
    }
    assert commands[1:] == [RunTask("first"), RunTask("second"), CheckWorkflow()]
    plain = Flow("tasks: {a: {}}", state="IDLE", started_at=None).workflow().begin()
    assert changes(plain)["context"] == Bag({"__execution": {"id": "wf"}})


def test_a_reverse_workflow_begins() -> None:
    commands = Flow(REVERSE, state="IDLE", params={"task_name": "a"}).workflow().begin()
    assert only(RunTask, commands) == [RunTask("b")]
    with pytest.raises(exc.WorkflowException, match="task_name=z"):
        Flow(REVERSE, state="IDLE", params={"task_name": "z"}).workflow().begin()


# completion


def test_all_is_done() -> None:
    here = Flow(TEXT, input={"a": 1}, rollback=None, backlog=[], next_look_at=NOW, **CHILD)
    here.ports.ends = [here.task_ex("next", "SUCCESS", published={"x": 5})]
    commands = here.workflow().check_and_complete()
    assert changes(commands) == {
        "state": "SUCCESS",
        "state_info": None,
        "updated_at": NOW,
        "output": Bag({"o": 5}),
        "accepted": True,
        "finished_at": NOW,
        "next_look_at": None,
        "backlog": None,
        "rollback": None,
    }
    told = event(commands, "child-finished")
    assert (told.execution_id, told.task_id, told.attempt) == ("parent", "pt", 3)
    assert told.payload == {"attempt": 0, "state": "SUCCESS", "state_info": None}


@pytest.mark.parametrize(
    "more",
    [
        {"unfinished": 1},
        {"state": "PAUSED"},
        {"state": "ERROR"},
        {"rollback": {"state": "RUNNING"}},
    ],
)
def test_not_all_is_done(more: dict[str, Any]) -> None:
    assert Flow("tasks: {a: {}}", **more).workflow().check_and_complete() == []


def test_tasks_have_failed() -> None:
    here = Flow("tasks: {a: {}}", unhandled_errors=1)
    here.ports.failed = [here.task_ex("a", "ERROR", state_info="why")]
    found = changes(here.workflow().check_and_complete())
    assert found["state"] == "ERROR" and found["state_info"].startswith("why")
    assert found["output"].inline["result"] == found["state_info"]


def test_tasks_were_cancelled() -> None:
    here = Flow("tasks: {a: {}, b: {}}", cancelled=3, unhandled_errors=1)
    here.ports.cancelled = [here.task_ex(name, "CANCELLED") for name in ("b", "a", "b")]
    found = changes(here.workflow().check_and_complete())
    assert (found["state"], found["state_info"]) == ("CANCELLED", "Cancelled tasks: a, b")
    assert found["output"] == Bag({"result": "Cancelled tasks: a, b"})


def test_an_end_whose_definition_is_not_asked() -> None:
    here = Flow("{output-on-error: {x: <% $.nothing.at.all %>}, tasks: {a: {}}}")
    here.ports.limits = dataclasses.replace(here.ports.limits, state_info_chars=3)
    found = changes(here.workflow().break_off("long"))
    assert (found["state"], found["state_info"]) == ("ERROR", "lon")
    assert found["output"] == Bag({"result": "lon"})


def test_a_long_message_is_cut_in_the_row_and_not_in_the_output() -> None:
    here = Flow("tasks: {a: {}}")
    here.ports.limits = dataclasses.replace(here.ports.limits, state_info_chars=3)
    found = changes(here.workflow().fail("long"))
    assert (found["state_info"], found["output"]) == ("lon", Bag({"result": "long"}))


def test_who_waits_for_a_rollback_hears_of_an_end() -> None:
    asked = {"execution_id": "other", "task_id": "t", "attempt": 2}
    here = Flow("tasks: {a: {}}", rollback={"asked": asked}, **CHILD)
    told = event(here.workflow().stop("CANCELLED", "why"), "child-rolled-back")
    assert (told.execution_id, told.task_id, told.attempt) == ("other", "t", 2)
    assert told.payload == {"done": False, "message": "why"}


# operators


def test_a_lock() -> None:
    assert Flow("tasks: {a: {}}").workflow().lock() == [LockExecution("wf")]


def test_a_change_of_state_that_is_not_legal() -> None:
    with pytest.raises(exc.InvalidStateException, match="from SUCCESS to RUNNING"):
        Flow("tasks: {a: {}}", state="SUCCESS").workflow().set_state("RUNNING")


def test_a_stop_in_success() -> None:
    here = Flow("tasks: {a: {}}", params={"env": {}})
    assert changes(here.workflow().stop("SUCCESS", "told"))["state_info"] == "told"
    ended = Flow("tasks: {a: {}}", state="SUCCESS")
    assert ended.workflow().stop("SUCCESS") == []
    assert changes(ended.workflow().stop("SUCCESS", "told")) == {"state_info": "told"}
    with pytest.raises(exc.InvalidStateException):
        Flow("tasks: {a: {}}", state="ERROR").workflow().stop("SUCCESS")


def test_a_stop_in_error() -> None:
    assert changes(Flow("tasks: {a: {}}").workflow().stop("ERROR", "why"))["state"] == "ERROR"
    assert Flow("tasks: {a: {}}", state="SUCCESS").workflow().stop("ERROR") == []
    with pytest.raises(exc.WorkflowException, match="Can't stop an execution with state IDLE"):
        Flow("tasks: {a: {}}").workflow().stop("IDLE")


def test_a_cancellation_goes_down() -> None:
    here = Flow("tasks: {a: {}}")
    here.ports.live = ["c1", "c2"]
    commands = here.workflow().stop("CANCELLED", "why", 7)
    assert changes(commands)["state"] == "CANCELLED"
    told = [c.event for c in only(SendEvent, commands)]
    assert [(e.execution_id, e.kind, e.number, e.payload) for e in told] == [
        ("c1", "cancel", 7, {"message": "why"}),
        ("c2", "cancel", 7, {"message": "why"}),
    ]


def test_a_pause() -> None:
    here = Flow("tasks: {a: {}}", **CHILD)
    here.ports.live = ["c1", "c2"]
    commands = here.workflow().pause("why", 7)
    assert changes(commands) == {"state": "PAUSED", "state_info": "why", "updated_at": NOW}
    told = [c.event for c in only(SendEvent, commands)]
    assert [(e.execution_id, e.kind, e.number) for e in told] == [
        ("c1", "pause", 7),
        ("c2", "pause", 7),
        ("parent", "child-paused", 7),
    ]


@pytest.mark.parametrize(("came_from", "told"), [("parent", ["c1"]), ("c1", ["parent"])])
def test_a_command_does_not_go_back(came_from: str, told: list[str]) -> None:
    here = Flow("tasks: {a: {}}", **CHILD)
    here.ports.live = ["c1"]
    paused = here.workflow().pause(None, 7, came_from)
    assert [c.event.execution_id for c in only(SendEvent, paused)] == told
    here.wf_ex.state = "PAUSED"
    resumed = here.workflow().resume(None, 7, came_from)
    assert [c.event.execution_id for c in only(SendEvent, resumed)] == told


def test_a_pause_that_changes_nothing_or_is_refused() -> None:
    assert Flow("tasks: {a: {}}", state="PAUSED").workflow().pause() == []
    with pytest.raises(exc.WorkflowException, match="while it is rolled back"):
        Flow("tasks: {a: {}}", rollback={}).workflow().pause()
    with pytest.raises(exc.InvalidStateException):
        Flow("tasks: {a: {}}", state="IDLE").workflow().pause()


def test_a_pause_of_a_child_that_has_not_begun() -> None:
    commands = Flow("tasks: {a: {}}", state="IDLE", next_look_at=NOW, **CHILD).workflow().pause()
    assert names(commands) == ["UpdateExecution"]
    assert changes(commands) == {"state": "PAUSED", "next_look_at": None}


def test_a_resume() -> None:
    waiting = [RunTask("next", Bag({"x": 1}), ("t", "on-success"), "first"), RunTask("second")]
    backlog = [to_backlog(command) for command in waiting]
    here = Flow(TEXT, state="PAUSED", backlog=backlog, **CHILD)
    here.ports.live = ["c1"]
    held = [here.task_ex("first", "IDLE"), here.task_ex("second", "IDLE")]
    commands = here.workflow().resume(number=7, held=held)
    assert changes(commands) == {
        "state": "RUNNING",
        "state_info": None,
        "updated_at": NOW,
        "backlog": None,
    }
    told = [c.event for c in only(SendEvent, commands)]
    assert [(e.execution_id, e.kind, e.number) for e in told] == [
        ("c1", "resume", 7),
        ("parent", "child-resumed", 7),
    ]
    assert commands[-4:] == [StartTask("t-first"), StartTask("t-second"), *waiting]


@pytest.mark.parametrize("state", ["RUNNING", "ERROR", "SUCCESS"])
def test_a_resume_that_changes_nothing(state: str) -> None:
    here = Flow("tasks: {a: {}}", state=state, params={"env": {}})
    assert here.workflow().resume({"k": 1}) == []


def test_a_resume_of_what_has_not_begun() -> None:
    here = Flow("tasks: {a: {}}", state="PAUSED", started_at=None, params={"env": {"k": 1}})
    commands = here.workflow().resume({"l": 2})
    assert changes(commands)["state"] == "RUNNING"
    assert changes(commands)["params"] == Bag({"env": {"k": 1, "l": 2}})
    assert commands[-2:] == [RunTask("a"), CheckWorkflow()]


def test_a_rerun() -> None:
    here = Flow("tasks: {a: {}}", state="ERROR", attempt=2, accepted=True, output={"x": 1}, **CHILD)
    commands = here.workflow().rerun(here.task_ex("a", "ERROR"), reset=False)
    assert changes(commands) == {
        "state": "RUNNING",
        "state_info": None,
        "updated_at": NOW,
        "accepted": False,
        "finished_at": None,
        "output": EMPTY,
        "attempt": 3,
    }
    told = event(commands, "child-running")
    assert told.payload == {"attempt": 3, "state": "RUNNING", "state_info": None}
    assert commands[-1] == RerunTask("t-a", False)


def test_a_revival_of_what_has_not_ended() -> None:
    assert Flow("tasks: {a: {}}").workflow().revive() == []
    assert changes(Flow("tasks: {a: {}}", state="PAUSED").workflow().revive())["attempt"] == 0


def test_an_environment_is_merged() -> None:
    here = Flow("tasks: {a: {}}", params={"p": 1, "env": {"m": {"k": 1}, "x": 1}})
    found = changes(here.workflow().update_env({"m": {"l": 2}}))
    assert found == {
        "params": Bag({"p": 1, "env": {"m": {"k": 1, "l": 2}, "x": 1}}),
        "updated_at": NOW,
    }
    bare = changes(Flow("tasks: {a: {}}").workflow().update_env({"k": 1}))
    assert bare["params"] == Bag({"env": {"k": 1}})
    small = Flow("tasks: {a: {}}")
    small.ports.limits = dataclasses.replace(small.ports.limits, field_size_kb=1)
    with pytest.raises(exc.SizeLimitExceededException):
        small.workflow().update_env({"k": "x" * 3000})


# output


def test_without_a_declaration_the_output_is_all_that_the_ends_know() -> None:
    here = Flow("tasks: {a: {}, b: {}}")
    here.ports.ends = [
        here.task_ex("a", "SUCCESS", in_context={"m": {"k": 1}}, published={"x": 1}),
        here.task_ex("b", "SUCCESS", in_context={"m": {"l": 2}}),
    ]
    found = changes(here.workflow().check_and_complete())["output"]
    assert found == Bag({"x": 1, "m": {"k": 1, "l": 2}})


def test_only_the_target_of_a_reverse_workflow_counts() -> None:
    here = Flow(REVERSE, params={"task_name": "a"})
    here.ports.ends = [
        here.task_ex("a", "SUCCESS", published={"x": 1}),
        here.task_ex("c", "SUCCESS", published={"y": 1}),
    ]
    assert changes(here.workflow().check_and_complete())["output"] == Bag({"x": 1})


@pytest.mark.parametrize("state", ["ERROR", "SKIPPED"])
def test_a_join_that_was_not_run_knows_who_came_later(state: str) -> None:
    here = Flow("tasks: {a: {on-success: [j]}, b: {on-success: [j]}, j: {join: 1}}")
    came = [here.task_ex(name, "SUCCESS", published={name: 1}) for name in ("a", "b")]
    join = here.task_ex("j", state, runtime_context={"join": {"ready": 2}, "triggered_by": [1]})
    here.ports.ends = [join]
    here.ports.came["t-j"] = came
    assert changes(here.workflow().check_and_complete())["output"] == Bag({"a": 1, "b": 1})
    join.runtime_context["triggered_by"] = [1, 2]
    assert changes(here.workflow().check_and_complete())["output"] == EMPTY
    join.runtime_context["triggered_by"] = [1]
    join.state = "SUCCESS"
    assert changes(here.workflow().check_and_complete())["output"] == EMPTY


def test_the_output_of_an_error() -> None:
    here = Flow("{output-on-error: {o: <% $.x %>}, tasks: {a: {}}}", context={"x": 3})
    found = changes(here.workflow().fail("why"))
    assert found["output"] == Bag({"result": "why", "o": 3})
    wrong = Flow("{output-on-error: {o: <% $.x.y.z %>}, tasks: {a: {}}}", context={"x": 3})
    found = changes(wrong.workflow().fail("why"))
    assert found["state_info"].startswith("Failed to evaluate 'output-on-error'")
    assert found["state_info"].endswith("the cause was: why")
    assert found["output"] == Bag({"result": found["state_info"]})


def test_an_output_that_is_too_large() -> None:
    here = Flow("{output: {o: <% $.x %>}, tasks: {a: {}}}", context={"x": "x" * 3000})
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=1)
    with pytest.raises(exc.SizeLimitExceededException):
        here.workflow().check_and_complete()


@pytest.mark.parametrize(("limit", "length"), [(1, 170), (2, 1500), (-1, 1500)])
def test_a_message_is_cut_for_the_output(limit: int, length: int) -> None:
    here = Flow("tasks: {a: {}}")
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=limit)
    found = changes(here.workflow().stop("CANCELLED", "x" * 1500))["output"]
    assert len(here.ports.values.get(found, "result")) == length


def test_the_message_of_failed_tasks() -> None:
    here = Flow("tasks: {a: {}, b: {workflow: sub}}")
    here.ports.failed = [
        here.task_ex("b", "ERROR", id="1", state_info="broken\nmore"),
        here.task_ex("a", "ERROR", id="2", state_info=None),
    ]
    here.ports.accepted["2"] = [
        action("x", "ERROR", "no", idx=1),
        action("y", "SUCCESS", "yes", idx=2),
    ]
    here.ports.sub_executions["1"] = [
        dataclasses.replace(Flow("tasks: {a: {}}").wf_ex, state="ERROR", state_info="c", idx=4),
        dataclasses.replace(Flow("tasks: {a: {}}").wf_ex, state="SUCCESS", state_info="d"),
    ]
    here.wf_ex.unhandled_errors = 2
    text = changes(here.workflow().check_and_complete())["state_info"]
    assert text.splitlines() == [
        "broken",
        "",
        "Failure caused by error in tasks: a, b",
        "",
        "  a -> None [task_ex_id=2]",
        '    {"result":"no"} [action_ex_id=x, idx=1]',
        "",
        "  b -> broken",
        "more [task_ex_id=1]",
        "    c [wf_ex_id=wf, idx=4]",
    ]


# without


def test_objects_that_were_built_without_something() -> None:
    bare = Workflow(None)
    for attribute in ("wf_def", "ports"):
        with pytest.raises(exc.MistralException, match="was built without"):
            getattr(bare, attribute)
    with pytest.raises(exc.MistralException, match="'w' has not been started"):
        _ = Workflow(definition(spec("tasks: {}"))).draft


def test_a_backlog_keeps_what_waits() -> None:
    pause = SetWorkflowState("PAUSED", "why", "t")
    here = Flow("tasks: {a: {}}", state="PAUSED", backlog=[to_backlog(pause)])
    assert here.workflow().resume()[-1] == pause
    with pytest.raises(TypeError, match="CheckWorkflow does not wait"):
        to_backlog(CheckWorkflow())
