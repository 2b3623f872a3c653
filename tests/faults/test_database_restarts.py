"""The database crashes and comes back under load: no process restarts, nothing is lost."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import cluster
import processes
import pytest
import services
from load_round import Round
from private_databases import PrivateServer
from site_processes import Site

HEARTBEAT = {"check_interval": 2, "max_missed_heartbeats": 3}


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.long)])
def server(request: pytest.FixtureRequest) -> PrivateServer:
    """A database server that only this test uses."""
    found: PrivateServer = request.getfixturevalue(f"private_{request.param}")
    return found


@pytest.fixture
def own_site(server: PrivateServer, rabbitmq: services.Service, tmp_path: Path) -> Iterator[Site]:
    """An API, two engines and an executor on that server."""
    with server.service.new_database() as url:
        suffix = f"_{secrets.token_hex(6)}"
        sections = cluster.broker_sections(
            processes.free_port(), url, rabbitmq.url, suffix, connections=cluster.FEW_CONNECTIONS
        )
        sections["action_heartbeat"] = dict(HEARTBEAT)
        with Site(tmp_path, sections, executors=1) as running:
            running.start_all()
            yield running


def status(site: Site, path: str, method: str = "GET", body: object | None = None) -> int:
    return int(processes.http(method, f"{site.urls[0]}{path}", body, timeout=30)[0])


@pytest.mark.timeout(400)
def test_the_database_crashes_under_load(
    server: PrivateServer, own_site: Site, seed: int, nothing_lost: Callable[[Round], None]
) -> None:
    pids = {name: p.pid for name, p in own_site.installation.processes.items()}
    made = Round(own_site, seed)
    try:
        with made:
            made.wait_progress()
            server.crash()
            server.start()
            made.wait_progress()
            server.crash()
            callers_are_told_to_come_back(own_site)
            server.start()
            processes.wait_until(
                lambda: status(own_site, "/healthcheck/ready") == 200, "the service is ready", 60
            )
            made.wait_progress()
        nothing_lost(made)
    finally:
        made.close()
    own_site.installation.require_alive()
    assert {name: p.pid for name, p in own_site.installation.processes.items()} == pids


def callers_are_told_to_come_back(site: Site) -> None:
    assert status(site, "/healthcheck") == 200
    assert status(site, "/healthcheck/ready") == 503
    for method, path, body in (
        ("GET", "/v2/executions", None),
        ("POST", "/v2/environments", {"name": "e"}),
    ):
        assert status(site, path, method, body) == 503
