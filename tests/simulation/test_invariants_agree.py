"""The simulator's picture of law 6 and the check for operators say the same of the same rows."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from mistral.db import definitions
from mistral.db.core import entity_rows, tables
from mistral.db.core.database import Database
from mistral.db.operations import invariants
from tests.simulation import law6
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import Simulation, run_until

SEEDS = range(30)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Crashes are wanted here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _copy(sim: Simulation, conn: sa.Connection) -> None:
    """Put the rows of a run into a real database."""
    for table in tables.metadata.tables.values():
        conn.execute(sa.delete(table))
    for kind in entity_rows.TABLES:
        entity_rows.insert(conn, sim.database.all(kind))
    for name, spec in sim.generated.specs.items():
        stored = definitions.StoredSpec.of(name, dict(spec.raw))
        conn.execute(sa.insert(tables.workflow_specs).values(hash=name, content=stored.content))


def _both(database: Database, seed: int, moment: float) -> tuple[list[str], list[str]]:
    sim = run_until(seed, moment)
    picture = law6.Picture(sim.database, sim.catalog.specs, sim.executors.is_alive)
    database.write(lambda conn: _copy(sim, conn))
    now = sim.world.utc_now()
    found = database.read(lambda conn: invariants.check(conn, now))
    return [str(f) for f in picture.findings()], [str(violation) for violation in found]


@pytest.mark.parametrize("moment", [3.0, 9.0, 20.0])
def test_nothing_is_wrong_in_the_middle_of_a_run(database: Database, moment: float) -> None:
    for seed in SEEDS:
        assert _both(database, seed, moment) == ([], []), f"seed {seed}"


@pytest.mark.parametrize(
    "name", ["dropped outbox row", "lost child report", "counter not decremented"]
)
def test_both_see_a_planted_bug(database: Database, name: str) -> None:
    seen = set()
    for seed in SEEDS:
        with MUTANTS[name].mutant():
            ours, theirs = _both(database, seed, 40.0)
        seen.add((bool(ours), bool(theirs)))
    assert (True, True) in seen
    assert (False, True) not in seen
