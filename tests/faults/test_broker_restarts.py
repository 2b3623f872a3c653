"""The broker is killed under load and comes back empty: no message was the only trace of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import services
from load_round import Round
from private_brokers import PrivateBroker, PrivateRabbitMQ, PrivateRedis
from site_processes import Site

from tests.lib import private_sites
from tests.lib.needed import needed
from tests.lib.private_sites import PrivateSite

Broken = tuple[PrivateBroker, Site]


@pytest.fixture
def broken(
    request: pytest.FixtureRequest, postgresql: services.Service, tmp_path: Path
) -> Iterator[Broken]:
    """The broker that may be broken, and a site that works with it by the library that is named."""
    kind, rpc = request.param
    if (kind, rpc) == (PrivateRabbitMQ, "oslo"):
        found: PrivateSite = request.getfixturevalue("private_site")
        yield found.broker, found.site
        return
    with needed():
        broker = private_sites.private_broker(kind, tmp_path / "broker")
    with broker, private_sites.running_site(tmp_path, postgresql, broker.url, rpc) as site:
        yield broker, site


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("broken", "restarts"),
    [
        pytest.param((PrivateRabbitMQ, "oslo"), 1, id="rabbitmq-oslo"),
        pytest.param((PrivateRabbitMQ, "oslo"), 5, marks=pytest.mark.long, id="rabbitmq-oslo-5"),
        pytest.param((PrivateRabbitMQ, "kombu"), 5, marks=pytest.mark.long, id="rabbitmq-kombu-5"),
        pytest.param((PrivateRedis, "kombu"), 5, marks=pytest.mark.long, id="redis-kombu-5"),
    ],
    indirect=["broken"],
)
def test_killed_emptied_and_started_again(
    broken: Broken, seed: int, nothing_lost: Callable[[Round], None], restarts: int
) -> None:
    broker, site = broken
    made = Round(site, seed)
    try:
        with made:
            for _ in range(restarts):
                made.wait_progress()
                broker.restart(purge=True)
                site.installation.require_alive()
            made.wait_progress()
        nothing_lost(made)
    finally:
        made.close()
    # no process had to be started again
    site.installation.require_alive()
