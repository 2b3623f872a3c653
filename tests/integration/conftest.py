"""Installations of several processes: each database and each way to send messages, in pairs."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

import cluster
import processes
import pytest
import services

from mistral.db.core.database import Database
from mistral.db.operations import invariants
from mistral.utils import clock
from tests.lib.flows import Flows


@dataclasses.dataclass(frozen=True)
class Pair:
    """A database, a broker and the library that talks to it."""

    database: str
    broker: str
    rpc: str


PAIRS = {
    "postgresql-oslo": Pair("postgresql", "rabbitmq", "oslo"),
    "mariadb-kombu": Pair("mariadb", "rabbitmq", "kombu"),
    "postgresql-redis": Pair("postgresql", "redis", "kombu"),
}


@contextlib.contextmanager
def running(
    database: services.Service, broker: services.Service, rpc: str, run_dir: Path
) -> Iterator[cluster.Cluster]:
    """API, two engines and two executors; at the end they stop and nothing is stuck."""
    with database.new_database() as url:
        suffix = f"_{secrets.token_hex(6)}"
        sections = cluster.broker_sections(
            processes.free_port(), url, broker.url, suffix, rpc, connections=cluster.FEW_CONNECTIONS
        )
        with (
            broker.forgotten_names(f"mistral{suffix}"),
            cluster.Cluster(run_dir, sections) as installation,
        ):
            installation.prepare_database()
            installation.start_all(engines=2, executors=2)
            installation.wait_ready()
            installation.wait_working()
            yield installation
            installation.require_alive()
            found = Database(url)
            stuck = found.read(lambda conn: invariants.check(conn, clock.utc_now()))
            found.close()
            assert stuck == []
            assert installation.stop_all() == [], installation.log_tails()


class Installations:
    """Starts the installation of a pair when it is first asked for."""

    def __init__(
        self,
        stack: contextlib.ExitStack,
        request: pytest.FixtureRequest,
        directories: pytest.TempPathFactory,
    ) -> None:
        self._stack = stack
        self._request = request
        self._directories = directories
        self._running: dict[str, cluster.Cluster] = {}

    def of(self, name: str) -> cluster.Cluster:
        """The installation of a pair; skipped when one of its services is missing."""
        if name not in self._running:
            pair = PAIRS[name]
            self._running[name] = self._stack.enter_context(
                running(
                    self._request.getfixturevalue(pair.database),
                    self._request.getfixturevalue(pair.broker),
                    pair.rpc,
                    self._directories.mktemp(name),
                )
            )
        return self._running[name]


@pytest.fixture(scope="session")
def installations(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installations]:
    """All that run in this session."""
    with contextlib.ExitStack() as stack:
        yield Installations(stack, request, tmp_path_factory)


@pytest.fixture(params=PAIRS)
def installation(request: pytest.FixtureRequest, installations: Installations) -> cluster.Cluster:
    """Each of the installations in turn."""
    return installations.of(request.param)


@pytest.fixture
def flows(installation: cluster.Cluster) -> Flows:
    """A client of the installation, in a namespace of its own."""
    return Flows(installation.url)
