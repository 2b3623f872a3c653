"""Rollbacks of parents with sub-workflows, from start to end (doc:language/rollback)."""

from __future__ import annotations

from tests.lib.stories import Story

PARENT = "tasks: {s: {workflow: sub, on-success: [after]}, after: {}}"
UNDO = """
tasks: {x: {rollback: std.noop, on-success: [y]}, y: {rollback: std.noop}}
"""


def test_a_rollback_undoes_sub_workflows() -> None:
    story = Story(PARENT, subs={"sub": UNDO})
    for name in ("x", "y", "after"):
        story.done(name)
    story.roll_back()
    assert story.asked() == ["y"]
    story.done("y")
    story.done("x")
    assert (story.execution.state, story.child("s").state) == ("CANCELLED", "CANCELLED")
    assert story.execution.state_info == "Rolled back: s."
    assert story.child("s").state_info == "Rolled back: y, x."


def test_a_rollback_that_failed_below_is_begun_again() -> None:
    story = Story(PARENT, subs={"sub": UNDO})
    for name in ("x", "y", "after"):
        story.done(name)
    story.roll_back()
    story.failed("y", "why")
    assert (story.execution.state, story.child("s").state) == ("ERROR", "ERROR")
    failed = story.compensation("s")
    assert (failed.state, failed.attempt) == ("ERROR", 0)
    assert "why" in (failed.state_info or "")
    story.roll_back()
    again = story.compensation("s")
    assert (again.state, again.attempt) == ("RUNNING", 1)
    assert (again.state_info, again.finished_at) == (None, None)
    story.done("y")
    story.done("x")
    assert story.execution.state_info == "Rolled back: s."


def test_an_answer_that_comes_after_a_rollback_was_stopped() -> None:
    story = Story(PARENT, subs={"sub": UNDO})
    for name in ("x", "y", "after"):
        story.done(name)
    story.roll_back()
    story.holds_news = True
    story.failed("y", "why")
    story.stop("ERROR", "wait")
    assert [event.kind for event in story.news()] == ["child-rolled-back"]
    story.hear()
    assert (story.compensation("s").state, story.execution.state_info) == ("ERROR", "wait")
