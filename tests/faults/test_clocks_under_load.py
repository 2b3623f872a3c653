"""Clocks that are set under load: timers fire, nobody is taken for dead, nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from load_round import Round
from site_processes import Site

from mistral.utils.clock import ENVIRONMENT_VARIABLE

#: Seconds, ahead or back; some time after the process has begun to work.
JUMPS = {"api-1": -3600, "engine-1": 3600, "executor-1": -3600}
DELAY = 4
LONG_AFTER = 10.0


@pytest.fixture
def jumping_site(site: Site) -> Iterator[Site]:
    """The site; its clocks are right again afterwards."""
    yield site
    site.environments.clear()
    for name in JUMPS:
        site.kill(name)
    site.installation.wait_working()


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_clocks_of_some_hosts_jump(
    jumping_site: Site, under_load: Round, nothing_lost: Callable[[Round], None], sign: int
) -> None:
    with under_load:
        for name, seconds in JUMPS.items():
            jump = f"{seconds * sign}@{DELAY}"
            jumping_site.environments[name] = {ENVIRONMENT_VARIABLE: jump}
            jumping_site.kill(name)
        under_load.wait_progress_for(LONG_AFTER)
        under_load.wait_progress(10)
    nothing_lost(under_load)
