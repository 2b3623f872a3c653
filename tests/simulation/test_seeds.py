"""Random runs: new seeds each time, those that once failed always.

A failing seed is printed; ``python -m tests.simulation --seed N`` replays it. The variables
MISTRAL_SIMULATION_FIRST_SEED and MISTRAL_SIMULATION_SEEDS choose other seeds.
"""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.simulation.coverage import Coverage
from tests.simulation.floor import FLOOR, LONG_FLOOR
from tests.simulation.kept_seeds import KEPT
from tests.simulation.run import run_seed

ROOT = Path(__file__).resolve().parents[2]
USUAL, LONG = 300, 20_000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Crashes and refusals are what the runs are about: the engine's logs tell nothing new."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def _first_seed() -> int:
    given = os.environ.get("MISTRAL_SIMULATION_FIRST_SEED")
    return int(given) if given else secrets.randbelow(1 << 40)


def _run(seeds: Iterable[int], coverage: Coverage, one_writer: bool = False) -> list[str]:
    failed = []
    for seed in seeds:
        result = run_seed(seed, coverage=coverage, one_writer=one_writer)
        failed += [f"seed {seed}: {finding}"[:500] for finding in result.findings]
    return failed


@pytest.mark.parametrize("seed", sorted(KEPT), ids=str)
def test_a_seed_that_once_failed(seed: int) -> None:
    result = run_seed(seed)
    assert not result.failed, f"{KEPT[seed]}: {[str(f) for f in result.findings]}"


@pytest.mark.timeout(300)
def test_new_seeds() -> None:
    coverage, first = Coverage(), _first_seed()
    failed = _run(range(first, first + USUAL), coverage)
    assert not failed, "\n".join([*failed, "replay: python -m tests.simulation --seed N"])
    assert coverage.missing(FLOOR) == [], f"first seed {first}\n{coverage.report()}"


@pytest.mark.timeout(300)
def test_new_seeds_with_one_writer() -> None:
    """Decisions are made on snapshots, as with SQLite."""
    first = _first_seed()
    failed = _run(range(first, first + USUAL // 3), Coverage(), one_writer=True)
    text = "replay: python -m tests.simulation --one-writer --seed N"
    assert not failed, "\n".join([*failed, text])


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
def test_very_many_seeds() -> None:
    coverage, first = Coverage(), _first_seed()
    count = int(os.environ.get("MISTRAL_SIMULATION_SEEDS", LONG))
    failed = _run(range(first, first + count), coverage)
    assert not failed, "\n".join([*failed, "replay: python -m tests.simulation --seed N"])
    assert coverage.missing(LONG_FLOOR) == [], f"first seed {first}\n{coverage.report()}"


def test_a_seed_replays_exactly() -> None:
    checksums = {run_seed(7, compare=False).checksum for _ in range(2)}
    for hash_seed in ("1", "2"):
        command = [sys.executable, "-m", "tests.simulation", "--seed", "7"]
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
        line = next(text for text in done.stdout.splitlines() if text.startswith("checksum"))
        checksums.add(int(line.split()[1].rstrip(",")))
    assert len(checksums) == 1
