"""A process whose interpreter stands still ends itself and comes back; what did it is given up."""

from __future__ import annotations

import re
import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import cluster
import processes
import pytest

from tests.conftest import assert_nothing_is_stuck
from tests.lib import plugins
from tests.lib.flows import Flows

TIMEOUT = 2
DEATH = "it is started again"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[cluster.Cluster]:
    """The embedded service, whose interpreter may stand still for two seconds."""
    url = f"sqlite:///{tmp_path / 'mistral.sqlite'}"
    sections = cluster.embedded_sections(processes.free_port(), url)
    sections["watchdog"] = {"timeout": TIMEOUT}
    sections["engine"] = {"relay_interval": 0.5}
    with cluster.Cluster(tmp_path, sections) as installation:
        installation.prepare_database()
        environment = plugins.installed(tmp_path / "site")
        installation.start("mistral", "all", environment=environment)
        installation.wait_ready()
        installation.wait_working()
        yield installation


def _log(site: cluster.Cluster) -> str:
    return site.processes["mistral"].log.read_text()


def _deaths(site: cluster.Cluster) -> int:
    return _log(site).count(DEATH)


def test_it_comes_back_by_itself(site: cluster.Cluster) -> None:
    flows = Flows(site.url)
    flows.define("""
    asking:
      tasks:
        ask: {action: std.async_noop}
    killing:
      tasks:
        kill: {action: plugin.hold seconds=1000}
    """)
    asking = flows.start("asking")
    waiting = asking.wait_actions("ask")[0]
    first = site.processes["mistral"].service_pid
    began = time.monotonic()
    flows.start("killing")
    processes.wait_until(lambda: _deaths(site) == 1, "the death", 60)
    site.wait_working()
    # the action would hold it for a quarter of an hour
    assert time.monotonic() - began < 180
    assert site.processes["mistral"].service_pid != first
    assert re.search(r'File ".*mistral_test_plugin.*in hold', _log(site))
    assert flows.complete(waiting)[0] == 200
    asking.wait()
    site.processes["mistral"].send(signal.SIGTERM)
    assert site.processes["mistral"].wait_end()
    assert _deaths(site) == 1
    assert_nothing_is_stuck(str(site.sections["database"]["connection"]))


DEATHS = 5
KILLING = """
running:
  tasks:
    go: {action: plugin.hold seconds=1000, safe-rerun: true}
publishing:
  tasks:
    go:
      action: std.noop
      publish: {x: "<% hold(1000) %>"}
beginning:
  vars: {x: "<% hold(1000) %>"}
  tasks:
    go: {action: std.noop}
quick:
  tasks:
    go: {action: std.noop}
"""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_a_process_dies_of_ends_in_error(site: cluster.Cluster) -> None:
    """Although the action runs again after each death, and its result is a new one."""
    flows = Flows(site.url)
    flows.define(KILLING)
    began = time.monotonic()
    killing = flows.start("publishing")
    processes.wait_until(lambda: _deaths(site) == DEATHS, "five deaths", 180)
    site.wait_working()
    flows.start("quick").wait()
    killing.wait("ERROR", 60)
    assert time.monotonic() - began < 240
    assert _deaths(site) == DEATHS
    assert killing.task("go")["state"] == "ERROR"
    assert "begun 5 times and never handled" in killing.task("go")["state_info"]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_action_that_kills_is_not_repeated_for_ever(site: cluster.Cluster) -> None:
    flows = Flows(site.url)
    flows.define(KILLING)
    killing = flows.start("running")
    processes.wait_until(lambda: _deaths(site) == DEATHS, "five deaths", 240)
    site.wait_working()
    killing.wait("ERROR", 60)
    assert _deaths(site) == DEATHS
    assert "Executors were lost again and again" in killing.task("go")["state_info"]


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_start_that_kills_is_not_tried_for_ever(site: cluster.Cluster) -> None:
    """By a client that asks again and again, with the same id."""
    flows = Flows(site.url)
    flows.define(KILLING)
    body = {
        "id": str(uuid.uuid4()),
        "workflow_name": "beginning",
        "workflow_namespace": flows.namespace,
    }

    def refused() -> str | None:
        try:
            status, document = flows.request("POST", "/executions", body)
        except OSError:
            return None
        return document["faultstring"] if status == 400 else None

    text = processes.wait_until(refused, "the refusal", 180)
    assert "5 processes have died of this request" in text
    assert _deaths(site) == DEATHS
    flows.start("quick").wait()


@pytest.fixture
def behind_a_broker(
    tmp_path: Path, fresh_postgresql_url: str, rabbitmq_url: str, unique_suffix: str
) -> Iterator[cluster.Cluster]:
    """API, engine and executor, in processes that nobody but the test starts again."""
    few = cluster.FEW_CONNECTIONS
    sections = cluster.broker_sections(
        processes.free_port(), fresh_postgresql_url, rabbitmq_url, unique_suffix, connections=few
    )
    sections["watchdog"] = {"timeout": TIMEOUT, "state_path": tmp_path / "state"}
    with cluster.Cluster(tmp_path, sections) as installation:
        installation.prepare_database()
        environment = plugins.installed(tmp_path / "site")
        installation.start_engine("engine-1", environment)
        installation.start_executor("executor-1", environment)
        installation.start("api", "api", environment=environment)
        installation.wait_ready()
        installation.wait_working()
        yield installation


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_same_behind_a_broker(behind_a_broker: cluster.Cluster, tmp_path: Path) -> None:
    """The executor lives on and sends its result again and again."""
    flows = Flows(behind_a_broker.url)
    flows.define(KILLING)
    killing = flows.start("publishing")
    environment = {"PYTHONPATH": str(tmp_path / "site")}
    deaths = 0

    def has_ended() -> bool:
        nonlocal deaths
        if not behind_a_broker.processes["engine-1"].alive():
            deaths += 1
            behind_a_broker.start_engine("engine-1", environment)
        return killing.state == "ERROR"

    processes.wait_until(has_ended, "the end", 240)
    assert deaths == DEATHS
    assert killing.task("go")["state"] == "ERROR"
    flows.start("quick").wait()
