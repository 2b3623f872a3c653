"""Processes are killed under a load of mixed workflows: what was promised happens, once."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from load_round import Round

LONG_KILLS = 30


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kinds", "kills"),
    [
        pytest.param(("api", "engine", "executor"), 6, id="each"),
        pytest.param(("engine",), LONG_KILLS, marks=pytest.mark.long, id="engines"),
        pytest.param(("executor",), LONG_KILLS, marks=pytest.mark.long, id="executors"),
        pytest.param(("api",), LONG_KILLS, marks=pytest.mark.long, id="api"),
    ],
)
def test_kill_and_start_again(
    under_load: Round, nothing_lost: Callable[[Round], None], kinds: tuple[str, ...], kills: int
) -> None:
    names = [name for name in under_load.site.names if name.partition("-")[0] in kinds]
    random.Random(under_load.seed).shuffle(names)
    with under_load:
        for number in range(kills):
            under_load.wait_progress()
            under_load.site.kill(names[number % len(names)])
        under_load.wait_progress()
    nothing_lost(under_load)
