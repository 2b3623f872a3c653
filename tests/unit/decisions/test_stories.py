"""Executions from start to end: what runs after which event (doc:language/index)."""

from __future__ import annotations

import dataclasses

import pytest

from mistral import exceptions as exc
from mistral.workflow.bounds import Bounds
from mistral.workflow.limits import Limits
from tests.lib.stories import Story

CHAIN = """
tasks: {a: {publish: {x: <% task().result %>}, on-success: [b], on-error: [c]}, b: {}, c: {}}
"""
JOIN = """
tasks:
  a: {on-success: [j]}
  b: {on-success: [j]}
  j: {join: all, on-success: [last], on-error: [rescue]}
  last: {}
  rescue: {}
"""


def test_a_chain() -> None:
    story = Story(CHAIN)
    assert (story.execution.state, story.asked()) == ("RUNNING", ["a"])
    story.done("a", 5)
    assert story.states() == {"a": "SUCCESS", "b": "RUNNING"}
    story.done("b")
    assert (story.execution.state, story.output) == ("SUCCESS", {"x": 5})
    assert (story.execution.unfinished, story.execution.unhandled_errors) == (0, 0)


def test_an_error_that_is_handled_and_one_that_is_not() -> None:
    story = Story(CHAIN)
    story.failed("a")
    assert story.asked() == ["c"]
    assert (story.task("a").error_handled, story.execution.unhandled_errors) == (True, 0)
    story.failed("c", "why")
    assert story.execution.state == "ERROR"
    assert story.execution.unhandled_errors == 1
    assert (story.execution.state_info or "").startswith("why")


def test_a_cancelled_action() -> None:
    story = Story("tasks: {a: {}, b: {}}")
    story.done("a", state="CANCELLED")
    assert (story.execution.state, story.execution.cancelled) == ("RUNNING", 1)
    story.done("b")
    assert story.execution.state == "CANCELLED"


def test_engine_commands() -> None:
    story = Story("tasks: {a: {on-success: [b, \"fail(msg='why')\", c]}, b: {}, c: {}}")
    story.done("a")
    assert (story.execution.state, story.execution.state_info) == ("ERROR", "why")
    assert story.states() == {"a": "SUCCESS", "b": "RUNNING"}
    succeeds = Story("tasks: {a: {on-success: [succeed]}, b: {}}")
    succeeds.done("a")
    assert succeeds.execution.state == "SUCCESS"
    paused = Story("tasks: {a: {on-success: [pause, b]}, b: {}}")
    paused.done("a")
    assert (paused.execution.state, paused.asked()) == ("PAUSED", [])
    paused.resume()
    assert (paused.execution.state, paused.asked()) == ("RUNNING", ["b"])


def test_a_pause_keeps_what_follows() -> None:
    story = Story(CHAIN)
    story.pause()
    story.done("a")
    assert (story.execution.state, story.states()) == ("PAUSED", {"a": "SUCCESS"})
    assert story.task("a").processed is False
    story.resume()
    assert story.asked() == ["b"]
    assert story.task("a").processed is True


def test_a_pause_chosen_during_a_pause_is_over_with_it() -> None:
    story = Story("tasks: {a: {on-success: [pause, b]}, b: {}}")
    story.pause()
    story.done("a")
    story.resume()
    assert (story.execution.state, story.asked()) == ("RUNNING", ["b"])


def test_a_pause_holds_items_and_joins() -> None:
    story = Story("tasks: {a: {with-items: 'i in <% [1, 2, 3] %>', concurrency: 1}}")
    story.pause()
    story.done("a", idx=0)
    assert story.asked() == []
    story.resume()
    assert [a.idx for a in story.running("a")] == [1]
    joined = Story(JOIN)
    joined.done("a")
    joined.pause()
    joined.done("b")
    joined.resume()
    assert joined.asked() == ["j"]


def test_after_the_end_nothing_starts() -> None:
    story = Story(CHAIN)
    story.stop("CANCELLED", "why")
    assert (story.execution.state, story.execution.state_info) == ("CANCELLED", "why")
    story.done("a")
    assert story.states() == {"a": "SUCCESS"}
    assert story.execution.state == "CANCELLED"


def test_a_rerun_goes_on_behind_the_task() -> None:
    story = Story("tasks: {a: {on-success: [b]}, b: {}}")
    story.failed("a")
    assert (story.execution.state, story.execution.unhandled_errors) == ("ERROR", 1)
    story.rerun("a")
    assert (story.execution.state, story.execution.unhandled_errors) == ("RUNNING", 0)
    assert (story.task("a").attempt, story.task("a").run) == (1, 1)
    story.done("a")
    assert story.asked() == ["b"]


def test_a_skip_goes_on_behind_the_task() -> None:
    story = Story("tasks: {a: {on-success: [b], publish-on-skip: {x: 1}}, b: {}}")
    story.failed("a")
    story.skip("a")
    assert (story.task("a").state, story.task("a").state_info) == ("SKIPPED", "Task was skipped.")
    assert story.asked() == ["b"]
    story.done("b")
    assert (story.execution.state, story.output) == ("SUCCESS", {"x": 1})


def test_reruns_that_are_refused() -> None:
    story = Story("tasks: {a: {}, b: {on-error: [noop]}}")
    with pytest.raises(exc.WorkflowException, match="Only tasks in ERROR"):
        story.rerun("a")
    story.failed("b")
    with pytest.raises(exc.WorkflowException, match="Only with-items"):
        story.rerun("b", reset=False)
    story.pause()
    story.rerun("b")
    assert story.task("b").state == "ERROR"


def test_a_result_of_an_earlier_attempt_does_not_count() -> None:
    story = Story("tasks: {a: {timeout: 5}}")
    (old,) = story.running("a")
    story.wait(5)
    assert story.task("a").state_info == "Task timed out [timeout(s)=5]."
    assert story.execution.state == "ERROR"
    story.rerun("a")
    story.deliver(old.id)
    assert (story.task("a").state, len(story.running("a"))) == ("RUNNING", 1)


def test_waits() -> None:
    story = Story("tasks: {a: {wait-before: 5, wait-after: 7, on-success: [b]}, b: {}}")
    assert (story.states(), story.asked()) == ({"a": "DELAYED"}, [])
    story.wait(4)
    assert story.asked() == []
    story.wait(1)
    assert story.asked() == ["a"]
    story.done("a")
    assert story.states() == {"a": "DELAYED"}
    story.wait(7)
    assert story.states() == {"a": "SUCCESS", "b": "RUNNING"}


def test_a_wait_that_is_over_in_a_pause() -> None:
    story = Story("tasks: {a: {wait-before: 5}}")
    story.pause()
    story.wait(5)
    assert (story.states(), story.asked()) == ({"a": "DELAYED"}, [])
    story.resume()
    assert (story.states(), story.asked()) == ({"a": "RUNNING"}, ["a"])


def test_retries() -> None:
    story = Story("tasks: {a: {retry: {count: 2, delay: 3}}}")
    for attempt in (1, 2):
        story.failed("a")
        assert (story.states(), story.task("a").attempt) == ({"a": "DELAYED"}, attempt)
        story.wait(3)
        assert story.asked() == ["a"]
    story.failed("a")
    assert (story.states(), story.execution.state) == ({"a": "ERROR"}, "ERROR")


def test_a_pause_before_a_task() -> None:
    story = Story("tasks: {a: {pause-before: true}}")
    assert (story.execution.state, story.states()) == ("PAUSED", {"a": "IDLE"})
    story.resume()
    assert (story.execution.state, story.asked()) == ("RUNNING", ["a"])


ITEMS = "tasks: {a: {with-items: 'i in <% [1, 2, 3] %>', concurrency: 2, on-success: [b]}, b: {}}"


def test_items() -> None:
    story = Story(ITEMS)
    assert [a.idx for a in story.running("a")] == [0, 1]
    story.done("a", idx=1)
    assert [a.idx for a in story.running("a")] == [0, 2]
    story.done("a", idx=0)
    story.failed("a", idx=2)
    assert (story.task("a").state, story.execution.state) == ("ERROR", "ERROR")
    story.rerun("a", reset=False)
    assert [a.idx for a in story.running("a")] == [2]
    story.done("a", idx=2)
    assert story.asked() == ["b"]


def test_a_transaction_makes_only_so_many_tasks_and_items() -> None:
    few = Limits(rows_at_once=2, items_at_once=1)
    story = Story(ITEMS, limits=few)
    assert [a.idx for a in story.running("a")] == [0, 1]
    wide = Story("tasks: {a: {on-success: [b, c, d]}, b: {}, c: {}, d: {}}", limits=few)
    wide.done("a")
    assert sorted(wide.asked()) == ["b", "c", "d"]


def test_an_execution_that_uses_too_much() -> None:
    bounds = dataclasses.replace(Bounds(), tasks=2)
    story = Story(
        "tasks: {s: {on-success: [a]}, a: {on-success: [a]}}", limits=Limits(bounds=bounds)
    )
    story.done("s")
    assert story.execution.state == "RUNNING"
    story.done("a")
    assert story.execution.state == "ERROR"
    assert "more than 2 tasks, [engine] tasks_limit" in (story.execution.state_info or "")


def test_a_definition_that_is_wrong() -> None:
    story = Story("tasks: {a: {on-success: [b]}, b: {input: <% 5 %>, on-error: [c]}, c: {}, d: {}}")
    story.done("a")
    assert (story.execution.state, story.task("b").state) == ("ERROR", "ERROR")
    assert (story.execution.state_info or "").startswith("Failed to run task [error=")
    assert "c" not in story.states()


def test_a_reverse_workflow() -> None:
    story = Story(
        "{type: reverse, tasks: {e: {requires: [l, r]}, l: {requires: [s]}, r: {}, s: {}, o: {}}}",
        task_name="e",
    )
    assert sorted(story.asked()) == ["r", "s"]
    story.done("s")
    assert sorted(story.asked()) == ["l", "r"]
    story.done("r")
    assert story.asked() == ["l"]
    story.done("l")
    story.done("e")
    assert (story.execution.state, "o" in story.states()) == ("SUCCESS", False)


UNDO = """
tasks:
  a: {rollback: std.noop, on-success: [b]}
  b: {rollback: std.noop, on-success: [c]}
  c: {}
"""


def test_a_rollback() -> None:
    story = Story(UNDO)
    story.done("a")
    story.done("b")
    (late,) = story.running("c")
    story.roll_back()
    assert (story.execution.state, story.task("c").state) == ("RUNNING", "CANCELLED")
    assert story.task("c").attempt == late.attempt + 1
    story.deliver(late.id)
    assert story.task("c").state == "CANCELLED"
    assert story.asked() == ["b"]
    story.done("b")
    assert story.asked() == ["a"]
    story.done("a")
    assert story.execution.state == "CANCELLED"
    assert story.execution.state_info == (
        "Rolled back: b, a. Abandoned, not rolled back even if a result comes later: c."
    )
    with pytest.raises(exc.WorkflowException, match="nothing to roll back"):
        story.roll_back()


def test_a_rollback_that_fails_and_is_begun_again() -> None:
    story = Story(UNDO)
    story.done("a")
    story.done("b")
    story.done("c")
    story.roll_back()
    with pytest.raises(exc.WorkflowException, match="rolled back already"):
        story.roll_back()
    story.failed("b", "why")
    assert story.execution.state == "ERROR"
    info = story.execution.state_info or ""
    assert info.startswith("The rollback failed at task 'b': why. Not rolled back: b, a.")
    failed = story.compensation("b")
    assert (failed.state, failed.state_info, failed.attempt) == ("ERROR", "why", 0)
    before = story.execution.attempt
    story.roll_back()
    again = story.compensation("b")
    assert (again.state, again.state_info, again.attempt) == ("RUNNING", None, 1)
    assert again.finished_at is None
    assert story.execution.attempt == before + 1
    assert story.asked() == ["b"]
    story.done("b")
    story.done("a")
    assert story.execution.state_info == "Rolled back: b, a."
