"""Actions as tasks see them: the rows that a run means (doc:rest/action_executions)."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine.actions import (
    AdHocAction,
    PythonAction,
    SubWorkflowError,
    WorkflowAction,
)
from mistral.engine.base import Scope
from mistral.workflow.commands import ActionCompleted, CreateAction, CreateExecution
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.results import Outcome
from mistral.workflow.values import Bag
from tests.lib.decisions import NOW, Flow, action, changes, child, one

TEXT = "tasks: {a: {}}"


def flow(**more: Any) -> Flow:
    given = {"workflow_namespace": "ns", "project_id": "p", "root_execution_id": "root", **more}
    found = Flow(TEXT, **given)
    found.ports.define_action("outer", "{base: inner, base-input: {x: <% $.o %>}, input: [o]}")
    found.ports.define_action(
        "inner",
        "{base: std.echo, base-input: {output: <% $.x + $.y %>}, input: [x, {y: 5}]}",
    )
    return found


def scope(here: Flow) -> Scope:
    return Scope(here.ports, here.wf_ex, lambda value, attribute: value)


def python(
    here: Flow, name: str, task_ex: TaskExecution | None = None, **more: Any
) -> PythonAction:
    found = here.ports.find_action(name)
    kind = AdHocAction if found.adhoc else PythonAction
    return kind(found, task_ex=task_ex, scope=scope(here), **more)


def made(commands: Any) -> ActionExecution:
    return one(CreateAction, commands).action


def test_the_row_of_an_action() -> None:
    here = flow()
    own = here.task_ex("a", attempt=2, tags=["x"])
    found = made(
        python(here, "std.echo", own).schedule({"output": 1}, "host", 3, "told", True, timeout=9)
    )
    assert found.__dict__ == {
        **ActionExecution(id="new-1", name="std.echo").__dict__,
        "workflow_execution_id": "wf",
        "root_execution_id": "root",
        "task_execution_id": "t-a",
        "workflow_namespace": "ns",
        "description": "told",
        "input": Bag({"output": 1}),
        "attempt": 2,
        "idx": 3,
        "runtime_context": {"index": 3, "timeout": 9},
        "tags": ["x"],
        "project_id": "p",
        "target": "host",
        "safe_rerun": True,
        "next_look_at": NOW + dt.timedelta(seconds=5),
        "created_at": NOW,
    }


def test_an_action_without_a_task() -> None:
    found = made(python(flow(), "std.echo").schedule({"output": 1}, None))
    assert found.workflow_execution_id is found.root_execution_id is found.task_execution_id is None
    assert (found.attempt, found.idx, found.tags, found.description) == (0, 0, None, "")
    assert (found.target, found.safe_rerun, found.runtime_context) == (None, False, {"index": 0})
    assert (found.is_sync, found.base_name, found.base_input) == (True, None, None)
    assert made(python(flow(), "std.async_noop").schedule({}, None)).is_sync is False


def test_an_action_whose_result_a_caller_waits_for() -> None:
    found = made(python(flow(), "std.echo").run({"output": 1}, "host", 2, "told", safe_rerun=True))
    assert (found.next_look_at, found.started_by) == (None, "caller")
    assert (found.target, found.idx, found.safe_rerun) == ("host", 2, True)
    assert found.description == "told"


def test_wrong_input_is_refused() -> None:
    for name, given in (("std.echo", {}), ("outer", {}), ("inner", {"x": 1, "z": 1})):
        with pytest.raises(exc.InputException):
            python(flow(), name).schedule(given, None)


def test_too_much_input_is_refused() -> None:
    here = flow()
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=1)
    with pytest.raises(exc.SizeLimitExceededException, match="input"):
        python(here, "std.echo").schedule({"output": "x" * 3000}, None)
    with pytest.raises(exc.SizeLimitExceededException, match="input"):
        python(here, "test.login").schedule({"user": "u", "key": "x" * 3000}, None)


def test_secrets_are_stored_apart() -> None:
    here = flow()
    found = made(python(here, "test.login").schedule({"user": "u", "key": "k"}, None))
    assert found.secrets == "sealed ['key']"
    assert here.ports.values.unpack(found.input) == {"user": "u", "key": "***"}
    assert made(python(here, "std.echo").schedule({"output": 1}, None)).secrets is None


@pytest.mark.parametrize(
    ("env", "given", "found"),
    [
        ({"__actions": {"std.echo": {"output": 7, "delay": 1}}}, {"output": 1}, [1, 1]),
        ({"__actions": {"std.echo": {"output": 7}}}, {}, [7, None]),
        ({"__actions": {"std.noop": {"output": 7}}}, {"output": 1}, [1, None]),
        ({"__actions": "none"}, {"output": 1}, [1, None]),
        ({"__actions": {"std.echo": "none"}}, {"output": 1}, [1, None]),
    ],
)
def test_defaults_of_the_environment(env: Any, given: Any, found: list[Any]) -> None:
    here = flow()
    here.ports.environment = env
    shown = made(python(here, "std.echo").schedule(given, None)).input.inline
    assert [shown.get("output"), shown.get("delay")] == found


def test_defaults_belong_to_the_name_that_the_task_gives() -> None:
    here = flow()
    here.ports.environment = {"__actions": {"short": {"output": 7}}}
    found = dataclasses.replace(here.ports.find_action("std.echo"), asked="short")
    own = PythonAction(found, scope=scope(here))
    assert made(own.schedule({}, None)).input == Bag({"output": 7})


def test_a_chain_of_ad_hoc_actions() -> None:
    here = flow()
    found = made(python(here, "outer").schedule({"o": 1}, None))
    assert (found.name, found.input) == ("outer", Bag({"o": 1}))
    assert (found.base_name, found.base_input) == ("std.echo", Bag({"output": 6}))
    inner = made(python(here, "inner").schedule({"x": 1, "y": 2}, None))
    assert inner.base_input == Bag({"output": 3})


def test_ad_hoc_actions_know_the_branch_and_not_the_input_of_the_workflow() -> None:
    here = flow(input={"i": 1})
    here.ports.define_action("looks", "{base: std.echo, base-input: {output: <% $.b %>}}")
    own = here.task_ex("a", in_context={"b": 3})
    assert made(python(here, "looks", own).schedule({}, None)).base_input == Bag({"output": 3})
    here.ports.define_action("peeks", "{base: std.echo, base-input: {output: <% $.i %>}}")
    with pytest.raises(exc.YaqlEvaluationException):
        python(here, "peeks", own).schedule({}, None)


def test_a_base_that_gets_too_much() -> None:
    here = flow()
    here.ports.define_action("wrong", "{base: std.echo, base-input: {output: 1, none: 2}}")
    with pytest.raises(exc.InputException):
        python(here, "wrong").schedule({}, None)
    here.ports.define_action("wrong2", "{base: inner, base-input: {z: 1}}")
    with pytest.raises(exc.InputException, match="name=inner"):
        python(here, "wrong2").schedule({}, None)


ACCEPTED = {"accepted": True, "processed": True, "next_look_at": None}


def test_a_result_is_accepted() -> None:
    here = flow()
    own = python(here, "std.echo", action_ex=action("x", value=1))
    assert changes(own.complete(Outcome("SUCCESS", 1)), "x") == ACCEPTED
    assert changes(own.fail("why"), "x") == ACCEPTED
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=1)
    large = python(here, "std.echo", action_ex=action("x", value="x" * 3000))
    with pytest.raises(exc.SizeLimitExceededException, match="output"):
        large.complete(Outcome("SUCCESS"))


def test_a_result_is_transformed_from_the_inside_out() -> None:
    here = flow()
    here.ports.define_action("in", "{base: std.echo, output: {n: <% $ + 1 %>}}")
    here.ports.define_action("out", "{base: in, output: <% $.n * 10 %>}")
    own = python(here, "out", action_ex=action("x", value=1))
    assert own.transformed(Outcome("SUCCESS", 1)) == Outcome("SUCCESS", 20)  # type: ignore[attr-defined]
    assert changes(own.complete(Outcome("SUCCESS", 1)), "x") == {
        **ACCEPTED,
        "output": Bag({"result": 20}),
    }
    failed = Outcome("ERROR", 1)
    assert own.transformed(failed) is failed  # type: ignore[attr-defined]
    assert changes(own.complete(failed), "x") == ACCEPTED
    plain = python(here, "inner", action_ex=action("x", value=1))
    assert changes(plain.complete(Outcome("SUCCESS", 1)), "x") == ACCEPTED
    here.ports.define_action("grows", "{base: std.echo, output: <% $ * 3000 %>}")
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=1)
    with pytest.raises(exc.SizeLimitExceededException, match="output"):
        python(here, "grows", action_ex=action("x")).complete(Outcome("SUCCESS", "x"))


# sub-workflows


def sub(here: Flow, text: str = "{input: [a, {b: 2}], tasks: {t: {}}}") -> WorkflowAction:
    here.ports.define_workflow("sub", text, workbook_name="book", tags=("y",))
    own = here.task_ex("a", attempt=2)
    return WorkflowAction(here.ports.find_workflow("sub"), task_ex=own, scope=scope(here))


def created(commands: Any) -> WorkflowExecution:
    return one(CreateExecution, commands).execution


def test_the_row_of_a_sub_workflow() -> None:
    here = flow(depth=4, params={"notify": [1], "dry_run": True, "namespace": "above", "other": 1})
    here.ports.environment = {"k": 1}
    found = created(sub(here).schedule({"a": 1, "free": 3}, None, 5))
    assert found.__dict__ == {
        **WorkflowExecution(id="new-1", workflow_name="sub", spec_hash="hash").__dict__,
        "workflow_id": "w-id",
        "workflow_namespace": "ns",
        "workbook_name": "book",
        "project_id": "p",
        "description": "sub-workflow execution",
        "tags": ["y"],
        "input": Bag({"a": 1, "b": 2}),
        "params": Bag(
            {
                "free": 3,
                "env": {"k": 1},
                "notify": [1],
                "dry_run": True,
                "namespace": "above",
                "index": 5,
                "root_execution_id": "root",
                "task_execution_id": "t-a",
            }
        ),
        "root_execution_id": "root",
        "parent_execution_id": "wf",
        "task_execution_id": "t-a",
        "task_attempt": 2,
        "idx": 5,
        "depth": 5,
        "next_look_at": NOW + dt.timedelta(seconds=5),
        "created_at": NOW,
        "updated_at": NOW,
    }
    given = created(sub(flow(depth=None)).schedule({"a": 1, "b": 3, "env": {"own": 1}}, None))
    assert given.input == Bag({"a": 1, "b": 3})
    assert (given.params.inline["env"], given.params.inline["namespace"]) == ({"own": 1}, "")
    assert (given.depth, given.idx, "notify" in given.params) == (1, 0, False)


def test_a_sub_workflow_that_can_not_be_started() -> None:
    with pytest.raises(SubWorkflowError, match=r"\[workflow=sub, missing=\['a'\]\]"):
        sub(flow()).schedule({"b": 1}, None)
    here = flow(depth=100)
    with pytest.raises(exc.BoundExceededException, match="depth_limit"):
        sub(here).schedule({"a": 1}, None)
    here = flow()
    here.ports.executions = 20_001
    with pytest.raises(exc.BoundExceededException, match="executions_limit"):
        sub(here).schedule({"a": 1}, None)
    here = flow()
    here.ports.limits = dataclasses.replace(here.ports.limits, field_size_kb=1)
    with pytest.raises(exc.SizeLimitExceededException, match="input"):
        sub(here).schedule({"a": "x" * 3000}, None)


def test_the_end_of_a_sub_workflow_is_one_for_its_task() -> None:
    here = flow()
    ended = child("c")
    own = WorkflowAction(None, ended, here.task_ex("a"), scope(here))
    assert own.complete(Outcome("SUCCESS")) == [ActionCompleted("t-a", ended)]
    assert own.is_sync({}) is False


def test_objects_that_were_built_without_something() -> None:
    here = flow()
    with pytest.raises(exc.MistralException, match="without surroundings"):
        _ = PythonAction(here.ports.find_action("std.echo")).scope
    here.ports.define_workflow("sub")
    bare = WorkflowAction(here.ports.find_workflow("sub"), scope=scope(here))
    with pytest.raises(exc.MistralException, match="needs a task"):
        bare.schedule({}, None)
    with pytest.raises(exc.MistralException, match="needs a task"):
        bare.complete(Outcome("SUCCESS"))
