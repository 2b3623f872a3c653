"""Fixtures that every test may use: databases, the broker, and the ``long`` marker.

Where the services are: PostgreSQL 127.0.0.1:5432 (user postgres, no password), MariaDB
127.0.0.1:3306 (user root, no password), RabbitMQ 127.0.0.1:5672 (guest/guest);
MISTRAL_TEST_POSTGRESQL_URL, MISTRAL_TEST_MARIADB_URL and MISTRAL_TEST_RABBITMQ_URL say otherwise.
A test whose service is missing is skipped, or fails with MISTRAL_TEST_REQUIRE_SERVICES=1.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import services


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
    try:
        return services.Service.find(kind)
    except services.ServiceMissing as error:
        if os.environ.get("MISTRAL_TEST_REQUIRE_SERVICES") == "1":
            pytest.fail(f"{error} (MISTRAL_TEST_REQUIRE_SERVICES=1)", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgresql() -> services.Service:
    """The PostgreSQL server."""
    return _find("postgresql")


@pytest.fixture(scope="session")
def mariadb() -> services.Service:
    """The MariaDB or MySQL server."""
    return _find("mariadb")


@pytest.fixture(scope="session")
def rabbitmq() -> services.Service:
    """The RabbitMQ server."""
    return _find("rabbitmq")


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
