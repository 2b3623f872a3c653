"""An installation whose processes the tests kill: an API, one engine, one executor.

The API is shared; each test starts the engine and the executor that it needs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import cluster
import private_brokers
import processes
import pytest
import services
from flows import Flows
from load_round import Round
from site_processes import Site

from mistral.db import invariants
from mistral.db.transaction import Database
from mistral.utils import clock
from mistral.utils.faults import ENVIRONMENT_VARIABLE


@pytest.fixture(scope="session")
def sections(postgresql_url: str, rabbitmq: services.Service) -> dict[str, dict[str, object]]:
    """The configuration; a start that no engine answers is given up soon."""
    suffix = f"_{secrets.token_hex(6)}"
    found = cluster.broker_sections(
        processes.free_port(),
        postgresql_url,
        rabbitmq.url,
        suffix,
        connections=cluster.FEW_CONNECTIONS,
    )
    found["api"]["engine_timeout"] = 3
    # what a dead executor held is lost after 6 seconds
    found["action_heartbeat"] = dict(HEARTBEAT)
    return found


@pytest.fixture(scope="session")
def running_api(
    sections: dict[str, dict[str, object]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[cluster.Cluster]:
    """The API alone."""
    with cluster.Cluster(tmp_path_factory.mktemp("faults"), sections) as installation:
        installation.prepare_database()
        installation.start("api", "api")
        installation.wait_ready()
        yield installation
        found = Database(str(sections["database"]["connection"]))
        stuck = found.read(lambda conn: invariants.check(conn, clock.utc_now()))
        found.close()
        assert stuck == []


class Victims:
    """The engine and the executor of one test."""

    def __init__(self, installation: cluster.Cluster) -> None:
        self.installation = installation

    def engine(self, faults: str = "") -> None:
        """Start the engine, with fault points or without."""
        environment = {ENVIRONMENT_VARIABLE: faults} if faults else None
        self.installation.start_engine("engine", environment)

    def executor(self) -> None:
        """Start the executor."""
        self.installation.start_executor("executor")

    def kill(self, name: str) -> None:
        """kill -9."""
        self.installation.kill(name)

    def stop(self, name: str) -> None:
        """SIGTERM, which has to be enough; what runs may end first (graceful_shutdown_timeout)."""
        assert self.installation.stop(name, 90), self.installation.log_tails()

    def wait_dead(self, name: str) -> None:
        """Until a fault point has killed the process."""
        process = self.installation.processes[name]
        processes.wait_until(lambda: not process.alive(), f"{name} is killed", 60)

    def wait_working(self) -> None:
        """Until the engine answers."""
        processes.wait_until(
            lambda: processes.answers("GET", f"{self.installation.url}/healthcheck/ready"),
            "an engine answers",
        )


@pytest.fixture
def victims(running_api: cluster.Cluster) -> Iterator[Victims]:
    """Processes to kill; none is left behind, and the API lives on."""
    yield Victims(running_api)
    for name, process in running_api.processes.items():
        if name != "api":
            process.kill()
    running_api.processes["api"].require_alive()


@pytest.fixture
def flows(running_api: cluster.Cluster) -> Flows:
    """A client in a namespace of its own."""
    return Flows(running_api.url)


HEARTBEAT = {"check_interval": 2, "max_missed_heartbeats": 3}


@contextlib.contextmanager
def site_of(
    run_dir: Path, database: services.Service, transport_url: str, rpc: str = "oslo", apis: int = 1
) -> Iterator[Site]:
    """APIs, two engines and two executors for rounds under load; silence of 6 s is death."""
    with database.new_database() as url:
        suffix = f"_{secrets.token_hex(6)}"
        port = processes.free_port()
        sections = cluster.broker_sections(
            port, url, transport_url, suffix, rpc, connections=cluster.FEW_CONNECTIONS
        )
        sections["action_heartbeat"] = dict(HEARTBEAT)
        # a start that no engine answers is given up soon
        sections["api"]["engine_timeout"] = 3
        with Site(run_dir, sections, apis=apis) as running:
            running.start_all()
            yield running


@pytest.fixture(scope="session")
def site(
    postgresql: services.Service,
    rabbitmq: services.Service,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """A site with two APIs on PostgreSQL and the shared RabbitMQ."""
    run_dir = tmp_path_factory.mktemp("site")
    with site_of(run_dir, postgresql, rabbitmq.url, apis=2) as running:
        yield running


@dataclasses.dataclass(frozen=True)
class BrokerSite:
    """A site with a broker that may be restarted."""

    broker: private_brokers.PrivateBroker
    site: Site


@pytest.fixture
def broker_site(
    request: pytest.FixtureRequest, postgresql: services.Service, tmp_path: Path
) -> Iterator[BrokerSite]:
    """A site on a private broker of the kind that the test names: its class and the library."""
    kind, rpc = request.param
    if private_brokers.found(*kind.commands) is None:
        pytest.skip(f"{kind.name} is not installed")
    with (
        kind(tmp_path / "broker") as broker,
        site_of(tmp_path / "site", postgresql, broker.url, rpc) as running,
    ):
        yield BrokerSite(broker, running)


@pytest.fixture
def seed() -> int:
    """What a round does; MISTRAL_FAULTS_SEED repeats one."""
    found = int(os.environ.get("MISTRAL_FAULTS_SEED") or secrets.randbelow(1_000_000))
    print(f"MISTRAL_FAULTS_SEED={found}")
    return found


@pytest.fixture
def under_load(site: Site, seed: int) -> Iterator[Round]:
    """A round on the site; to be entered by the test."""
    made = Round(site, seed)
    yield made
    made.close()


@pytest.fixture
def nothing_lost() -> Callable[[Round], None]:
    """The end of a round: everything has ended, once, and nothing is stuck."""

    def check(ended: Round) -> None:
        found = ended.finish()
        print(found.counts)
        assert found.problems == [], f"seed {ended.seed}\n" + "\n".join(found.problems)
        assert found.counts.starts_acknowledged > 0
        assert found.counts.unsafe_starts > 0

    return check
