"""The broker is killed under load and comes back empty: no message was the only trace of work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from load_round import Round
from private_brokers import PrivateRabbitMQ, PrivateRedis

LONG_RESTARTS = 5


@pytest.fixture
def round_of_broker(broker_site: Any, seed: int) -> Iterator[Round]:
    """A round on the site with the private broker."""
    made = Round(broker_site.site, seed)
    yield made
    made.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("broker_site", "restarts"),
    [
        pytest.param((PrivateRabbitMQ, "oslo"), 1, id="rabbitmq-oslo"),
        pytest.param(
            (PrivateRabbitMQ, "oslo"), LONG_RESTARTS, marks=pytest.mark.long, id="rabbitmq-oslo-5"
        ),
        pytest.param(
            (PrivateRabbitMQ, "kombu"), LONG_RESTARTS, marks=pytest.mark.long, id="rabbitmq-kombu-5"
        ),
        pytest.param(
            (PrivateRedis, "kombu"), LONG_RESTARTS, marks=pytest.mark.long, id="redis-kombu-5"
        ),
    ],
    indirect=["broker_site"],
)
def test_killed_emptied_and_started_again(
    broker_site: Any,
    round_of_broker: Round,
    nothing_lost: Callable[[Round], None],
    restarts: int,
) -> None:
    with round_of_broker as under_load:
        for _ in range(restarts):
            under_load.wait_progress()
            broker_site.broker.restart(purge=True)
            broker_site.site.installation.require_alive()
        under_load.wait_progress()
    nothing_lost(under_load)
    # no process had to be started again
    broker_site.site.installation.require_alive()
