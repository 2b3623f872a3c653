"""Executors that are killed or stopped: what may have had an effect is not run twice."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lib.flows import Flows
from tests.lib.third_party import ThirdParty

DEADLINE = 60.0

HOLD = """
main:
  input: [url]
  tasks:
    unsafe:
      action: std.http
      input: {url: <% $.url + "/hold/unsafe" %>}
      on-error: noop
    safe:
      action: std.http
      input: {url: <% $.url + "/hold/safe" %>}
      safe-rerun: true
    signal:
      action: std.mistral_http
      input: {url: <% $.url + "/hold/signal" %>}
      on-error: noop
"""


def _cause(run: Any, task: str) -> str:
    (action,) = run.actions(task)
    return str(action["output"])


def test_a_killed_executor(flows: Flows, victims: Any, third_party: ThirdParty) -> None:
    victims.engine()
    victims.executor()
    victims.wait_working()
    run = flows.launch(HOLD, {"url": third_party.url})
    run.until(lambda: len(third_party.counts) == 3, "all requests have arrived")
    victims.kill("executor")
    victims.executor()
    run.until(lambda: third_party.counts["/hold/safe"] == 2, "the safe one runs again")
    run.wait_task("unsafe", "ERROR", DEADLINE)
    run.wait_task("signal", "ERROR", DEADLINE)
    assert "Heartbeat wasn't received" in _cause(run, "unsafe")
    assert "not known whether the third party was told" in _cause(run, "signal")
    third_party.release.set()
    run.wait("SUCCESS", DEADLINE)
    assert third_party.counts == {"/hold/safe": 2, "/hold/unsafe": 1, "/hold/signal": 1}


def test_a_stop_waits_for_what_runs(flows: Flows, victims: Any, third_party: ThirdParty) -> None:
    """SIGTERM: what runs ends and is stored, what has not begun runs elsewhere, once."""
    victims.engine()
    victims.executor()
    victims.wait_working()
    flows.define("""
    main:
      input: [url, n]
      tasks:
        a: {action: std.http, input: {url: <% $.url + "/a" + str($.n) %>}, on-success: s}
        s: {action: std.sleep seconds=1, on-success: b}
        b: {action: std.http, input: {url: <% $.url + "/b" + str($.n) %>}}
    """)
    runs = [flows.start("main", {"url": third_party.url, "n": n}) for n in range(20)]
    for run in runs:
        run.until(lambda r=run: r.tasks("s"), "it is on its way")
    victims.stop("executor")
    victims.stop("engine")
    assert {run.state for run in runs} <= {"RUNNING", "SUCCESS"}
    victims.engine()
    victims.executor()
    for run in runs:
        run.wait("SUCCESS", DEADLINE)
    assert third_party.counts == {f"/{name}{n}": 1 for name in "ab" for n in range(20)}


@pytest.mark.long
def test_executors_that_die_one_after_the_other(
    flows: Flows, victims: Any, third_party: ThirdParty
) -> None:
    """Actions without effects are simply run again, as often as it takes."""
    victims.engine()
    victims.executor()
    victims.wait_working()
    run = flows.launch("""
    main:
      tasks:
        t: {with-items: i in <% range(40) %>, action: std.sleep seconds=1}
    """)
    for _ in range(3):
        done = len(run.actions("t", "SUCCESS"))
        run.until(
            lambda n=done: len(run.actions("t", "SUCCESS")) > n or run.state == "SUCCESS",
            "some actions are done",
            DEADLINE,
        )
        victims.kill("executor")
        victims.executor()
    run.wait("SUCCESS", DEADLINE)
    assert len(run.actions("t", "SUCCESS")) == 40
