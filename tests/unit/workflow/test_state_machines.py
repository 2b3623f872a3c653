"""The tables of states: complete, documented, and the only way to change a state."""

from __future__ import annotations

import ast
import enum
import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from mistral.workflow import states
from mistral.workflow.commands import UpdateAction, UpdateExecution, UpdateTask
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.state_machines import (
    ACTION,
    ACTION_ENDS,
    TASK,
    TASK_ENDS,
    WORKFLOW,
    WORKFLOW_ENDS,
    ActionEvent,
    StateMachine,
    TaskEvent,
    UnknownTransitionError,
    WorkflowEvent,
)

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "doc" / "source" / "language" / "states.rst"
MACHINES: list[StateMachine[Any]] = [WORKFLOW, TASK, ACTION]
EVENTS: dict[str, type[enum.Enum]] = {
    "workflow": WorkflowEvent,
    "task": TaskEvent,
    "action": ActionEvent,
}
HAVE = {
    "workflow": states.COMPLETED - {"SKIPPED"} | {"IDLE", "RUNNING", "PAUSED"},
    "task": states.COMPLETED | states.UNFINISHED,
    "action": states.COMPLETED - {"SKIPPED"} | {"RUNNING", "PAUSED"},
}
AFTER_THE_END = {
    "workflow": {"RUN_AGAIN", "ROLL_BACK"},
    "task": {"RERUN", "REOPEN", "WAIT_AGAIN", "RUN_AGAIN", "TAKE_TURN"},
    "action": set[str](),
}
"""Events that let something go on which has ended before."""

PART_OF_THE_END = {
    "workflow": set[str](),
    "task": {"WAIT_AFTER", "FAIL_ON", "RETRY", "RETRY_JOIN", "BREAK"},
    "action": {"SPOIL"},
}
"""Events that come in the decision which ends something, or before anybody has gone on from it."""


def _name(machine: StateMachine[Any]) -> str:
    return machine.kind


@pytest.fixture(params=MACHINES, ids=_name)
def machine(request: pytest.FixtureRequest) -> StateMachine[Any]:
    found: StateMachine[Any] = request.param
    return found


def _documented() -> dict[str, dict[str, tuple[set[str], str]]]:
    """Of each kind of execution: what happens, from which states, to which."""
    text = PAGE.read_text(encoding="utf-8").partition("What changes a state\n")[2]
    found: dict[str, dict[str, tuple[set[str], str]]] = {}
    row = re.compile(r"^   \* - (.+)\n     - (.+)\n     - ``([A-Z]+)``$", re.M)
    for kind in ("Workflow", "Task", "Action"):
        section = text.partition(f"\n{kind}s\n---")[2].partition("\n\n\n")[0]
        section = re.split(r"\n(?:Tasks|Actions|When a workflow ends)\n[-=]", section)[0]
        found[kind.lower()] = {
            what: (set(re.findall("``([A-Z]+)``", sources)), target)
            for what, sources, target in row.findall(section)
        }
    return found


def test_the_documentation_has_the_same_tables(machine: StateMachine[Any]) -> None:
    documented = _documented()[machine.kind]
    assert documented == {
        event.value: (set() if len(sources) == 9 else set(sources), after)
        for event, (sources, after) in machine.rows.items()
    }


def test_the_documentation_says_who_has_which_state(machine: StateMachine[Any]) -> None:
    place = MACHINES.index(machine)
    columns = ((14, 22), (23, 27), (28, 34))[place]
    text = PAGE.read_text(encoding="utf-8")
    rows = [line for line in text.partition("Which changes")[0].splitlines() if line[:2] == "``"]
    having = {line.split("``")[1] for line in rows if "yes" in line[slice(*columns)]}
    assert having == HAVE[machine.kind]


def test_each_event_has_a_row(machine: StateMachine[Any]) -> None:
    assert set(machine.rows) == set(EVENTS[machine.kind])


def test_every_state_is_reached_and_no_other(machine: StateMachine[Any]) -> None:
    reached = set(machine.initial)
    todo = list(reached)
    while todo:
        state = todo.pop()
        for (before, _), after in machine.table.items():
            if before == state and after not in reached:
                reached.add(after)
                todo.append(after)
    assert reached == HAVE[machine.kind]
    assert {before for before, _ in machine.table} <= reached


def test_what_has_ended_stays_so_unless_it_is_told_to_go_on(machine: StateMachine[Any]) -> None:
    leaving = {e.name for (state, e), _ in machine.table.items() if state in states.COMPLETED}
    assert leaving == AFTER_THE_END[machine.kind] | PART_OF_THE_END[machine.kind]


def test_skipped_and_succeeded_tasks_are_not_run_again() -> None:
    for state in ("SUCCESS", "SKIPPED"):
        for event in (TaskEvent.RERUN, TaskEvent.REOPEN, TaskEvent.RUN_AGAIN):
            assert (state, event) not in TASK.table
    assert ("SUCCESS", WorkflowEvent.RUN_AGAIN) not in WORKFLOW.table


def test_what_has_not_ended_can_always_be_ended(machine: StateMachine[Any]) -> None:
    ends: dict[str, Any] = {"workflow": WORKFLOW_ENDS, "task": TASK_ENDS, "action": ACTION_ENDS}
    for state in HAVE[machine.kind] & states.UNFINISHED:
        for end in ("ERROR", "CANCELLED"):
            assert machine.after(state, ends[machine.kind][end]) == end
    assert all(machine.target(event) == end for end, event in ends[machine.kind].items())


def test_what_commands_may_ask_for_is_possible() -> None:
    """Each change of the table for commands is one event, or two of one decision."""
    possible = {(s, s) for s in HAVE["task"]}
    for machine in MACHINES:
        steps = {(before, after) for (before, _), after in machine.table.items()}
        possible |= steps | {(a, d) for (a, b), (c, d) in itertools.product(steps, steps) if b == c}
    asked = {(old, new) for old, found in states.TRANSITIONS.items() for new in found}
    assert asked <= possible


def test_a_change_that_the_table_does_not_know_is_a_fault() -> None:
    task_ex = TaskExecution(id="t", name="a", workflow_execution_id="w", state="SUCCESS")
    with pytest.raises(UnknownTransitionError, match="No task execution has an event SKIP in SUCC"):
        UpdateTask("t", {"state_info": "x"}, TaskEvent.SKIP).apply_to(task_ex)
    assert (task_ex.state, task_ex.state_info) == ("SUCCESS", None)
    wf_ex = WorkflowExecution(id="w", workflow_name="w", spec_hash="h", state="SUCCESS")
    with pytest.raises(UnknownTransitionError, match="No workflow execution has an event PAUSE"):
        UpdateExecution(event=WorkflowEvent.PAUSE).apply_to(wf_ex)
    action_ex = ActionExecution(id="a", name="n", state="CANCELLED")
    with pytest.raises(UnknownTransitionError, match="No action execution has an event SUCCEED"):
        UpdateAction("a", event=ActionEvent.SUCCEED).apply_to(action_ex)


def test_commands_change_a_state_by_an_event_alone() -> None:
    for build in (UpdateTask, UpdateAction):
        with pytest.raises(TypeError, match="the state changes by an event"):
            build("id", {"state": "ERROR"})
    with pytest.raises(TypeError, match="the state changes by an event"):
        UpdateExecution({"state": "ERROR"})


def test_nobody_writes_a_state_past_the_tables() -> None:
    found = []
    for path in sorted((ROOT / "mistral").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets = node.targets if isinstance(node, ast.Assign) else []
            names = [t for target in targets for t in ast.walk(target)]
            found += [
                str(path.relative_to(ROOT / "mistral"))
                for name in names
                if isinstance(name, ast.Attribute) and name.attr == "state"
            ]
    # the three methods ``move``
    assert [name for name in found if name != "workflow/entities.py"] == []
    assert found.count("workflow/entities.py") == 3
