"""An installation whose processes the tests kill: an API, one engine, one executor.

The API is shared; each test starts the engine and the executor that it needs.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator

import cluster
import processes
import pytest
import services
from load_round import Round
from site_processes import Site

from mistral.db.core.database import Database
from mistral.db.operations import invariants
from mistral.utils import clock
from mistral.utils.faults import ENVIRONMENT_VARIABLE
from tests.lib import private_sites
from tests.lib.flows import Flows
from tests.lib.needed import needed
from tests.lib.private_sites import PrivateSite


@pytest.fixture(scope="session")
def sections(postgresql_url: str, rabbitmq: services.Service) -> dict[str, dict[str, object]]:
    """The configuration; a start that no engine answers is given up before a test's patience is."""
    suffix = f"_{secrets.token_hex(6)}"
    found = cluster.broker_sections(
        processes.free_port(),
        postgresql_url,
        rabbitmq.url,
        suffix,
        connections=cluster.FEW_CONNECTIONS,
    )
    found["api"]["engine_timeout"] = 10
    # what a dead executor held is lost after 6 seconds
    found["action_heartbeat"] = dict(private_sites.HEARTBEAT)
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
        """Until those that were started work, and the API finds so as well.

        It remembers for a second what it found: maybe the engine of the test before.
        """
        for name in ("engine", "executor"):
            self.installation.wait_started(name)
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


@pytest.fixture(scope="session")
def private_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSite]:
    """A site with two APIs on PostgreSQL and RabbitMQ, all of its own: it may be broken."""
    with contextlib.ExitStack() as stack:
        with needed():
            found = stack.enter_context(private_sites.usual(tmp_path_factory.mktemp("site")))
        yield found


@pytest.fixture(scope="session")
def site(private_site: PrivateSite) -> Site:
    """The processes of the private site."""
    return private_site.site


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
