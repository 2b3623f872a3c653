"""What a reverse workflow needs, and what may start (doc:language/reverse)."""

from __future__ import annotations

import pytest

from mistral import exceptions as exc
from mistral.workflow import reverse
from mistral.workflow.entities import WorkflowExecution
from mistral.workflow.values import Bag, Values
from tests.lib.decisions import spec

DIAMOND = spec("""
type: reverse
tasks:
  end: {requires: [left, right]}
  left: {requires: [start]}
  right: {requires: [start]}
  start: {}
  other: {requires: [end]}
""")
LOST = spec("{type: reverse, tasks: {a: {requires: [lost]}}}")


def test_the_target_and_all_that_it_requires() -> None:
    assert reverse.needed(DIAMOND, "end") == {"end", "left", "right", "start"}
    assert reverse.needed(DIAMOND, "left") == {"left", "start"}


@pytest.mark.parametrize("target", [None, "none", 3])
def test_a_target_that_is_no_task(target: object) -> None:
    with pytest.raises(exc.WorkflowException, match="Invalid task name"):
        reverse.needed(DIAMOND, target)  # type: ignore[arg-type]


def test_what_is_required_and_is_no_task() -> None:
    with pytest.raises(exc.WorkflowException, match="'lost', which is required"):
        reverse.needed(LOST, "a")


@pytest.mark.parametrize(
    ("succeeded", "started", "found"),
    [
        ("", "", ["start"]),
        ("", "start", []),
        ("start", "start", ["left", "right"]),
        ("start left", "start left", ["right"]),
        ("start left", "start left right", []),
        ("start left right", "start left right", ["end"]),
        ("start left right end", "start left right end", []),
    ],
)
def test_what_may_start(succeeded: str, started: str, found: list[str]) -> None:
    assert reverse.ready(DIAMOND, "end", succeeded.split(), started.split()) == found


def test_the_target_is_a_parameter_of_the_start() -> None:
    values = Values(lambda hashes: {})
    execution = WorkflowExecution(id="e", workflow_name="w", spec_hash="h")
    assert reverse.target(execution, values) is None
    execution.params = Bag({"task_name": "end"})
    assert reverse.target(execution, values) == "end"
