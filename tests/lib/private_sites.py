"""Sites for rounds under load, on databases and brokers that may be broken."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import cluster
import private_databases
import processes
import services
from private_brokers import PrivateBroker, PrivateRabbitMQ, found
from private_databases import PrivateServer
from site_processes import Site

#: Silence of 6 s is death.
HEARTBEAT = {"check_interval": 2, "max_missed_heartbeats": 3}


@dataclasses.dataclass(frozen=True)
class PrivateSite:
    """A site, and what nobody else uses of that on which it works."""

    site: Site
    database: PrivateServer
    broker: PrivateBroker


@contextlib.contextmanager
def running_site(
    run_dir: Path, database: services.Service, transport_url: str, rpc: str = "oslo", apis: int = 1
) -> Iterator[Site]:
    """APIs, two engines and two executors."""
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


def private_broker(kind: type[PrivateBroker], directory: Path) -> PrivateBroker:
    """A broker that is still to be started.

    :raises ServiceMissing: it is not installed.
    """
    if found(*kind.commands) is None:
        raise services.ServiceMissing(f"{kind.name} is not installed: no private broker to break")
    return kind(directory)


@contextlib.contextmanager
def usual(run_dir: Path) -> Iterator[PrivateSite]:
    """A site with two APIs on PostgreSQL and RabbitMQ.

    :raises ServiceMissing: one of them is not installed.
    """
    broker = private_broker(PrivateRabbitMQ, run_dir / "broker")
    with contextlib.ExitStack() as stack:
        # both take long
        boot = stack.enter_context(futures.ThreadPoolExecutor())
        stack.callback(broker.kill)
        ready = boot.submit(broker.start)
        database = stack.enter_context(private_databases.postgresql())
        ready.result()
        site = running_site(run_dir / "site", database.service, broker.url, apis=2)
        yield PrivateSite(stack.enter_context(site), database, broker)
