"""Bugs that were planted on purpose are found."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.run import run_seed

LIMIT = 2000


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """A broken engine complains a lot."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(MUTANTS))
def test_a_planted_bug_is_found(name: str) -> None:
    planted = MUTANTS[name]
    for seed in range(planted.first, planted.first + LIMIT):
        result = run_seed(seed, one_writer=planted.one_writer, mutant=planted.mutant)
        kinds = {finding.kind for finding in result.findings}
        if kinds & planted.noticed_as and not run_seed(seed, one_writer=planted.one_writer).failed:
            return
    pytest.fail(f"{LIMIT} seeds did not show that '{name}' was planted")
