"""Decisions answer with commands; the interpreter alone changes rows (law 3)."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral.engine import dispatcher
from mistral.workflow import commands as c
from tests.lib.decisions import Flow

ENGINE = Path(dispatcher.__file__).parent
DECIDING = [
    *("action_handler", "task_handler", "workflow_handler", "joins/handler", "joins/reachability"),
    *("rollback/handler", "rollback/plan", "workflows", "tasks", "task_lifecycle", "actions"),
    *("policies", "execution_events", "workflow_output"),
]
ENTITIES = ("wf_ex", "task_ex", "action_ex", "compensation", "undone", "child", "execution")


def _all(kind: type[c.Command]) -> Iterator[type[c.Command]]:
    for below in kind.__subclasses__():
        if not below.__name__.startswith("_"):
            yield below
        yield from _all(below)


def test_each_command_has_an_answer_of_its_type() -> None:
    assert set(_all(c.Command)) == set(dispatcher._ANSWERS)
    for kind, answer in dispatcher._ANSWERS.items():
        assert typing.get_type_hints(answer)["command"] is kind


def _changed(tree: ast.AST) -> Iterator[str]:
    """Entities of which a module sets an attribute, or that it lets change."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield ast.unparse(node.value)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in ("apply", "move"):
                yield ast.unparse(node.func.value)
            elif node.func.attr == "apply_to":
                yield from map(ast.unparse, node.args)


@pytest.mark.parametrize("name", DECIDING)
def test_no_decision_changes_a_row(name: str) -> None:
    tree = ast.parse((ENGINE / f"{name}.py").read_text(encoding="utf-8"))
    changed = {what for what in _changed(tree) if what.rpartition(".")[2] in ENTITIES}
    # an object of the domain has a draft of its own
    assert changed <= ({"self.wf_ex"} if name == "task_lifecycle" else set())


def test_what_looks_for_changes_finds_them() -> None:
    text = "unit.wf_ex.command_number = 1\naction_ex.apply({})\nx.apply_to(task_ex)\nself.x = 1"
    assert set(_changed(ast.parse(text))) == {"unit.wf_ex", "action_ex", "task_ex", "self"}


def test_a_workflow_decides_on_a_draft() -> None:
    here = Flow("tasks: {a: {}}")
    here.workflow().pause("why", 3)
    assert (here.wf_ex.state, here.wf_ex.changed) == ("RUNNING", set())  # type: ignore[attr-defined]
