"""Executors with more to do than they can begin: killed, or asleep for longer than their claims."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lib.flows import Flows
from tests.lib.third_party import ThirdParty

DEADLINE = 60.0
ITEMS = 12
#: One that slept for as long as another one needs to start is no frozen interpreter.
ONE_AT_A_TIME = {"executor": {"threads": 1}, "watchdog": {"timeout": 600}}

QUEUE = f"""
main:
  input: [url]
  tasks:
    t:
      with-items: i in <% range({ITEMS}) %>
      action: std.http
      input: {{url: <% $.url + "/hold/" + str($.i) %>}}
      on-error: noop
"""


def _ended(run: Any) -> dict[str, list[str]]:
    """The actions by state, each told by the address that it was to call."""
    found: dict[str, list[str]] = {"SUCCESS": [], "ERROR": []}
    for action in run.actions("t"):
        row = action["input"]
        given = json.loads(row) if isinstance(row, str) else row
        found[action["state"]].append("/hold/" + given["url"].rpartition("/")[2])
    return found


@pytest.mark.long
def test_only_what_was_claimed_dies_with_its_executor(
    flows: Flows, victims: Any, third_party: ThirdParty
) -> None:
    victims.engine()
    victims.installation.start("executor", "executor", ONE_AT_A_TIME)
    victims.wait_working()
    run = flows.launch(QUEUE, {"url": third_party.url})
    run.until(lambda: third_party.counts, "the first request has arrived")
    victims.kill("executor")
    third_party.release.set()
    victims.executor()
    run.until(lambda: run.state in ("SUCCESS", "ERROR"), "it has ended", DEADLINE)
    ended = _ended(run)
    # one had begun, and one more was claimed: two for its only thread
    assert 1 <= len(ended["ERROR"]) <= 2
    assert len(ended["SUCCESS"]) == ITEMS - len(ended["ERROR"])
    assert {third_party.counts[path] for path in ended["SUCCESS"]} == {1}
    assert sum(third_party.counts[path] for path in ended["ERROR"]) == 1


def test_an_executor_that_slept_begins_nothing_that_was_taken_back(
    flows: Flows, victims: Any, third_party: ThirdParty
) -> None:
    victims.engine()
    sleeper = victims.installation.start("executor", "executor", ONE_AT_A_TIME)
    victims.wait_working()
    run = flows.launch(QUEUE, {"url": third_party.url})
    run.until(lambda: third_party.counts, "the first request has arrived")
    (begun,) = third_party.counts
    sleeper.suspend()
    victims.installation.start_executor("other")
    # all that was not claimed runs elsewhere, what was claimed is given up
    third_party.release.set()
    run.until(lambda: run.state in ("SUCCESS", "ERROR"), "it has ended", DEADLINE)
    before = _ended(run)
    assert begun in before["ERROR"]
    sleeper.resume()
    run.until(
        lambda: "A late result is ignored" in victims.installation.processes["engine"].log_tail(),
        "the late result is told",
    )
    # the result of the one came, so the thread was free for whatever it had been meant to begin
    assert victims.installation.stop("executor", 30)
    assert _ended(run) == before
    assert third_party.counts == dict.fromkeys([begun, *before["SUCCESS"]], 1)
