"""What an execution goes on with when a rerun lets it run after its end."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from mistral.db.core import tables
from mistral.db.core.database import Database
from tests.lib.flows import Execution, Flows

WITH_A_BRANCH = """
main:
  tasks:
    doomed: {{action: std.async_noop, on-error: fail}}
{branch}
"""

NESTED = """
child:
  tasks:
    wait: {action: std.async_noop}
main:
  tasks:
    sub: {workflow: child, on-success: behind_sub}
    side: {action: std.async_noop, on-success: behind_side}
    behind_sub: {action: std.noop}
    behind_side: {action: std.noop}
"""


def begun(flows: Flows, branch: str) -> Execution:
    """An execution of a branch beside a task that waits."""
    return flows.launch(WITH_A_BRANCH.format(branch=branch))


def fail(run: Execution) -> None:
    """Let the execution end."""
    run.finish("doomed", "no", "ERROR")
    run.wait("ERROR")


def repair(run: Execution) -> None:
    """Rerun what failed, this time with success."""
    assert run.put_task("doomed", state="RUNNING", reset=True)[0] == 200
    run.finish("doomed")


def test_delays_that_end_after_the_execution(flows: Flows) -> None:
    run = begun(
        flows,
        """
    before: {action: std.noop, wait-before: 1}
    after: {action: std.noop, wait-after: 1, on-success: follower}
    again: {action: std.fail, retry: {count: 1, delay: 1}, on-error: noop}
    follower: {action: std.noop}
""",
    )
    run.wait_task("again", "DELAYED")
    run.wait_task("after", "DELAYED")
    fail(run)
    run.wait_task("after", "SUCCESS")
    run.until(
        lambda: all("delay_over" in run.task(n)["runtime_context"] for n in ("before", "again")),
        "the delays are over",
    )
    # tasks of an execution that has ended keep their states
    assert {run.task(name)["state"] for name in ("before", "again")} == {"DELAYED"}
    assert run.names() == ["after", "again", "before", "doomed"]
    repair(run)
    assert run.wait().states() == {
        "doomed": "SUCCESS",
        "before": "SUCCESS",
        "after": "SUCCESS",
        "again": "ERROR",
        "follower": "SUCCESS",
    }


def test_items_that_had_no_turn(flows: Flows) -> None:
    branch = "    items: {with-items: 'i in [1, 2]', concurrency: 1, action: std.async_noop}"
    run = begun(flows, branch)
    run.wait_actions("items")
    fail(run)
    run.finish("items", 1)
    run.until(lambda: run.actions("items", "SUCCESS"), "the first item has its result")
    assert len(run.actions("items")) == 1
    repair(run)
    run.finish("items", 2)
    assert run.wait().task("items")["result"] == [1, 2]


def test_a_join_whose_branch_came_late(flows: Flows) -> None:
    run = begun(
        flows,
        """
    one: {action: std.noop, on-success: join}
    two: {action: std.async_noop, on-success: join}
    join: {join: all, action: std.noop}
""",
    )
    run.wait_task("join", "WAITING")
    fail(run)
    run.finish("two")
    run.wait_task("two", "SUCCESS")
    assert run.states()["join"] == "WAITING"
    repair(run)
    assert run.wait().states()["join"] == "SUCCESS"


def test_a_rerun_in_a_child_resumes_a_paused_parent(flows: Flows) -> None:
    run = flows.launch(NESTED)
    (child,) = run.until(lambda: run.children("sub"), "a child")
    child.finish("wait", "no", "ERROR")
    run.wait_task("sub", "ERROR")
    assert run.put(state="PAUSED")[0] == 200
    run.finish("side")
    run.wait_task("side", "SUCCESS")
    assert child.put_task("wait", state="RUNNING", reset=True)[0] == 200
    run.wait_task("behind_side", "SUCCESS")
    child.finish("wait")
    assert run.wait().names() == ["behind_side", "behind_sub", "side", "sub"]


def test_a_timeout_that_passed_after_the_end_counts_when_the_execution_runs_again(
    flows: Flows,
) -> None:
    run = begun(
        flows,
        """
    slow: {action: std.async_noop, timeout: 1, on-error: late}
    late: {action: std.noop}
    held: {action: std.async_noop, timeout: 1, wait-before: 3600, on-error: late}
""",
    )
    run.wait_actions("slow")
    fail(run)
    run.until(
        lambda: all("timed_out" in run.task(n)["runtime_context"] for n in ("slow", "held")),
        "the timers have fired",
    )
    assert run.states()["slow"] == "RUNNING"
    repair(run)
    run.wait()
    assert run.task("slow")["state_info"] == "Task timed out [timeout(s)=1]."
    assert run.states() == {
        "doomed": "SUCCESS",
        "slow": "ERROR",
        "held": "ERROR",
        "late": "SUCCESS",
    }


def test_a_timeout_of_an_earlier_run_does_not_count(flows: Flows) -> None:
    branch = "    slow: {action: std.async_noop, timeout: <% env().seconds %>}\n"
    run = flows.launch(WITH_A_BRANCH.format(branch=branch), env={"seconds": 1})
    run.wait_actions("slow")
    fail(run)
    run.until(lambda: "timed_out" in run.task("slow")["runtime_context"], "the timer has fired")
    repair(run)
    run.wait("ERROR")
    assert "timed_out" not in run.task("slow")["runtime_context"]
    again = run.put_task("slow", state="RUNNING", reset=True, env={"seconds": 3600})
    assert again[0] == 200
    (newest,) = run.wait_actions("slow")
    assert flows.complete(newest)[0] == 200
    run.wait()


def test_what_a_task_chose_beside_a_join_that_ends_the_execution(flows: Flows) -> None:
    run = flows.launch("""
main:
  tasks:
    one: {action: std.noop, on-success: [strict, other]}
    two: {action: std.async_noop, on-success: [other, plain], on-error: strict}
    strict: {join: all, action: std.noop, on-error: fail}
    other: {join: all, action: std.noop}
    plain: {action: std.noop}
""")
    run.wait_task("other", "WAITING")
    run.finish("two")
    run.wait("ERROR")
    assert run.put_task("strict", state="SKIPPED")[0] == 200
    assert run.wait().states() == {
        "one": "SUCCESS",
        "two": "SUCCESS",
        "strict": "SKIPPED",
        "other": "SUCCESS",
        "plain": "SUCCESS",
    }


def test_what_a_task_chose_after_one_that_ends_the_execution_at_once(flows: Flows) -> None:
    run = flows.launch("""
main:
  tasks:
    one: {action: std.noop, on-success: join}
    two: {action: std.async_noop, on-success: [broken, join]}
    broken: {workflow: nowhere, on-error: [fail, never]}
    join: {join: all, action: std.noop}
    never: {action: std.noop}
""")
    run.wait_task("join", "WAITING")
    run.finish("two")
    run.wait("ERROR")
    assert run.put_task("broken", state="SKIPPED")[0] == 200
    assert run.wait().states() == {
        "one": "SUCCESS",
        "two": "SUCCESS",
        "broken": "SKIPPED",
        "join": "SUCCESS",
    }


@pytest.mark.parametrize(
    "lost",
    ["on-success: join, publish: {x: '<% $.no.thing %>'}", "on-success: [fail, join]"],
    ids=["a fatal error", "fail"],
)
def test_a_join_whose_branch_the_end_has_cut_off(flows: Flows, lost: str) -> None:
    run = flows.launch(f"""
main:
  tasks:
    one: {{action: std.noop, on-success: join}}
    two: {{action: std.async_noop, {lost}}}
    three: {{action: std.async_noop}}
    join: {{join: all, action: std.noop}}
""")
    run.wait_task("join", "WAITING")
    run.finish("three", "no", "ERROR")
    run.wait_task("three", "ERROR")
    run.finish("two")
    run.wait("ERROR")
    assert run.put_task("three", state="RUNNING", reset=True)[0] == 200
    run.finish("three")
    assert run.wait("ERROR").states()["join"] == "ERROR"


def test_nothing_moves_in_a_cancelled_loop(flows: Flows) -> None:
    run = flows.launch("""
    main:
      tasks:
        begin: {action: std.noop, on-success: again}
        again: {action: std.noop, wait-before: 1, timeout: 2, on-success: again}
        other: {action: std.fail, retry: {count: 100, delay: 1}}
    """)
    run.wait_task("again", "DELAYED")
    run.wait_task("other", "DELAYED")
    assert run.put(state="CANCELLED")[0] == 200
    before = run.row

    def is_over() -> bool:
        again, other = (run.task(name)["runtime_context"] for name in ("again", "other"))
        return {"delay_over", "timed_out"} <= again.keys() and "delay_over" in other

    run.until(is_over, "the delays and the timeout")
    assert run.states() == {"begin": "SUCCESS", "again": "DELAYED", "other": "DELAYED"}
    assert run.row == before


def test_a_timeout_that_nobody_needs_any_more(flows: Flows, embedded_database: Database) -> None:
    run = flows.run("main: {tasks: {t: {action: std.noop, timeout: 1}}}")
    before = run.row
    timers = tables.timers
    left = sa.select(timers.c.id).where(timers.c.execution_id == run.id)
    run.until(
        lambda: embedded_database.read(lambda conn: conn.execute(left).first()) is None,
        "the timer has fired",
    )
    assert run.row == before
