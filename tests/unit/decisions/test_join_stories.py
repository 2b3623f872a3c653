"""Executions with joins from start to end (doc:language/joins)."""

from __future__ import annotations

from tests.lib.stories import Story

JOIN = """
tasks:
  a: {on-success: [j]}
  b: {on-success: [j]}
  j: {join: all, on-success: [last], on-error: [rescue]}
  last: {}
  rescue: {}
"""
ONE = JOIN.replace("all", "1")


def test_a_join_waits_for_all() -> None:
    story = Story(JOIN)
    story.done("a")
    assert story.states() == {"a": "SUCCESS", "b": "RUNNING", "j": "WAITING"}
    story.done("b")
    assert story.asked() == ["j"]
    triggers = story.task("j").runtime_context["triggered_by"]
    assert sorted(t["task_id"] for t in triggers) == [story.task("a").id, story.task("b").id]
    story.done("j")
    story.done("last")
    assert story.execution.state == "SUCCESS"


def test_a_join_fails_with_a_branch() -> None:
    story = Story(JOIN)
    story.done("a")
    story.failed("b")
    assert story.task("j").state == "ERROR"
    assert story.task("j").state_info == "Failed by tasks: ['b'] (b failed)"
    assert story.asked() == ["rescue"]


def test_a_branch_that_failed_before_the_join_existed() -> None:
    story = Story(JOIN)
    story.failed("b")
    assert "j" not in story.states()
    story.done("a")
    assert story.task("j").state == "ERROR"


def test_one_branch_is_enough() -> None:
    story = Story(ONE)
    story.failed("b")
    story.done("a")
    assert story.asked() == ["j"]
    other = Story(ONE)
    other.done("a")
    assert other.asked() == ["b", "j"]


def test_what_lies_between_an_edge_not_taken_and_a_join() -> None:
    story = Story("""
    tasks:
      a: {on-success: [{m: <% task().result %>}, n]}
      b: {on-success: [j]}
      m: {on-success: [j]}
      n: {}
      j: {join: all, on-error: [rescue]}
      rescue: {}
    """)
    story.done("b")
    story.done("a", False)
    assert story.task("j").state == "ERROR"
    assert story.task("j").state_info == "Failed by tasks: ['m'] (m never ran)"
    assert sorted(story.asked()) == ["n", "rescue"]


def test_a_join_waits_for_one_that_its_lost_branch_sets_going_again() -> None:
    story = Story("""
    tasks:
      a: {on-success: [j1]}
      b: {on-success: [j2, j1], on-error: [noop]}
      j1: {join: all, on-success: [m], on-error: [noop]}
      m: {on-success: [j2]}
      j2: {join: all}
      other: {}
    """)
    story.failed("b")
    story.done("a")
    assert story.states()["j1"] == "ERROR"
    story.rerun("b")
    story.done("b")
    assert (story.states()["j2"], story.asked()) == ("WAITING", ["other", "j1"])
    story.done("j1")
    story.done("m")
    assert story.asked() == ["other", "j2"]


def test_a_join_fails_with_one_that_stays_failed_although_it_is_chosen() -> None:
    story = Story("""
    tasks:
      a: {on-success: [j1]}
      b: {on-success: [j1], on-error: [noop]}
      c: {on-success: [j2, j1]}
      j1: {join: all, on-success: [m], on-error: [noop]}
      m: {on-success: [j2]}
      j2: {join: all}
      other: {}
    """)
    story.failed("b")
    story.done("a")
    story.done("c")
    assert story.task("j2").state_info == "Failed by tasks: ['m'] (m never ran)"
    assert story.asked() == ["other"]


def test_a_join_in_a_loop_runs_again() -> None:
    story = Story("""
    tasks:
      start: {on-success: [fork]}
      fork: {on-success: [a, b]}
      a: {on-success: [j]}
      b: {on-success: [j]}
      j: {join: all, on-success: [{fork: <% task().result = true %>}]}
    """)
    story.done("start")
    for again in (True, False):
        for name in ("fork", "a", "b"):
            story.done(name)
        assert story.asked() == ["j"]
        story.done("j", again)
    assert story.execution.state == "SUCCESS"
    assert len(story.tasks("j")) == 1 and len(story.tasks("fork")) == 2
    assert (story.task("j").attempt, story.task("j").run) == (1, 1)


def test_an_inbound_task_that_is_run_again() -> None:
    story = Story(JOIN.replace(", on-error: [rescue]", "").replace("  rescue: {}", ""))
    story.failed("b")
    story.done("a")
    assert (story.execution.state, story.task("j").state) == ("ERROR", "ERROR")
    story.rerun("b")
    assert (story.execution.state, story.asked()) == ("RUNNING", ["b"])
    story.done("b")
    assert story.asked() == ["j"]


def test_a_join_that_is_skipped_or_run_without_its_branches() -> None:
    story = Story(JOIN.replace(", on-error: [rescue]", "").replace("  rescue: {}", ""))
    story.failed("b")
    story.done("a")
    story.skip("j")
    assert (story.task("j").state, story.asked()) == ("SKIPPED", ["last"])
    other = Story(JOIN.replace(", on-error: [rescue]", "").replace("  rescue: {}", ""))
    other.failed("b")
    other.done("a")
    other.rerun("j")
    assert (other.task("j").state, other.asked()) == ("RUNNING", ["j"])
