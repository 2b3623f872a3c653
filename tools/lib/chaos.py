"""What befalls an installation during a soak, decided by a seed: kills, stops, broker restarts.

:func:`plan` makes the time table, :class:`Chaos` carries it out and notes when which process was
killed and what was under way then; :meth:`Chaos.recoveries` tells afterwards, from the ledger, how
long the work took that was there at the moment of a kill.
"""

from __future__ import annotations

import dataclasses
import random
import statistics
import threading
import time
from collections.abc import Sequence

import load_flows
from load import Load, Start
from private_brokers import PrivateBroker
from site_processes import Site

#: Seconds without trouble before and after a kill whose recovery is measured.
CALM_BEFORE, CALM_AFTER = 4.0, 12.0
MOST_MEASURED = 12
PROBES = 5

KILL, STOP, BROKER = "kill", "stop", "broker"


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that happens ``at`` seconds after the beginning to a process."""

    at: float
    what: str
    name: str = ""
    measured: bool = False


def plan(
    rng: random.Random,
    seconds: float,
    names: Sequence[str],
    *,
    kills: int,
    stops: int = 0,
    brokers: int = 0,
) -> list[Step]:
    """Kills go round all processes, each round in another order; the rest comes at random times."""
    calm = CALM_BEFORE + CALM_AFTER
    measured = min(MOST_MEASURED, kills, int(seconds / 2 / calm))
    width = (seconds - measured * calm) / max(1, kills - measured)
    chosen = {int((n + 0.5) * kills / measured) for n in range(measured)}
    victims = _rounds(rng, names, kills)
    steps, now = [], 0.0
    for number, name in enumerate(victims):
        if number in chosen:
            steps.append(Step(now + CALM_BEFORE, KILL, name, measured=True))
            now += calm
        else:
            steps.append(Step(now + rng.uniform(0.2, 0.8) * width, KILL, name))
            now += width
    stoppable = [name for name in names if not name.startswith("api")]
    wild = [step.at for step in steps if not step.measured] or [seconds / 2]
    steps += [Step(rng.choice(wild), STOP, name) for name in _rounds(rng, stoppable, stops)]
    steps += [Step((n + 0.5) * seconds / brokers, BROKER) for n in range(brokers)]
    return sorted(steps, key=lambda step: step.at)


def _rounds(rng: random.Random, names: Sequence[str], count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        found += rng.sample(list(names), len(names))
    return found[:count]


@dataclasses.dataclass
class Kill:
    """A kill whose recovery is measured: the executions that were under way, and later ones."""

    name: str
    at: float
    plain: list[str]
    held: list[str]
    later: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Recovery:
    """Seconds from a kill until the last execution ended: of work of others, and of its own.

    What an executor that dies has in its hands is its own; engines and APIs hold nothing.
    """

    name: str
    others: float | None
    own: float | None


class Chaos:
    """Carries out steps; used by one thread.

    :param stop_seconds: how long a stopped process is silent.
    """

    def __init__(
        self, site: Site, load: Load, stop_seconds: float, broker: PrivateBroker | None = None
    ) -> None:
        self._site = site
        self._load = load
        self._stop_seconds = stop_seconds
        self._broker = broker
        self._suspended: dict[str, float] = {}
        self._probes: list[threading.Thread] = []
        self.kills: dict[str, int] = dict.fromkeys(site.names, 0)
        self.stops = 0
        self.broker_restarts = 0
        self.ended_by_themselves: list[str] = []
        self.measured: list[Kill] = []

    def do(self, step: Step) -> None:
        """One step."""
        if step.what == BROKER and self._broker is not None:
            self._broker.restart(purge=True)
            self.broker_restarts += 1
        elif step.what == STOP and step.name not in self._suspended:
            self._site.suspend(step.name)
            self._suspended[step.name] = time.monotonic() + self._stop_seconds
            self.stops += 1
        elif step.what == KILL:
            self._suspended.pop(step.name, None)
            if step.measured:
                self._kill_and_measure(step.name)
            else:
                self._site.kill(step.name)
            self.kills[step.name] += 1

    def tend(self) -> None:
        """Let go on what was stopped long enough, start again what has ended by itself."""
        for name, until in list(self._suspended.items()):
            if time.monotonic() >= until:
                del self._suspended[name]
                self._site.resume(name)
        for name, process in self._site.installation.processes.items():
            if not process.alive():
                self.ended_by_themselves.append(name)
                self._site.start(name)

    def calm(self) -> None:
        """Everything lives and nothing is stopped."""
        for name in self._suspended:
            self._site.resume(name)
        self._suspended.clear()
        self.tend()
        for thread in self._probes:
            thread.join()

    def recoveries(self) -> list[Recovery]:
        """After the end: what the measured kills cost."""
        starts = self._load.ledger.acknowledged()
        return [
            Recovery(
                kill.name,
                _last(starts, kill.at, [*kill.plain, *kill.later]),
                _last(starts, kill.at, kill.held),
            )
            for kill in self.measured
        ]

    def _kill_and_measure(self, name: str) -> None:
        """Kill in the middle of executions in which nothing waits for anything outside."""
        before = [self._load.start(load_flows.PLAIN) for _ in range(PROBES)]
        live = self._load.ledger.open()
        plain = [id_ for id_, s in live.items() if s.workflow == load_flows.PLAIN]
        kill = Kill(name, time.monotonic(), sorted({*plain, *before}), [])
        if name.startswith("executor"):
            kill.plain, kill.held = [], sorted(live)
        self._site.kill(name)
        self.measured.append(kill)
        for _ in range(PROBES):
            thread = threading.Thread(
                target=lambda: kill.later.append(self._load.start(load_flows.PLAIN))
            )
            thread.start()
            self._probes.append(thread)


def _last(starts: dict[str, Start], since: float, ids: Sequence[str]) -> float | None:
    ends = [starts[id_].ended_at for id_ in ids if id_ in starts]
    known = [end - since for end in ends if end is not None]
    return max(0.0, *known) if known else None


def summary(values: Sequence[float | None]) -> dict[str, float] | None:
    """Median and maximum of what was measured."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    return {"median": round(statistics.median(known), 2), "max": round(max(known), 2)}
