"""What the log tells of workflows: a line for each change, in the order in which things happen."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from mistral.engine import state_log

if TYPE_CHECKING:
    from conftest import Site

TEXT = """
main:
  input: [name: x]
  tasks:
    a: {action: std.async_noop, on-success: b}
    b: {action: std.async_noop}
"""


def lines(caplog: pytest.LogCaptureFixture, execution_id: str) -> list[str]:
    """The lines of an execution, without its id."""
    found = [r.getMessage() for r in caplog.records if r.name == "workflow_trace"]
    return [line.replace(f" (execution_id={execution_id})", "") for line in found]


def test_what_happens_is_told_in_its_order(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "workflow_trace")
    engine = site.engine()
    execution_id = site.start(engine, TEXT)
    for task, state in (("a", "SUCCESS"), ("b", "ERROR")):
        site.until(lambda name=task: site.task(execution_id, name))  # type: ignore[misc]
        site.deliver(execution_id, state)
        site.look(engine)
        site.until(lambda name=task: site.task(execution_id, name).state != "RUNNING")  # type: ignore[misc]
    site.until(lambda: len(lines(caplog, execution_id)) == 10)
    assert lines(caplog, execution_id) == [
        "Workflow 'main' [IDLE -> RUNNING, input=name]",
        "Task 'a' [IDLE -> RUNNING]",
        "Action 'std.async_noop' of 'a' [IDLE -> RUNNING]",
        "Action 'std.async_noop' of 'a' [RUNNING -> SUCCESS]",
        "Task 'a' [RUNNING -> SUCCESS]",
        "Task 'b' [IDLE -> RUNNING]",
        "Action 'std.async_noop' of 'b' [IDLE -> RUNNING]",
        "Action 'std.async_noop' of 'b' [RUNNING -> ERROR]",
        "Task 'b' [RUNNING -> ERROR, msg=x]",
        "Workflow 'main' [RUNNING -> ERROR, msg=x]",
    ]


@pytest.mark.parametrize(("style", "count"), [(state_log.FULL, 3), (state_log.OFF, 0)])
def test_the_operator_chooses_the_style(
    site: Site, caplog: pytest.LogCaptureFixture, style: str, count: int
) -> None:
    caplog.set_level(logging.INFO, "workflow_trace")
    engine = site.engine(trace_style=style)
    execution_id = site.start(engine, TEXT)
    found = [r.getMessage() for r in caplog.records if r.name == "workflow_trace"]
    assert len(found) == count
    if found:
        task, action = site.task(execution_id, "a"), site.action(execution_id)
        where = f"(execution_id={execution_id} task_execution_id={task.id})"
        assert found[1] == f"Task 'a' [IDLE -> RUNNING] {where}"
        assert found[2] == (
            f"Action 'std.async_noop' (id={action.id}) of 'a' [IDLE -> RUNNING] {where}"
        )
