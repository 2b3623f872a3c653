"""The database crashes and comes back under load: no process restarts, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path

import processes
import pytest
import services
from load_round import Round
from private_databases import PrivateServer
from site_processes import Site

from tests.lib import private_sites
from tests.lib.private_sites import PrivateSite

Broken = tuple[PrivateServer, Site]


@pytest.fixture
def on_postgresql(private_site: PrivateSite) -> Broken:
    """The server that may be broken, and the site that works with it."""
    return private_site.database, private_site.site


@pytest.fixture
def on_mariadb(
    private_mariadb: PrivateServer, rabbitmq: services.Service, tmp_path: Path
) -> Iterator[Broken]:
    """The same on MariaDB."""
    with private_sites.running_site(tmp_path, private_mariadb.service, rabbitmq.url) as site:
        yield private_mariadb, site


def status(site: Site, path: str, method: str = "GET", body: object | None = None) -> int:
    return int(processes.http(method, f"{site.urls[0]}{path}", body, timeout=30)[0])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("broken", "crashes"),
    [
        pytest.param("on_postgresql", 1),
        pytest.param("on_postgresql", 5, marks=pytest.mark.long),
        pytest.param("on_mariadb", 3, marks=pytest.mark.long),
    ],
)
def test_the_database_crashes_under_load(
    request: pytest.FixtureRequest,
    broken: str,
    crashes: int,
    seed: int,
    nothing_lost: Callable[[Round], None],
) -> None:
    server, site = request.getfixturevalue(broken)
    pids = {name: p.pid for name, p in site.installation.processes.items()}
    made = Round(site, seed)
    try:
        with made:
            for _ in range(crashes):
                made.wait_progress()
                server.crash()
                callers_are_told_to_come_back(site)
                server.start()
                processes.wait_until(
                    lambda: status(site, "/healthcheck/ready") == 200, "it is ready", 60
                )
            made.wait_progress()
        nothing_lost(made)
    finally:
        made.close()
    site.installation.require_alive()
    assert {name: p.pid for name, p in site.installation.processes.items()} == pids


def callers_are_told_to_come_back(site: Site) -> None:
    assert status(site, "/healthcheck") == 200
    # the answer is remembered for a second
    processes.wait_until(
        lambda: status(site, "/healthcheck/ready") == 503, "the database is missed", 10
    )
    # each is tried for some seconds before it is given up
    with futures.ThreadPoolExecutor() as pool:
        reading = pool.submit(status, site, "/v2/executions")
        writing = pool.submit(status, site, "/v2/environments", "POST", {"name": "e"})
    assert (reading.result(), writing.result()) == (503, 503)
