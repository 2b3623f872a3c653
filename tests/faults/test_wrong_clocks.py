"""Hosts whose clocks are wrong, or are set while processes run."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.utils.clock import ENVIRONMENT_VARIABLE
from tests.lib.flows import Flows
from tests.lib.third_party import ThirdParty

WORK = """
main:
  input: [url]
  tasks:
    slow: {action: std.sleep seconds=7.5, on-success: later}
    later: {action: std.http, input: {url: <% $.url + "/later" %>}, wait-before: 1}
    unsafe: {action: std.http, input: {url: <% $.url + "/hold/unsafe" %>}}
    told: {action: std.async_noop, on-success: after}
    after: {action: std.noop}
"""


@pytest.mark.parametrize(
    ("engine", "executor"),
    [
        pytest.param("-3600", "3600", marks=pytest.mark.long),
        ("3600@4", "-3600"),
        pytest.param("-3600@4", "3600@4", marks=pytest.mark.long),
    ],
)
def test_wrong_clocks_do_no_harm(
    flows: Flows, victims: Any, third_party: ThirdParty, engine: str, executor: str
) -> None:
    """Nobody is taken for dead, no request for expired, and nothing waits for an hour."""
    start = victims.installation.start_engine, victims.installation.start_executor
    for begin, name, offset in zip(start, ("engine", "executor"), (engine, executor), strict=True):
        begin(name, {ENVIRONMENT_VARIABLE: offset})
    victims.wait_working()
    run = flows.launch(WORK, {"url": third_party.url})
    (action_id,) = run.wait_actions("told")
    assert flows.complete(action_id, 1)[0] == 200
    run.wait_task("after", "SUCCESS", 60)
    run.wait_task("later", "SUCCESS", 60)
    assert run.task("unsafe")["state"] == "RUNNING"
    third_party.release.set()
    run.wait("SUCCESS", 60)
    assert third_party.counts == {"/hold/unsafe": 1, "/later": 1}
