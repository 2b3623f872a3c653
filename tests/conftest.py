"""Fixtures that every test may use: databases, brokers, and the ``long`` marker.

Where the services are: PostgreSQL 127.0.0.1:5432 (user postgres, no password), MariaDB
127.0.0.1:3306 (user root, no password), RabbitMQ 127.0.0.1:5672 (guest/guest), Redis
127.0.0.1:6379; MISTRAL_TEST_POSTGRESQL_URL, MISTRAL_TEST_MARIADB_URL, MISTRAL_TEST_RABBITMQ_URL and
MISTRAL_TEST_REDIS_URL say otherwise.
A test whose service is missing is skipped, or fails with MISTRAL_TEST_REQUIRE_SERVICES=1.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import cluster
import private_databases
import processes
import pytest
import services

from mistral.db.core import tables
from mistral.db.core.database import Database
from mistral.db.operations import invariants
from mistral.utils import clock
from tests.lib import flows as flows_client
from tests.lib import third_party as third_party_service
from tests.lib.needed import needed


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--long`` adds the tests that take long."""
    parser.addoption("--long", action="store_true", help="run the tests marked 'long', too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long tests out unless asked for."""
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]


def _find(kind: str) -> services.Service:
    with needed():
        return services.Service.find(kind)


@pytest.fixture(scope="session")
def postgresql() -> services.Service:
    """The PostgreSQL server."""
    return _find("postgresql")


@pytest.fixture(scope="session")
def mariadb() -> services.Service:
    """The MariaDB or MySQL server."""
    return _find("mariadb")


@pytest.fixture
def private_postgresql() -> Iterator[private_databases.PrivateServer]:
    """A PostgreSQL server of the test's own, to break."""
    with contextlib.ExitStack() as stack:
        with needed():
            server = stack.enter_context(private_databases.postgresql())
        yield server


@pytest.fixture
def private_mariadb() -> Iterator[private_databases.PrivateServer]:
    """A MariaDB server of the test's own, to break."""
    with contextlib.ExitStack() as stack:
        with needed():
            server = stack.enter_context(private_databases.mariadb())
        yield server


@pytest.fixture
def galera_nodes() -> Iterator[list[private_databases.PrivateMariaDB]]:
    """Two nodes of a Galera cluster of the test's own."""
    with contextlib.ExitStack() as stack:
        with needed():
            nodes = stack.enter_context(private_databases.galera())
        yield nodes


@pytest.fixture(scope="session")
def rabbitmq() -> services.Service:
    """The RabbitMQ server."""
    return _find("rabbitmq")


@pytest.fixture(scope="session")
def redis() -> services.Service:
    """The Redis server."""
    return _find("redis")


@pytest.fixture(scope="session")
def rabbitmq_url(rabbitmq: services.Service) -> str:
    """The broker as a ``transport_url``; use :func:`unique_suffix` in topics, it is shared."""
    return rabbitmq.url


@pytest.fixture
def unique_suffix() -> str:
    """Something random for names in a service that is shared."""
    return f"_{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def postgresql_url(postgresql: services.Service) -> Iterator[str]:
    """The SQLAlchemy URL of this run's PostgreSQL database; what is in it is up to its users."""
    with postgresql.new_database() as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url(mariadb: services.Service) -> Iterator[str]:
    """The SQLAlchemy URL of this run's MariaDB database; what is in it is up to its users."""
    with mariadb.new_database() as url:
        yield url


@pytest.fixture
def fresh_postgresql_url(postgresql: services.Service) -> Iterator[str]:
    """An empty PostgreSQL database for one test."""
    with postgresql.new_database() as url:
        yield url


@pytest.fixture
def fresh_mariadb_url(mariadb: services.Service) -> Iterator[str]:
    """An empty MariaDB database for one test."""
    with mariadb.new_database() as url:
        yield url


@pytest.fixture
def fresh_sqlite_url(tmp_path: Path) -> str:
    """An SQLite database for one test; the file does not exist yet."""
    return f"sqlite:///{tmp_path / 'mistral.sqlite'}"


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database with all tables: SQLite, or what a test's parameter names."""
    kind = getattr(request, "param", "sqlite")
    found = Database(request.getfixturevalue(f"fresh_{kind}_url"))
    found.write(tables.metadata.create_all)
    yield found
    found.close()


def assert_nothing_is_stuck(database_url: str) -> None:
    """Every live row has a reason to move on (law 6)."""
    database = Database(database_url)
    try:
        found = database.read(lambda conn: invariants.check(conn, clock.utc_now()))
    finally:
        database.close()
    assert found == [], "\n".join(str(violation) for violation in found)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cluster.Cluster]:
    """The embedded service as one process, for all tests that only need some service.

    At the end it has to stop by itself and to leave nothing behind that is stuck.
    """
    run_dir = tmp_path_factory.mktemp("embedded")
    url = f"sqlite:///{run_dir / 'mistral.sqlite'}"
    sections = cluster.embedded_sections(processes.free_port(), url)
    with cluster.Cluster(run_dir, sections) as installation:
        installation.prepare_database()
        installation.start("mistral", "all")
        installation.wait_ready()
        installation.wait_working()
        yield installation
        installation.require_alive()
        assert_nothing_is_stuck(url)
        assert installation.stop_all() == [], installation.log_tails()


@pytest.fixture
def flows(embedded: cluster.Cluster) -> flows_client.Flows:
    """A client of the embedded service, in a namespace of its own."""
    return flows_client.Flows(embedded.url)


@pytest.fixture
def embedded_database(embedded: cluster.Cluster) -> Iterator[Database]:
    """The embedded service's database, to look at."""
    database = Database(str(embedded.sections["database"]["connection"]))
    yield database
    database.close()


@pytest.fixture
def third_party() -> Iterator[third_party_service.ThirdParty]:
    """A web service that actions may call."""
    with third_party_service.running() as server:
        yield server
