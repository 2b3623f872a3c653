"""Processes that are told to stop while they work: nothing of it is worth a warning.

What warns at each deployment teaches operators not to read warnings. An executor whose last results
no engine takes any more does warn: in an orderly stop engines go on until executors have ended, so
they are not told to stop at the same moment.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from pathlib import Path

import cluster
import processes
import pytest
import services

from tests.lib.flows import Flows

WARNS = re.compile(r"^\S+ \S+ \d+ (WARNING|ERROR|CRITICAL) |^Traceback|^Exception ", re.MULTILINE)

WORK = """
main:
  tasks:
    asks: {action: std.async_noop}
    sleeps:
      with-items: i in <% range(400) %>
      concurrency: 20
      action: std.sleep seconds=0.1
    echoes:
      with-items: i in <% range(400) %>
      concurrency: 20
      action: std.echo output=<% $.i %>
    children:
      with-items: i in <% range(50) %>
      workflow: sub
sub:
  tasks:
    begin: {action: std.noop, on-success: first}
    first: {action: std.echo output=1, on-success: second}
    second: {action: std.sleep seconds=0.2, on-success: first}
"""


def _stop_at_work(installation: cluster.Cluster, order: Sequence[Sequence[str]]) -> dict[str, str]:
    """Stop processes while they work, some at a time; what they wrote that warns."""
    flows = Flows(installation.url)
    run = flows.launch(WORK)
    processes.wait_until(
        lambda: len(run.actions("sleeps")) > 25 and len(run.actions("echoes")) > 25, "it works"
    )
    running = installation.processes
    written = {name: process.log.stat().st_size for name, process in running.items()}
    for names in order:
        for name in names:
            running[name].send(signal.SIGTERM)
        for name in names:
            assert running[name].wait_end(60), installation.log_tails()
    found = {}
    for name, process in running.items():
        assert process.popen is not None
        assert process.popen.returncode == 0, process.log_tail()
        text = process.log.read_bytes()[written[name] :].decode()
        assert "SIGTERM: stopping" in text
        if WARNS.search(text):
            found[name] = text
    return found


@pytest.mark.timeout(180)
@pytest.mark.parametrize("rpc", ["oslo", "kombu"])
@pytest.mark.parametrize(
    "order",
    [
        (("api",), ("executor",), ("engine",)),
        (("executor",), ("engine",), ("api",)),
    ],
    ids=lambda order: ", then ".join("+".join(names) for names in order),
)
def test_processes_behind_a_broker(
    fresh_postgresql_url: str,
    rabbitmq: services.Service,
    unique_suffix: str,
    tmp_path: Path,
    rpc: str,
    order: Sequence[Sequence[str]],
) -> None:
    sections = cluster.broker_sections(
        processes.free_port(),
        fresh_postgresql_url,
        rabbitmq.url,
        unique_suffix,
        rpc,
        connections=cluster.FEW_CONNECTIONS,
    )
    with (
        rabbitmq.forgotten_names(f"mistral{unique_suffix}"),
        cluster.Cluster(tmp_path, sections) as installation,
    ):
        installation.prepare_database()
        for name in ("engine", "executor", "api"):
            installation.start(name, name)
        installation.wait_ready()
        installation.wait_working()
        assert _stop_at_work(installation, order) == {}


@pytest.mark.timeout(120)
def test_one_process_with_all(fresh_sqlite_url: str, tmp_path: Path) -> None:
    sections = cluster.embedded_sections(processes.free_port(), fresh_sqlite_url)
    with cluster.Cluster(tmp_path, sections) as installation:
        installation.prepare_database()
        installation.start("mistral", "all")
        installation.wait_ready()
        installation.wait_working()
        assert _stop_at_work(installation, (("mistral",),)) == {}
