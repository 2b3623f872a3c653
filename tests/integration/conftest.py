"""Installations of several processes on PostgreSQL or MariaDB and RabbitMQ."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import cluster
import processes
import pytest
import services
from flows import Flows

from mistral.db import invariants
from mistral.db.transaction import Database
from mistral.utils import clock


@contextlib.contextmanager
def running(
    database: services.Service, broker: services.Service, run_dir: Path
) -> Iterator[cluster.Cluster]:
    """API, two engines and two executors; at the end they stop and nothing is stuck."""
    with database.new_database() as url:
        suffix = f"_{secrets.token_hex(6)}"
        sections = cluster.broker_sections(processes.free_port(), url, broker.url, suffix)
        with cluster.Cluster(run_dir, sections) as installation:
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


@pytest.fixture(scope="session")
def postgresql_cluster(
    postgresql: services.Service,
    rabbitmq: services.Service,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[cluster.Cluster]:
    """An installation on PostgreSQL."""
    with running(postgresql, rabbitmq, tmp_path_factory.mktemp("postgresql")) as installation:
        yield installation


@pytest.fixture(scope="session")
def mariadb_cluster(
    mariadb: services.Service,
    rabbitmq: services.Service,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[cluster.Cluster]:
    """An installation on MariaDB."""
    with running(mariadb, rabbitmq, tmp_path_factory.mktemp("mariadb")) as installation:
        yield installation


@pytest.fixture(params=["postgresql", "mariadb"])
def installation(request: pytest.FixtureRequest) -> cluster.Cluster:
    """Each of the installations in turn."""
    found: cluster.Cluster = request.getfixturevalue(f"{request.param}_cluster")
    return found


@pytest.fixture
def flows(installation: cluster.Cluster) -> Flows:
    """A client of the installation, in a namespace of its own."""
    return Flows(installation.url)
