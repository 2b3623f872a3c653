"""Processes that are stopped for longer than their silence is tolerated, and then go on.

Nobody sees a difference to a dead host until they wake up: with claims that others have given up,
with results that nobody waits for any more, with locks and leases of another time.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import processes
import pytest
from load_round import Round

SILENCE = 8.0


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("names", "times"),
    [
        pytest.param(("engine-1", "executor-1"), 1, id="an-engine-and-an-executor"),
        pytest.param(("engine-2",), 4, marks=pytest.mark.long, id="an-engine"),
        pytest.param(("executor-2",), 4, marks=pytest.mark.long, id="an-executor"),
        pytest.param(("executor-1", "executor-2"), 2, marks=pytest.mark.long, id="all-executors"),
    ],
)
def test_stop_and_go_on(
    under_load: Round,
    nothing_lost: Callable[[Round], None],
    names: tuple[str, ...],
    times: int,
) -> None:
    site = under_load.site
    with under_load:
        for _ in range(times):
            under_load.wait_progress()
            try:
                for name in names:
                    site.suspend(name)
                if {"executor-1", "executor-2"} <= set(names):
                    time_passes(SILENCE)
                else:
                    under_load.wait_progress_for(SILENCE)
            finally:
                for name in names:
                    site.resume(name)
        under_load.wait_progress()
    nothing_lost(under_load)


def time_passes(seconds: float) -> None:
    """While nothing can end."""
    until = time.monotonic() + seconds
    processes.wait_until(lambda: time.monotonic() >= until, "time passes", seconds + 10)
