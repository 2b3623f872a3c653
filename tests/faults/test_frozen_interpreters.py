"""A process whose interpreter stands still ends itself and comes back; what did it is given up."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import cluster
import plugins
import processes
import pytest
from flows import Flows

from tests.conftest import assert_nothing_is_stuck

TIMEOUT = 2
DEATH = "it is started again"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[cluster.Cluster]:
    """The embedded service, whose interpreter may stand still for two seconds."""
    url = f"sqlite:///{tmp_path / 'mistral.sqlite'}"
    sections = cluster.embedded_sections(processes.free_port(), url)
    sections["watchdog"] = {"timeout": TIMEOUT}
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


@pytest.mark.timeout(120)
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
    processes.wait_until(lambda: _deaths(site) == 1, "the death", 20)
    site.wait_working()
    assert time.monotonic() - began < 20
    assert site.processes["mistral"].service_pid != first
    assert re.search(r'File ".*mistral_test_plugin.*in hold', _log(site))
    assert flows.complete(waiting)[0] == 200
    asking.wait()
    site.processes["mistral"].send(signal.SIGTERM)
    assert site.processes["mistral"].wait_end()
    assert _deaths(site) == 1
    assert_nothing_is_stuck(str(site.sections["database"]["connection"]))
