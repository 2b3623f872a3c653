"""Two nodes of a Galera cluster, both written to: who loses a certification runs again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

import cluster
import processes
import pytest
import services
import sqlalchemy as sa
from load_round import Round
from private_databases import PrivateMariaDB
from site_processes import Site

from mistral.db.core.database import Database

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


class SpreadSite(Site):
    """The second of each kind of process works on the second node."""

    second_url = ""

    def start(self, name: str) -> None:
        kind, _, number = name.partition("-")
        if number == "1" or kind == "executor":
            super().start(name)
            return
        overrides: dict[str, dict[str, object]] = {"database": {"connection": self.second_url}}
        if kind == "engine":
            overrides["engine"] = {"host": name}
        else:
            overrides["api"] = {"port": self._ports[name]}
        self.installation.start(name, kind, overrides)


def conflicts(url: str) -> int:
    """How many transactions of a node lost against one of another node."""
    database = Database(url)
    names = ("wsrep_local_cert_failures", "wsrep_local_bf_aborts")
    question = f"SHOW STATUS WHERE Variable_name IN {names}"
    rows = database.read(lambda conn: conn.execute(sa.text(question)).all())
    database.close()
    return sum(int(row[1]) for row in rows)


def test_contention_between_nodes(
    galera_nodes: Sequence[PrivateMariaDB],
    rabbitmq: services.Service,
    tmp_path: Path,
    seed: int,
    nothing_lost: Callable[[Round], None],
) -> None:
    nodes = galera_nodes
    with nodes[0].service.new_database() as url:
        suffix = f"_{secrets.token_hex(6)}"
        sections = cluster.broker_sections(
            processes.free_port(), url, rabbitmq.url, suffix, connections=cluster.FEW_CONNECTIONS
        )
        with SpreadSite(tmp_path, sections, apis=2) as site:
            site.second_url = url.replace(f":{nodes[0].port}/", f":{nodes[1].port}/")
            site.start_all()
            made = Round(site, seed, rate=6.0)
            try:
                with made:
                    made.wait_progress(80, 240)
                nothing_lost(made)
            finally:
                made.close()
            found = [conflicts(url), conflicts(site.second_url)]
            print("conflicts", found)
            assert sum(found) > 0
            site.installation.require_alive()
