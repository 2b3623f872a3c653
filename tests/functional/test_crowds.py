"""A crowd that starts workflows, and clients who say nothing: everybody is served in time."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import secrets
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cluster
import processes
import pytest
import services

from tests.lib.flows import Flows

CLIENTS = 128
STARTS = 600
DELIVERIES = 40
SILENT = 300
DEADLINE = 90.0

FLOWS = f"""
waiting:
  tasks:
    t: {{with-items: i in <% range({DELIVERIES}) %>, action: std.async_noop}}
quick:
  tasks:
    t: {{action: std.noop}}
"""


@pytest.fixture
def behind_a_broker(
    fresh_postgresql_url: str, rabbitmq: services.Service, tmp_path: Path
) -> Iterator[Flows]:
    """One API, two engines, two executors, with default settings."""
    suffix = f"_{secrets.token_hex(6)}"
    sections = cluster.broker_sections(
        processes.free_port(), fresh_postgresql_url, rabbitmq.url, suffix
    )
    with cluster.Cluster(tmp_path / "run", sections) as installation:
        installation.prepare_database()
        installation.start_all()
        installation.wait_working()
        yield Flows(installation.url)


def _timed(work: Callable[[], tuple[int, object]]) -> tuple[int, float]:
    began = time.monotonic()
    status, _ = work()
    return status, time.monotonic() - began


def _crowd(flows: Flows) -> None:
    flows.define(FLOWS)
    run = flows.start("waiting")
    actions = run.wait_actions("t", DELIVERIES)
    start = {"workflow_name": "quick", "workflow_namespace": flows.namespace}
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        begun = [
            pool.submit(_timed, lambda: flows.request("POST", "/executions", start))
            for _ in range(STARTS)
        ]
        delivered = []
        for action in actions:
            if all(each.done() for each in begun):
                break
            delivered.append(_timed(lambda action=action: flows.complete(action, 1)))
            time.sleep(0.05)
        started = [each.result(DEADLINE) for each in begun]
    assert collections.Counter(status for status, _ in started) == {201: STARTS}
    assert {status for status, _ in delivered} == {200}
    # how long both take is up to the machine; but no delivery waits behind starts
    waited = statistics.median(seconds for _, seconds in started)
    assert statistics.median(seconds for _, seconds in delivered) < waited / 3


def test_a_crowd_on_one_process(flows: Flows) -> None:
    _crowd(flows)


@pytest.mark.long
def test_a_crowd_behind_a_broker(behind_a_broker: Flows) -> None:
    _crowd(behind_a_broker)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: "], ids=["silent", "slow"])
def test_silent_clients_hold_nobody_up(
    flows: Flows, embedded: cluster.Cluster, said: bytes
) -> None:
    """Neither results nor starts nor who looks, and the service ends as ever."""
    flows.define(FLOWS)
    run = flows.start("waiting")
    actions = run.wait_actions("t", DELIVERIES)
    api = embedded.sections["api"]
    with contextlib.ExitStack() as opened:
        for _ in range(SILENT):
            address = (str(api["host"]), int(str(api["port"])))
            opened.enter_context(socket.create_connection(address, DEADLINE)).sendall(said)
        for action in actions:
            assert flows.complete(action, 1)[0] == 200
        run.wait()
        flows.start("quick").wait()
