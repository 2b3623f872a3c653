"""Parents and sub-workflows: what they tell each other, in whatever order it arrives."""

from __future__ import annotations

import pytest

from mistral.engine.inbox import decisions
from mistral.engine.mail.executions import EventDue
from mistral.workflow.entities import WorkflowExecution
from tests.lib.stories import Story

PARENT = "tasks: {s: {workflow: sub, on-success: [after]}, after: {}}"
CHILD = "tasks: {x: {on-success: [y]}, y: {}}"
JOIN = """
tasks:
  s: {workflow: sub, HOW: [j]}
  b: {on-success: [j]}
  j: {join: all, on-success: [last]}
  last: {}
"""


def family(parent: str = PARENT, child: str = CHILD) -> Story:
    return Story(parent, subs={"sub": child})


def states_of(story: Story) -> tuple[str, str, str]:
    """The states of the parent, of its task, and of the sub-workflow."""
    return story.execution.state, story.task("s").state, story.child("s").state


# the end


def test_a_parent_goes_on_behind_its_sub_workflow() -> None:
    story = family()
    assert story.asked() == ["x"]
    story.done("x")
    story.done("y")
    assert states_of(story) == ("RUNNING", "SUCCESS", "SUCCESS")
    story.done("after")
    assert (story.execution.state, story.news()) == ("SUCCESS", [])


def test_a_sub_workflow_that_runs_again_takes_its_parent_along() -> None:
    story = family()
    story.failed("x", "why")
    assert states_of(story) == ("ERROR", "ERROR", "ERROR")
    story.rerun("x")
    assert states_of(story) == ("RUNNING", "RUNNING", "RUNNING")
    assert story.task("s").state_info is None
    story.done("x")
    story.done("y")
    assert story.states() == {"s": "SUCCESS", "x": "SUCCESS", "y": "SUCCESS", "after": "RUNNING"}


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_news_of_a_sub_workflow_that_arrive_in_the_wrong_order(fails: int) -> None:
    story = family()
    story.failed("x")
    story.holds_news = True
    for again in range(fails + 1):
        story.rerun("x")
        if again < fails:
            story.failed("x")
    story.done("x")
    story.done("y")
    waiting = story.news()
    assert [e.kind for e in waiting] == ["child-running", "child-finished"] * (fails + 1)
    story.holds_news = False
    # the last comes first: all that was told before it counts before it
    for event in reversed(waiting):
        story.decide(EventDue(event.id).decide, event.execution_id)
    assert (story.task("s").state, story.asked()) == ("SUCCESS", ["after"])
    assert len(story.tasks("after")) == 1
    assert story.news() == []
    story.done("after")
    assert (story.execution.state, story.execution.unhandled_errors) == ("SUCCESS", 0)


def test_a_sub_workflow_that_runs_again_before_its_end_was_heard() -> None:
    story = family()
    story.holds_news = True
    story.failed("x")
    story.rerun("x")
    story.hear("child-finished")
    assert states_of(story) == ("ERROR", "ERROR", "RUNNING")
    story.hear("child-running")
    assert states_of(story) == ("RUNNING", "RUNNING", "RUNNING")


def test_a_task_whose_sub_workflow_runs_again_forgets_its_end() -> None:
    story = family("tasks: {s: {workflow: sub, on-error: [after]}, after: {}}")
    story.failed("x")
    assert (story.task("s").error_handled, story.asked()) == (True, ["after"])
    story.rerun("x")
    task = story.task("s")
    assert (task.state, task.processed, task.error_handled) == ("RUNNING", False, False)
    assert (task.has_next_tasks, task.next_tasks, task.finished_at) == (False, None, None)


def test_an_end_does_not_wait_for_pauses_that_were_told_before() -> None:
    story = family()
    child = story.child("s").id
    story.failed("x")
    story.holds_news = True
    story.rerun("x")
    story.pause(child)
    story.resume(child)
    story.done("x")
    story.done("y")
    story.hear("child-finished")
    assert (story.task("s").state, story.asked()) == ("SUCCESS", ["after"])
    assert [event.kind for event in story.news()] == ["child-paused", "child-resumed"]
    story.hear()
    assert (story.execution.state, story.asked()) == ("RUNNING", ["after"])


def test_a_sub_workflow_that_is_deleted_before_its_end_was_heard() -> None:
    story = family()
    child = story.child("s").id
    story.holds_news = True
    story.done("x")
    story.done("y")
    story.database.write(lambda conn: conn.delete(WorkflowExecution, [child]))
    story.hear()
    assert (story.execution.state, story.task("s").state) == ("ERROR", "ERROR")
    deleted = f"The sub-workflow execution was deleted [execution_id={child}]"
    assert deleted in (story.execution.state_info or "")


def test_news_that_can_not_be_handled_end_the_task_that_waits_for_them() -> None:
    story = family()
    story.holds_news = True
    story.failed("x")
    (event,) = story.news()
    story.decide(lambda unit: decisions.give_up(unit, EventDue(event.id), "why"))
    assert states_of(story)[:2] == ("ERROR", "ERROR")
    cause = f"An event could not be handled [kind=event, id={event.id}, cause=why]"
    assert story.task("s").state_info == cause
    assert story.execution.state_info == cause
    assert story.news() == []
    # once more: it has been dealt with
    story.decide(lambda unit: decisions.give_up(unit, EventDue(event.id), "again"))
    assert story.task("s").state_info == cause


# pauses


def test_a_pause_spreads_to_a_sub_workflow_and_a_resume_too() -> None:
    story = family()
    story.pause()
    assert states_of(story) == ("PAUSED", "PAUSED", "PAUSED")
    story.done("x")
    assert story.asked() == []
    story.resume()
    assert states_of(story) == ("RUNNING", "RUNNING", "RUNNING")
    assert story.asked() == ["y"]


def test_a_pause_spreads_to_the_parent_and_a_resume_too() -> None:
    story = family()
    child = story.child("s").id
    story.pause(child)
    assert states_of(story) == ("PAUSED", "PAUSED", "PAUSED")
    story.resume(child)
    assert states_of(story) == ("RUNNING", "RUNNING", "RUNNING")
    story.done("x")
    assert story.asked() == ["y"]


def test_an_older_pause_does_not_undo_a_newer_resume() -> None:
    story = family()
    story.holds_news = True
    story.pause()
    story.resume()
    story.hear("resume")
    story.hear("pause")
    assert states_of(story) == ("RUNNING", "RUNNING", "RUNNING")


def test_an_older_resume_does_not_undo_a_newer_pause() -> None:
    story = family()
    story.pause()
    story.holds_news = True
    story.resume()
    story.pause()
    story.hear("pause")
    story.hear("resume")
    assert states_of(story) == ("PAUSED", "PAUSED", "PAUSED")


def test_an_older_pause_below_does_not_undo_a_newer_resume() -> None:
    story = family()
    child = story.child("s").id
    story.holds_news = True
    story.pause(child)
    story.resume(child)
    story.hear("child-resumed")
    story.hear("child-paused")
    assert states_of(story) == ("RUNNING", "RUNNING", "RUNNING")


def test_an_older_resume_below_does_not_undo_a_newer_pause() -> None:
    story = family()
    child = story.child("s").id
    story.pause(child)
    story.holds_news = True
    story.resume(child)
    story.resume()
    story.pause()
    story.hear("child-resumed")
    assert states_of(story)[:2] == ("PAUSED", "PAUSED")
    story.hear()
    assert states_of(story) == ("PAUSED", "PAUSED", "PAUSED")


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_what_reaches_a_sub_workflow_after_its_end_changes_nothing(verb: str) -> None:
    story = family("tasks: {s: {workflow: sub, on-success: [after]}, after: {}, b: {}}")
    story.holds_news = True
    if verb == "pause":
        story.pause()
    else:
        story.stop("CANCELLED", "enough")
    story.done("x")
    story.done("y")
    story.hear(verb)
    assert (story.child("s").state, story.child("s").state_info) == ("SUCCESS", None)


def test_what_reaches_a_parent_after_its_end_changes_nothing() -> None:
    story = family()
    child = story.child("s").id
    story.holds_news = True
    story.pause(child)
    story.stop("ERROR", "enough")
    story.hear("child-paused")
    assert (story.execution.state, story.execution.state_info) == ("ERROR", "enough")
    story.resume(child)
    story.hear("child-resumed")
    assert (story.execution.state, story.execution.state_info) == ("ERROR", "enough")


def test_a_parent_waits_for_all_that_is_paused_below() -> None:
    story = family("tasks: {s: {workflow: sub, with-items: 'i in [1, 2]'}}")
    first, second = (child.id for child in story.children("s"))
    story.pause()
    story.holds_news = True
    story.resume(first)
    story.hear("child-resumed")
    assert (story.execution.state, story.task("s").state) == ("PAUSED", "PAUSED")
    story.resume(second)
    story.hear("child-resumed")
    assert (story.execution.state, story.task("s").state) == ("RUNNING", "RUNNING")


def test_a_parent_waits_for_all_tasks_whose_sub_workflows_are_paused() -> None:
    story = Story(
        "tasks: {s: {workflow: sub}, t: {workflow: other}}",
        subs={"sub": CHILD, "other": "tasks: {z: {}}"},
    )
    story.pause()
    story.holds_news = True
    story.resume(story.child("s").id)
    story.hear("child-resumed")
    assert states_of(story) == ("PAUSED", "RUNNING", "RUNNING")
    assert story.task("t").state == "PAUSED"
    story.resume(story.child("t").id)
    story.hear("child-resumed")
    assert (story.execution.state, story.task("t").state) == ("RUNNING", "RUNNING")


def test_a_resume_below_is_no_matter_of_a_parent_that_has_ended() -> None:
    story = family()
    child = story.child("s").id
    story.pause(child)
    story.stop("ERROR", "enough")
    story.resume(child)
    assert states_of(story) == ("ERROR", "PAUSED", "RUNNING")
    assert story.asked() == ["x"]


def test_a_pause_is_no_matter_of_a_parent_that_is_rolled_back() -> None:
    story = family("tasks: {a: {rollback: std.noop}, s: {workflow: sub}}")
    child = story.child("s").id
    story.done("a")
    story.holds_news = True
    story.roll_back()
    story.pause(child)
    story.hear("child-paused")
    assert story.execution.state == "RUNNING"
    story.holds_news = False
    story.hear()
    story.done("a")
    assert story.execution.state == "CANCELLED"


# cancellation


def test_a_cancelled_parent_cancels_what_is_below() -> None:
    story = family()
    story.stop("CANCELLED", "enough")
    assert (story.execution.state, story.child("s").state) == ("CANCELLED", "CANCELLED")
    assert story.child("s").state_info == "enough"


def test_a_sub_workflow_that_runs_again_too_late_is_cancelled() -> None:
    story = family()
    story.failed("x")
    story.holds_news = True
    story.rerun("x")
    story.skip("s")
    story.hear()
    story.hear()
    assert story.task("s").state == "SKIPPED"
    assert story.child("s").state == "CANCELLED"
    assert "came too late" in (story.child("s").state_info or "")


# joins behind a sub-workflow


def test_a_sub_workflow_runs_again_before_a_join_exists() -> None:
    story = family(JOIN.replace("HOW", "on-success"))
    story.failed("x")
    story.rerun("x")
    assert states_of(story) == ("RUNNING", "RUNNING", "RUNNING")
    for name in ("b", "x", "y"):
        story.done(name)
    assert story.asked() == ["j"]


def test_a_join_waits_once_more_for_a_sub_workflow_that_runs_again() -> None:
    story = family(JOIN.replace("HOW", "on-complete"))
    story.failed("x")
    assert story.states()["j"] == "WAITING"
    story.rerun("x")
    story.done("b")
    assert (story.states()["j"], story.asked()) == ("WAITING", ["x"])
    story.done("x")
    story.done("y")
    assert story.asked() == ["j"]


def test_a_join_that_has_run_is_no_matter_of_a_sub_workflow_that_runs_again() -> None:
    story = family(JOIN.replace("HOW", "on-complete").replace("join: all", "join: 1"))
    story.failed("x")
    assert story.task("j").state == "RUNNING"
    story.rerun("x")
    assert story.task("j").state == "RUNNING"
    assert story.task("j").runtime.inbound == {"ready": 1}
