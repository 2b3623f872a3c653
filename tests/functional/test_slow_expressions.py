"""Whoever evaluates something slow holds up nobody else, although SQLite has one writer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import cluster
import processes
import pytest

from tests.lib import plugins
from tests.lib.flows import Flows

SLOW = 1.5
BEARABLE = 0.7
"""Far above what is needed on a machine that does nothing else, and far below ``SLOW``."""

WORKFLOWS = f"""
asking:
  tasks:
    ask: {{action: std.async_noop}}
quick:
  tasks:
    go: {{action: std.noop}}
publishing:
  tasks:
    go:
      action: std.noop
      publish: {{slept: "<% slumber({SLOW}) %>"}}
beginning:
  vars: {{slept: "<% slumber({SLOW}) %>"}}
  tasks:
    go: {{action: std.noop}}
giving:
  output: {{slept: "<% slumber({SLOW}) %>"}}
  tasks:
    go: {{action: std.noop}}
parent:
  tasks:
    sub: {{workflow: beginning}}
"""
ACTIONS = f"""
slow_input:
  base: std.echo
  base-input: {{output: "<% slumber({SLOW}) %>"}}
slow_output:
  base: std.echo output="x"
  output: "<% slumber({SLOW}) %>"
"""


@pytest.fixture(scope="module")
def slow_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flows]:
    """An embedded service with a function that takes its time."""
    run_dir = tmp_path_factory.mktemp("slow")
    url = f"sqlite:///{run_dir / 'mistral.sqlite'}"
    sections = cluster.embedded_sections(processes.free_port(), url)
    with cluster.Cluster(run_dir, sections) as installation:
        installation.prepare_database()
        environment = plugins.installed(run_dir / "site")
        installation.start("mistral", "all", environment=environment)
        installation.wait_ready()
        installation.wait_working()
        flows = Flows(installation.url)
        flows.define(WORKFLOWS)
        flows.define(ACTIONS, "actions")
        yield flows


def _start(name: str) -> Callable[[Flows], object]:
    return lambda flows: flows.start(name).wait()


def _action(name: str) -> Callable[[Flows], object]:
    def run(flows: Flows) -> object:
        params = {"save_result": True, "run_sync": True}
        body = {"name": name, "workflow_namespace": flows.namespace, "params": params}
        return flows.ok("POST", "/action_executions", body)

    return run


@pytest.mark.parametrize(
    "slow",
    [
        _start("publishing"),
        _start("beginning"),
        _start("giving"),
        _start("parent"),
        _action("slow_input"),
        _action("slow_output"),
    ],
    ids=["publish", "vars", "output", "sub-workflow", "input of an action", "output of an action"],
)
def test_others_do_not_wait_for_an_expression(
    slow_site: Flows, slow: Callable[[Flows], object]
) -> None:
    waiting = [slow_site.start("asking").wait_actions("ask")[0] for _ in range(8)]
    began = time.monotonic()
    evaluation = threading.Thread(target=slow, args=(slow_site,))
    evaluation.start()
    times = []
    for action_id in waiting:
        time.sleep(0.1)
        at = time.monotonic()
        slow_site.ok("PUT", f"/action-executions/{action_id}", {"state": "SUCCESS"})
        times.append(time.monotonic() - at)
        at = time.monotonic()
        slow_site.start("quick")
        times.append(time.monotonic() - at)
        if time.monotonic() - began > SLOW:
            break
    assert evaluation.is_alive() or time.monotonic() - began >= SLOW
    evaluation.join(30)
    assert max(times) < BEARABLE, times
