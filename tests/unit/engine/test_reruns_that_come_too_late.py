"""A parent changes between the check of a rerun below it and the news of that: it decides."""

from __future__ import annotations

from typing import Any

import pytest

TEXT = """
main:
  tasks:
    p: {workflow: middle, on-error: handler}
    handler: {action: std.async_noop}
middle:
  tasks:
    q: {workflow: child}
child:
  tasks:
    x: {action: std.async_noop}
"""


@pytest.fixture
def failed(site: Any) -> tuple[str, str, str]:
    """Root, middle and child, the two latter in ERROR; the root handles that."""
    engine = site.engine()
    root = site.start(engine, TEXT)
    site.until(lambda: site.read(lambda s: s.children_in(root, ["RUNNING"])), "the middle runs")
    middle = site.child(root)
    site.until(lambda: site.read(lambda s: s.children_in(middle, ["RUNNING"])), "the child runs")
    child = site.child(middle)
    site.wait_order(child)
    site.deliver(child, "ERROR")
    engine.action_delivered(site.action(child).id, child)
    site.wait(middle, "ERROR")
    site.wait_order(root)
    return root, middle, child


def test_who_ran_again_is_cancelled_with_all_below(site: Any, failed: tuple[str, str, str]) -> None:
    root, middle, child = failed
    deaf = site.engine(is_deaf=True)
    deaf.rerun_workflow(site.task(child, "x").id)
    assert site.execution(child).state == "RUNNING"
    site.deliver(root)
    deaf.action_delivered(site.action(root).id, root)
    site.wait(root, "SUCCESS")

    engine = site.engines[0]
    site.look(engine)
    for execution_id in (middle, child):
        found = site.wait(execution_id, "CANCELLED")
        assert found.state_info == (
            "The rerun or skip came too late: the parent has ended in SUCCESS "
            f"[execution_id={root}]"
        )
    assert site.execution(root).state == "SUCCESS"
    assert site.task(root, "p").state == "ERROR"


def test_who_is_replaced_meanwhile_is_cancelled(site: Any, failed: tuple[str, str, str]) -> None:
    root, middle, child = failed
    deaf = site.engine(is_deaf=True)
    deaf.rerun_workflow(site.task(child, "x").id)
    deaf.rerun_workflow(site.task(middle, "q").id)

    site.look(site.engines[0])
    found = site.wait(child, "CANCELLED")
    assert "the parent's task has been run again without it [task=q" in found.state_info
    assert site.task(middle, "q").state == "RUNNING"
    site.wait(root, "RUNNING")
