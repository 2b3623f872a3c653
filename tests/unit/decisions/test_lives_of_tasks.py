"""A task from its creation to what follows: commands of each step (doc:language/tasks)."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.workflow.commands import (
    CheckWorkflow,
    CreateAction,
    CreateExecution,
    CreateTask,
    CreateTimer,
    DiscardResults,
    GoOnLater,
    RunTask,
    SetWorkflowState,
    TaskCompleted,
    UpdateExecution,
)
from mistral.workflow.entities import ActionExecution, TaskExecution
from mistral.workflow.values import EMPTY, Bag
from tests.lib.decisions import NOW, Flow, action, changes, child, names, one, only

TEXT = """
tasks:
  a:
    action: std.echo output=1
    tags: [x]
    publish: {v: <% $.g %>}
    on-success: [b, {c: <% $.v = 7 %>}, {d: <% $.v = 8 %>}]
    on-error: [e]
  b: {action: std.noop, description: told}
  c: {workflow: sub}
  d: {}
  e: {on-complete: [noop]}
  stops: {on-success: [b, "fail(msg=<% $.g %>)", c]}
  pauses: {on-success: [pause, b]}
  tells: {on-success: ["succeed(msg=<% dict(k=>1) %>)"]}
  lost: {on-success: [nowhere]}
  waits: {wait-before: 5, pause-before: false}
  held: {wait-after: 5, retry: {count: 1, delay: 1}}
  shares: {on-success: {publish: {branch: {x: 1, y: 1}, global: {s: {n: 1}}}}, publish: {y: 2}}
  forgets: {action: std.noop, keep-result: false}
  decides: {action: std.noop, keep-result: <% $.g = 7 %>}
  targeted: {action: std.noop, target: <% $.t %>, safe-rerun: <% $.g = 7 %>, timeout: 9}
  dynamic: {action: std.echo, input: <% $.given %>}
  chooses: {action: <% $.name %>}
  chooses_workflow: {workflow: <% $.name %>, action: std.echo output=2}
"""


def flow(**context: Any) -> Flow:
    found = Flow(TEXT, context={"g": 7, "s": {"m": 1}, **context}, project_id="p")
    found.ports.define_workflow("sub")
    return found


# starting


def test_a_new_task_runs() -> None:
    here = flow()
    commands = here.new("a", Bag({"i": 1}), unique_key="u", triggered_by=[("t", "on-x")]).run()
    assert names(commands) == ["CreateTask", "UpdateTask", "CreateAction"]
    assert one(CreateTask, commands).task.__dict__ == {
        **TaskExecution(id="new-1", name="a", workflow_execution_id="wf").__dict__,
        "unique_key": "u",
        "in_context": Bag({"i": 1}),
        "runtime_context": {"triggered_by": [{"task_id": "t", "event": "on-x"}]},
        "tags": ["x"],
        "project_id": "p",
        "created_at": NOW,
        "updated_at": NOW,
    }
    assert changes(commands, "new-1") == {"state": "RUNNING", "state_info": None, "started_at": NOW}
    assert one(CreateAction, commands).action.task_execution_id == "new-1"


def test_a_task_that_runs_a_workflow() -> None:
    commands = flow().new("c").run()
    assert one(CreateTask, commands).task.type == "WORKFLOW"
    assert one(CreateTask, commands).task.runtime_context == {}
    assert names(commands)[-1] == "CreateExecution"


def test_a_sub_workflow_that_is_not_there_fails_its_task() -> None:
    here = flow()
    here.ports.workflows.clear()
    commands = here.new("c").run()
    found = changes(commands, "new-1")
    assert (found["state"], found["state_info"]) == (
        "ERROR",
        "Failed to find workflow [name=sub]",
    )


def test_a_task_that_waits_for_others() -> None:
    here = flow()
    commands = here.new("a").defer()
    assert names(commands) == ["CreateTask"]
    assert one(CreateTask, commands).task.state == "WAITING"
    again = here.task("a", "SUCCESS", processed=True).defer()
    assert changes(again, "t-a") == {
        "state": "WAITING",
        "state_info": "Task is waiting.",
        "processed": False,
    }


def test_a_task_that_another_transaction_starts() -> None:
    here = flow()
    task = here.new("a")
    commands = task.postpone()
    assert names(commands) == ["CreateTask", "UpdateTask", "GoOnLater"]
    assert one(CreateTask, commands).task.state == "IDLE"
    assert changes(commands, "new-1") == {"runtime_context": {"postponed": True}}
    assert one(GoOnLater, commands).task_id == "new-1"
    started = here.of(task.draft).run()
    found = changes(started, "new-1")
    assert (found["runtime_context"], found["state"]) == ({}, "RUNNING")


def test_a_policy_holds_the_start() -> None:
    commands = flow().new("waits").run()
    assert names(commands) == ["CreateTask", "UpdateTask", "UpdateTask", "CreateTimer"]
    assert changes(commands, "new-1")["state"] == "DELAYED"


def test_a_task_goes_on_after_its_delay() -> None:
    here = flow()
    commands = here.task("b", "DELAYED", runtime_context={"delay_over": 1, "k": 1}).resume()
    assert names(commands) == ["UpdateTask", "UpdateTask", "CreateAction"]
    assert changes(commands, "t-b") == {
        "state": "RUNNING",
        "state_info": None,
        "runtime_context": {"k": 1},
    }
    # somebody else was faster
    assert only(CreateAction, here.task("b").resume()) == []


def test_a_task_that_was_started_keeps_the_time() -> None:
    early = NOW.replace(hour=1)
    commands = flow().task("b", "IDLE", started_at=early).run()
    assert changes(commands, "t-b")["started_at"] == early


# what runs


def sent(here: Flow, name: str) -> ActionExecution:
    return one(CreateAction, here.new(name).run()).action


def test_what_an_action_is_told() -> None:
    found = sent(flow(t="host"), "targeted")
    assert (found.target, found.safe_rerun, found.idx) == ("host", True, 0)
    assert found.runtime_context == {"index": 0, "timeout": 9}
    assert sent(flow(), "b").description == "told"
    plain = sent(flow(), "a")
    assert (plain.target, plain.safe_rerun, plain.description) == (None, False, "")
    assert sent(flow(g=8, t="h"), "targeted").safe_rerun is False


@pytest.mark.parametrize("target", [3, "x" * 256, "\0", "\ud800", "\udfff"])
def test_a_target_that_is_no_name(target: object) -> None:
    here = flow()
    here.wf_ex.context = Bag({"t": target, "g": 7})
    with pytest.raises(exc.InputException, match="'target' must be the name of an executor"):
        here.new("targeted").run()


def test_targets_that_are_names() -> None:
    for target in (None, "x" * 255, "\ue000", "\ud7ff"):
        assert sent(flow(t=target), "targeted").target == target


def test_input_that_is_evaluated() -> None:
    here = flow(given={"output": 5})
    assert here.ports.values.unpack(sent(here, "dynamic").input) == {"output": 5}
    with pytest.raises(exc.InputException, match="must evaluate to a mapping, not list"):
        flow(given=[5]).new("dynamic").run()


def test_what_runs_is_evaluated() -> None:
    assert sent(flow(name="std.async_noop"), "chooses").name == "std.async_noop"
    assert sent(flow(name=None), "chooses").name == "std.noop"
    assert sent(flow(), "d").name == "std.noop"
    with pytest.raises(exc.InvalidActionException):
        flow(name="none").new("chooses").run()
    chosen = flow(name="sub").new("chooses_workflow").run()
    assert one(CreateExecution, chosen).execution.workflow_name == "sub"
    assert sent(flow(name=""), "chooses_workflow").name == "std.echo"


# ending


def test_a_task_has_succeeded() -> None:
    here = flow()
    commands = here.task("a", in_context={"i": 1}).on_action_complete(action("x", value=1))
    assert changes(commands, "t-a") == {
        "state": "SUCCESS",
        "state_info": None,
        "updated_at": NOW,
        "published": Bag({"v": 7}),
        "finished_at": NOW,
        "has_next_tasks": True,
        "next_tasks": [["b", "on-success"], ["c", "on-success"]],
        "error_handled": False,
        "processed": True,
    }
    assert one(TaskCompleted, commands) == TaskCompleted("t-a", ("b", "c"))
    following = only(RunTask, commands)
    assert [(c.name, c.triggered_by, c.source_name) for c in following] == [
        ("b", ("t-a", "on-success"), "a"),
        ("c", ("t-a", "on-success"), "a"),
    ]
    unversioned = following[0].in_context.versioned()
    assert unversioned == Bag({"i": 1, "v": 7})
    assert commands[-1] == CheckWorkflow()


def test_a_task_has_failed() -> None:
    commands = flow().task("a").on_action_complete(action("x", "ERROR", "why"))
    found = changes(commands, "t-a")
    assert (found["state"], found["state_info"]) == ("ERROR", "why")
    assert (found["error_handled"], found["next_tasks"]) == (True, [["e", "on-error"]])
    assert "published" not in found


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (action("x", "ERROR", None), None),
        (ActionExecution(id="x", name="n", state="ERROR"), None),
        (ActionExecution(id="x", name="n", state="ERROR", output=Bag({"o": 1})), None),
        (action("x", "ERROR", {"a": 1}), "{'a': 1}"),
        (child("c", "ERROR", state_info="why"), "why"),
        (child("c", "ERROR"), "Failed subworkflow [execution_id=c]"),
        (child("c", "CANCELLED", state_info="why"), None),
    ],
)
def test_the_text_of_a_failure(ended: Any, text: str | None) -> None:
    found = changes(flow().task("b").on_action_complete(ended), "t-b")
    assert (found["state"], found["state_info"]) == (ended.state, text)


def test_a_long_text_is_cut() -> None:
    here = flow()
    here.ports.limits = dataclasses.replace(here.ports.limits, state_info_chars=3)
    assert changes(here.task("b").complete("ERROR", "long"), "t-b")["state_info"] == "lon"
    assert changes(here.task("b").set_state("ERROR", "long"), "t-b")["state_info"] == "lon"


def test_who_has_ended_does_not_end_again() -> None:
    assert flow().task("a", "ERROR").complete("SUCCESS") == []


def test_after_a_delay_of_the_end_nothing_is_published_again() -> None:
    commands = flow().task("a", "DELAYED", published={"v": 9}).complete("SUCCESS", published=True)
    assert "published" not in changes(commands, "t-a")
    assert changes(commands, "t-a")["state"] == "SUCCESS"


def test_a_policy_holds_the_end() -> None:
    here = flow()
    commands = here.task("held").complete("ERROR", "why")
    assert [c.timer.kind for c in only(CreateTimer, commands)] == ["wait-after"]
    found = changes(commands, "t-held")
    assert found["state"] == "DELAYED" and "finished_at" not in found
    assert only(CheckWorkflow, commands) == []
    # no policy asks about a task that is skipped
    skipped = changes(here.task("held", "RUNNING").complete("SKIPPED"), "t-held")
    assert (skipped["state"], skipped["finished_at"]) == ("SKIPPED", NOW)


@pytest.mark.parametrize("state", ["PAUSED", "ERROR", "CANCELLED"])
def test_what_follows_waits_for_the_end_of_a_pause(state: str) -> None:
    here = flow()
    here.wf_ex.state = state
    commands = here.task("a").complete("SUCCESS")
    assert changes(commands, "t-a")["processed"] is False
    assert changes(commands, "t-a")["has_next_tasks"] is True
    assert {"RunTask", "TaskCompleted", "CheckWorkflow"}.isdisjoint(names(commands))


def test_an_end_of_the_workflow() -> None:
    commands = flow().task("stops").complete("SUCCESS")
    found = changes(commands, "t-stops")
    assert found["has_next_tasks"] is False
    assert [name for name, _ in found["next_tasks"]] == ["b", "fail", "c"]
    assert [c.name for c in only(RunTask, commands)] == ["b"]
    assert one(SetWorkflowState, commands) == SetWorkflowState("ERROR", "7", "t-stops")
    assert one(TaskCompleted, commands).chosen == ("b", "c")
    told = one(SetWorkflowState, flow().task("tells").complete("SUCCESS"))
    assert (told.state, told.message) == ("SUCCESS", '{"k": 1}')


def test_a_pause_that_is_over() -> None:
    here = flow()
    commands = here.task("pauses").complete("SUCCESS")
    assert one(SetWorkflowState, commands) == SetWorkflowState("PAUSED", None, "t-pauses")
    assert names(here.task("pauses", "SUCCESS").follow_up(resumed=True)) == [
        "UpdateTask",
        "TaskCompleted",
        "RunTask",
        "CheckWorkflow",
    ]


def test_nothing_follows() -> None:
    commands = flow().task("d").complete("SUCCESS")
    found = changes(commands, "t-d")
    assert (found["has_next_tasks"], found["next_tasks"]) == (False, None)
    assert names(commands)[-2:] == ["TaskCompleted", "CheckWorkflow"]
    noop = flow().task("e").complete("ERROR")
    assert (only(RunTask, noop), changes(noop, "t-e")["error_handled"]) == ([], False)
    assert changes(noop, "t-e")["has_next_tasks"] is False


def test_a_target_that_is_not_there() -> None:
    with pytest.raises(exc.WorkflowException, match="no task 'nowhere'"):
        flow().task("lost").complete("SUCCESS")


def test_nothing_is_chosen_in_a_reverse_workflow() -> None:
    here = Flow("{type: reverse, tasks: {a: {on-success: [b]}, b: {}}}")
    commands = here.task("a").complete("SUCCESS")
    assert names(commands)[-2:] == ["TaskCompleted", "CheckWorkflow"]


# publishing


def test_what_is_published_where() -> None:
    here = flow()
    commands = here.task("shares").complete("SUCCESS")
    found = changes(commands, "t-shares")
    assert found["published"] == Bag({"x": 1, "y": 2})
    assert found["published_global"] == Bag({"s": {"n": 1}})
    shared = one(UpdateExecution, commands).changes["context"]
    assert shared == Bag({"g": 7, "s": {"m": 1, "n": 1}})
    assert here.wf_ex.context == Bag({"g": 7, "s": {"m": 1}})


def test_mappings_are_merged_where_that_is_wanted() -> None:
    here = Flow("tasks: {a: {publish: {m: {n: 2}}}}")
    replaced = changes(here.task("a", in_context={"m": {"k": 1}}).complete("SUCCESS"), "t-a")
    assert replaced["published"] == Bag({"m": {"n": 2}})
    here.ports.limits = dataclasses.replace(here.ports.limits, merge_strategy="merge")
    merged = changes(here.task("a", in_context={"m": {"k": 1}}).complete("SUCCESS"), "t-a")
    assert merged["published"] == Bag({"m": {"k": 1, "n": 2}})


def test_too_much_is_not_published() -> None:
    here = flow(big="x" * 3000)
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=1)
    for text in (
        "{publish: {v: <% $.big %>}}",
        "{on-success: {publish: {global: {v: <% $.big %>}}}}",
    ):
        small = Flow(f"tasks: {{a: {text}}}", context={"big": "x" * 3000})
        small.ports.limits = here.ports.limits
        with pytest.raises(exc.SizeLimitExceededException, match="published"):
            small.task("a").complete("SUCCESS")


@pytest.mark.parametrize(("name", "g"), [("forgets", 7), ("decides", 8)])
def test_a_result_that_is_only_kept_for_publishing(name: str, g: int) -> None:
    here = flow(g=g)
    here.ports.accepted[f"t-{name}"] = [action("x", value=1)]
    commands = here.task(name, runtime_context={"k": 1}).complete("SUCCESS")
    assert changes(commands, "x") == {"output": EMPTY}
    assert changes(commands, f"t-{name}")["runtime_context"] == {"k": 1, "result_erased": True}


@pytest.mark.parametrize("name", ["decides", "b", "c"])
def test_a_result_that_is_kept(name: str) -> None:
    here = flow()
    here.ports.accepted[f"t-{name}"] = [action("x", value=1)]
    assert changes(here.task(name).complete("SUCCESS"), "x") == {}


# again

CLEAN = {
    "state_info": None,
    "run": 3,
    "attempt": 5,
    "published": EMPTY,
    "published_global": None,
    "processed": False,
    "has_next_tasks": False,
    "next_tasks": None,
    "error_handled": False,
    "started_at": None,
    "finished_at": None,
}
KNOWN = {"triggered_by": [1], "join": {}, "base_attempt": 1, "timeout": 3, "round_attempt": 2}


def test_a_rerun_begins_anew() -> None:
    task = flow().task("b", "ERROR", attempt=4, run=2, runtime_context=dict(KNOWN))
    commands = task.renew()
    assert commands[0] == DiscardResults("t-b")
    assert changes(commands, "t-b") == {
        **CLEAN,
        "state": "IDLE",
        "runtime_context": {"triggered_by": [1], "join": {}, "base_attempt": 5},
    }
    again = flow().task("b", "ERROR").rerun()
    assert names(again)[:1] == ["DiscardResults"] and names(again)[-1] == "CreateAction"


def test_a_join_waits_again() -> None:
    task = flow().task("b", "SUCCESS", attempt=4, run=2, runtime_context=dict(KNOWN))
    assert changes(task.rearm(), "t-b") == {
        **CLEAN,
        "state": "WAITING",
        "runtime_context": {"base_attempt": 1, "join": {}, "round_attempt": 5},
    }


def test_a_state_alone() -> None:
    here = flow()
    assert changes(here.task("b", "ERROR").set_state("WAITING"), "t-b") == {
        "state": "WAITING",
        "state_info": None,
    }
    assert changes(here.task("b").set_state("IDLE", "x", True), "t-b")["processed"] is True


# questions


def test_questions() -> None:
    here = flow()
    new = here.new("b", waiting=True)
    assert new.is_waiting() and not here.new("b").is_waiting()
    assert not new.is_created() and not new.is_completed() and not new.is_state_changed()
    with pytest.raises(exc.MistralException, match="'b' has no execution yet"):
        _ = new.draft
    task = here.task("b")
    assert task.is_created() and not task.is_completed() and not task.is_state_changed()
    task.set_state("ERROR")
    assert task.is_completed() and task.is_state_changed()
    assert here.task("b", "CANCELLED").is_completed()


def test_deciding_changes_no_entity() -> None:
    here = flow()
    own = here.task_ex("a")
    here.of(own).complete("SUCCESS")
    assert (own.state, own.changed) == ("RUNNING", set())  # type: ignore[attr-defined]
