"""Reruns and skips in sub-workflows that no parent waits for: refused, and nothing changes."""

from __future__ import annotations

import pytest

from tests.lib.flows import Execution, Flows

CHILD = """
child:
  tasks:
    x: {action: std.async_noop, on-success: after}
    after: {action: std.noop}
"""

COMMANDS = {
    "rerun": {"state": "RUNNING", "reset": True},
    "skip": {"state": "SKIPPED"},
}

command = pytest.mark.parametrize("command", list(COMMANDS))


def child_of(run: Execution, task: str, index: int = 0) -> Execution:
    """A sub-execution, once it is there."""
    found = run.until(lambda: sorted(c.id for c in run.children(task))[index:], "a child")
    return Execution(run.flows, found[0])


def refused(child: Execution, command: str, *relatives: Execution) -> str:
    """The text of the refusal of a command for a failed task; nothing changes anywhere."""

    def picture() -> list[object]:
        return [(e.row, e.tasks(), e.actions("x")) for e in (child, *relatives)]

    before = picture()
    status, document = child.put_task("x", **COMMANDS[command])
    assert status == 400, document
    assert picture() == before
    return str(document["faultstring"])


@command
def test_below_a_parent_that_ended_in_success(flows: Flows, command: str) -> None:
    run = flows.launch(f"""
{CHILD}
main:
  tasks:
    p: {{workflow: child, on-error: handler}}
    handler: {{action: std.noop}}
""")
    child = child_of(run, "p")
    child.finish("x", "no", "ERROR")
    run.wait()
    text = refused(child, command, run)
    assert f"the parent has ended in SUCCESS [execution_id={run.id}]" in text


@command
def test_below_a_grandparent_that_ended_in_success(flows: Flows, command: str) -> None:
    run = flows.launch(f"""
{CHILD}
middle:
  tasks:
    q: {{workflow: child}}
main:
  tasks:
    p: {{workflow: middle, on-error: noop}}
""")
    middle = child_of(run, "p")
    child = child_of(middle, "q")
    child.finish("x", "no", "ERROR")
    run.wait()
    assert middle.state == "ERROR"
    assert "ended in SUCCESS" in refused(child, command, middle, run)


@command
def test_below_a_task_that_was_skipped(flows: Flows, command: str) -> None:
    run = flows.launch(f"""
{CHILD}
main:
  tasks:
    p: {{workflow: child}}
    other: {{action: std.fail}}
""")
    child = child_of(run, "p")
    child.finish("x", "no", "ERROR")
    run.wait("ERROR")
    assert run.put_task("p", state="SKIPPED")[0] == 200
    run.wait_task("p", "SKIPPED")
    run.wait("ERROR")
    assert "the parent's task has ended in SKIPPED" in refused(child, command, run)


@command
def test_below_a_task_that_runs_again_with_another_child(flows: Flows, command: str) -> None:
    run = flows.launch(f"""
{CHILD}
main:
  tasks:
    p: {{workflow: child}}
""")
    old = child_of(run, "p")
    old.finish("x", "no", "ERROR")
    run.wait("ERROR")
    assert run.put_task("p", state="RUNNING", reset=True)[0] == 200
    new = child_of(run, "p", 1)
    new.wait_actions("x")
    assert "has been run again without it" in refused(old, command, run, new)
    new.finish("x", "no", "ERROR")
    run.wait("ERROR")
    assert "has been run again without it" in refused(old, command, run, new)
    assert new.put_task("x", state="RUNNING", reset=True)[0] == 200
    run.until(lambda: run.state == "RUNNING", "the parent hears of it")
    new.finish("x")
    run.wait()


@command
def test_below_a_task_that_is_retried_with_another_child(flows: Flows, command: str) -> None:
    run = flows.launch(f"""
{CHILD}
main:
  tasks:
    p: {{workflow: child, retry: {{count: 1, delay: 3600}}}}
""")
    child = child_of(run, "p")
    child.finish("x", "no", "ERROR")
    run.wait_task("p", "DELAYED")
    assert "has been run again without it" in refused(child, command, run)


@command
def test_below_items_of_which_others_were_run_again(flows: Flows, command: str) -> None:
    run = flows.launch(f"""
{CHILD}
main:
  tasks:
    p: {{with-items: "i in [1, 2]", workflow: child}}
""")
    old = [child_of(run, "p", n) for n in range(2)]
    old[0].finish("x")
    old[1].finish("x", "no", "ERROR")
    run.wait("ERROR")
    assert run.put_task("p", state="RUNNING", reset=False)[0] == 200
    new = child_of(run, "p", 2)
    new.wait_actions("x")
    refused(old[1], command, run, new)
    new.finish("x")
    run.wait()


@command
def test_below_a_parent_that_was_stopped_in_success_while_it_runs(
    flows: Flows, command: str
) -> None:
    run = flows.launch("""
child:
  tasks:
    x: {action: std.async_noop}
    y: {action: std.async_noop}
main:
  tasks:
    p: {workflow: child}
""")
    child = child_of(run, "p")
    child.finish("x", "no", "ERROR")
    child.wait_task("x", "ERROR")
    assert run.put(state="SUCCESS")[0] == 200
    refused(child, command, run)
    assert child.state == "RUNNING"


@command
def test_all_parents_of_what_may_run_again_do(flows: Flows, command: str) -> None:
    run = flows.launch(f"""
{CHILD}
middle:
  tasks:
    q: {{workflow: child}}
main:
  tasks:
    p: {{workflow: middle, on-error: handler, on-success: last}}
    handler: {{action: std.async_noop}}
    last: {{action: std.noop}}
""")
    middle = child_of(run, "p")
    child = child_of(middle, "q")
    child.finish("x", "no", "ERROR")
    run.wait_actions("handler")
    assert child.put_task("x", **COMMANDS[command])[0] == 200
    run.wait_task("p", "RUNNING" if command == "rerun" else "SUCCESS")
    if command == "rerun":
        child.finish("x")
    run.finish("handler")
    run.wait()
    assert [middle.state, child.state] == ["SUCCESS", "SUCCESS"]
    assert run.names() == ["handler", "last", "p"]
