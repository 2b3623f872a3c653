"""``tools/soak``: what it plans, what it reports, and that it says so when something is lost."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import chaos
import pytest

SOAK = Path(__file__).resolve().parents[2] / "tools" / "lib" / "soak.py"
NAMES = ["api-1", "engine-1", "engine-2", "executor-1", "executor-2"]


def test_a_plan_spreads_the_kills_and_is_repeated_by_its_seed() -> None:
    def planned(seed: int) -> list[chaos.Step]:
        rng = random.Random(seed)
        return chaos.plan(rng, 720, NAMES, kills=200, stops=4, brokers=2)

    steps = planned(1)
    assert steps == planned(1) != planned(2)
    kills = [step for step in steps if step.what == chaos.KILL]
    assert {name: [k.name for k in kills].count(name) for name in NAMES} == dict.fromkeys(NAMES, 40)
    stopped = [step.name for step in steps if step.what == chaos.STOP]
    assert len(stopped) == 4 and not any(name.startswith("api") for name in stopped)
    assert len([step for step in steps if step.what == chaos.BROKER]) == 2
    assert steps[0].at >= 0 and steps[-1].at <= 720
    measured = [step.at for step in kills if step.measured]
    assert len(measured) == chaos.MOST_MEASURED
    for at in measured:
        near = [k.at for k in kills if 0 < k.at - at < chaos.CALM_AFTER]
        assert near == []


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_short_soak_loses_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    options = ["--minutes", "0.7", "--kills", "8", "--stops", "1", "--heartbeat", "2x3"]
    done = subprocess.run(
        [sys.executable, str(SOAK), *options, "--report", str(report)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    found = json.loads(report.read_text())
    assert found["problems"] == []
    assert found["kills"] == 8
    assert found["counts"]["lost"] == 0
    assert found["counts"]["starts_effective"] > 0
    assert found["memory"]
    assert found["recoveries"]
