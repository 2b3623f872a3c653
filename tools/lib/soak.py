"""Behind ``tools/soak``: a continuous load, processes that die under it, and a report.

Clients start mixed workflows and a third party delivers results, both repeating what is not
answered. Meanwhile processes of all kinds are killed (kill -9, started again at once) and stopped
(SIGSTOP). At the end everything that was answered has to have happened, once. Ends with 0 when
nothing was lost, 1 when something was or happened twice, 2 when there was no test.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import random
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import audit
import cluster
import private_brokers
import processes
import services
import tool_options
from chaos import Chaos, Recovery, Step, plan, summary
from load_round import Round
from site_processes import KINDS, Site

LINE_EVERY = 10.0
TICK = 0.2
SETTLE = 120.0
WARM_UP = 10.0
#: What [action_heartbeat] makes of it for claimed actions when it is not set.
DEFAULT_HEARTBEAT = 300.0


@dataclasses.dataclass
class Memory:
    """Resident memory of the process that lived longest under a name."""

    minutes: float
    begin_mb: float
    end_mb: float


class MemoryWatch:
    """Samples the processes; a process counts from the time when it is warm."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lives: dict[tuple[str, int], tuple[float, list[float]]] = {}

    def sample(self) -> None:
        """Look at every process once."""
        for name, process in self._site.installation.processes.items():
            with contextlib.suppress(OSError, StopIteration):
                life = name, process.service_pid
                begun, seen = self._lives.setdefault(life, (time.monotonic(), []))
                if time.monotonic() - begun >= WARM_UP:
                    seen.append(round(process.resident_mb(), 1))

    def longest(self) -> dict[str, Memory]:
        """By name, the life with the most samples."""
        found: dict[str, Memory] = {}
        for (name, _), (_, seen) in self._lives.items():
            minutes = round(len(seen) * LINE_EVERY / 60, 1)
            if seen and (name not in found or minutes > found[name].minutes):
                found[name] = Memory(minutes, seen[0], seen[-1])
        return dict(sorted(found.items()))


class Soak:
    """One run on one site."""

    def __init__(
        self,
        options: argparse.Namespace,
        site: Site,
        broker: private_brokers.PrivateBroker | None,
    ) -> None:
        self._options = options
        self._site = site
        self.round = Round(site, options.seed, rate=options.rate, limit=options.limit)
        window = _heartbeat_window(options.heartbeat)
        self.chaos = Chaos(site, self.round.load, options.stop_seconds, broker)
        self.memory = MemoryWatch(site)
        self._settle = SETTLE + window
        self._begun = self._next_line = 0.0

    def run(self) -> dict[str, Any]:
        """The report."""
        options = self._options
        seconds = options.minutes * 60
        rng = random.Random(options.seed)
        steps = plan(
            rng,
            seconds,
            self._site.names,
            kills=options.kills,
            stops=options.stops,
            brokers=options.broker_restarts,
        )
        self._begun = self._next_line = time.monotonic()
        with self.round:
            for step in [*steps, Step(seconds, "end")]:
                self._wait(step.at)
                self.chaos.do(step)
            self.chaos.calm()
        say("The load has ended, waiting for what is under way ...")
        found = self.round.finish(self._settle)
        self.memory.sample()
        return self._report(found)

    def close(self) -> None:
        """End the third party."""
        self.round.close()

    def _wait(self, at: float) -> None:
        while (left := self._begun + at - time.monotonic()) > 0:
            self.chaos.tend()
            if time.monotonic() >= self._next_line:
                self._next_line += LINE_EVERY
                self.memory.sample()
                self._line()
            time.sleep(min(TICK, left))

    def _line(self) -> None:
        ledger, callbacks = self.round.load.ledger, self.round.party.callbacks
        begun, live = len(ledger.acknowledged()), len(ledger.open())
        say(
            f"{time.monotonic() - self._begun:6.0f} s: {begun} started, {begun - live} ended, "
            f"{live} under way; {len(callbacks.acknowledged)} callbacks; "
            f"{sum(self.chaos.kills.values())} kills, {self.chaos.stops} stops; "
            f"{ledger.retries + callbacks.retries} requests repeated"
        )

    def _report(self, found: audit.Finding) -> dict[str, Any]:
        recoveries = self.chaos.recoveries()
        options = self._options
        return {
            "seed": options.seed,
            "minutes": options.minutes,
            "database": options.database,
            "rpc": options.rpc,
            "heartbeat": options.heartbeat or "default",
            "kills": sum(self.chaos.kills.values()),
            "kills_by_process": self.chaos.kills,
            "stops": self.chaos.stops,
            "broker_restarts": self.chaos.broker_restarts,
            "counts": dataclasses.asdict(found.counts),
            "recovery_seconds": {
                kind: {
                    "work_of_others": summary([r.others for r in _of(recoveries, kind)]),
                    "work_of_its_own": summary([r.own for r in _of(recoveries, kind)]),
                }
                for kind in KINDS
            },
            "recoveries": [dataclasses.asdict(recovery) for recovery in recoveries],
            "memory": {
                name: dataclasses.asdict(memory) for name, memory in self.memory.longest().items()
            },
            "problems": [
                *(f"{name} ended by itself" for name in self.chaos.ended_by_themselves),
                *found.problems,
            ],
        }


def _of(recoveries: list[Recovery], kind: str) -> list[Recovery]:
    return [recovery for recovery in recoveries if recovery.name.startswith(kind)]


def _heartbeat_window(text: str | None) -> float:
    if text is None:
        return DEFAULT_HEARTBEAT
    interval, missed = text.split("x")
    return float(interval) * int(missed)


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def render(report: dict[str, Any]) -> str:
    """The report as a text."""
    lines = [f"Soak of {report['minutes']:g} minutes, seed {report['seed']}"]
    shown = ("database", "rpc", "heartbeat", "kills", "stops", "broker_restarts")
    lines += [f"  {name:<28} {report[name]}" for name in shown]
    killed = ", ".join(f"{name} {count}" for name, count in report["kills_by_process"].items())
    lines += [f"  {'of these':<28} {killed}", "Counts"]
    lines += [f"  {name:<28} {count}" for name, count in report["counts"].items()]
    lines.append("Recovery after a kill, seconds (median / max)")
    for kind, figures in report["recovery_seconds"].items():
        for name, found in figures.items():
            if found:
                title = f"{kind}, {name.replace('_', ' ')}"
                lines.append(f"  {title:<28} {found['median']} / {found['max']}")
    lines.append("Resident memory of the longest life, MB (begin, end)")
    for name, memory in report["memory"].items():
        lines.append(
            f"  {name:<28} {memory['begin_mb']} {memory['end_mb']} in {memory['minutes']} minutes"
        )
    lines.append(f"{len(report['problems'])} problems")
    lines += [f"  {problem}" for problem in report["problems"]]
    return "\n".join(lines)


def parse() -> argparse.Namespace:
    """The options."""
    options = tool_options.soak().parse_args()
    if options.kills is None:
        options.kills = int(options.minutes * 10)
    if options.stops is None:
        options.stops = int(options.minutes / 3)
    return options


def sections_for(
    options: argparse.Namespace, database_url: str, broker_url: str
) -> dict[str, dict[str, object]]:
    """The configuration of all processes."""
    suffix = f"_{secrets.token_hex(4)}"
    port = processes.free_port()
    sections = cluster.broker_sections(port, database_url, broker_url, suffix, options.rpc)
    if options.heartbeat:
        interval, missed = options.heartbeat.split("x")
        sections["action_heartbeat"] = {
            "check_interval": interval,
            "max_missed_heartbeats": missed,
        }
    return sections


def soak(options: argparse.Namespace, run_dir: Path, stack: contextlib.ExitStack) -> dict[str, Any]:
    """Start everything, run, and end it."""
    database = services.Service.find(options.database)
    url = stack.enter_context(database.new_database())
    broker = None
    if options.broker_restarts:
        broker = private_brokers.PrivateRabbitMQ(run_dir / "rabbitmq")
        stack.enter_context(broker)
    broker_url = broker.url if broker else services.Service.find("rabbitmq").url
    site = Site(
        run_dir,
        sections_for(options, url, broker_url),
        apis=options.apis,
        engines=options.engines,
        executors=options.executors,
    )
    stack.enter_context(site)
    say(f"Starting {', '.join(site.names)} in {run_dir}, seed {options.seed}")
    site.start_all()
    run = Soak(options, site, broker)
    stack.callback(run.close)
    return run.run()


def main() -> int:
    """The exit status."""
    options = parse()
    try:
        with processes.ended_by_signals(), contextlib.ExitStack() as stack:
            run_dir = options.run_dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="mistral-soak-"))
            )
            run_dir.mkdir(parents=True, exist_ok=True)
            report = soak(options, run_dir.resolve(), stack)
    except KeyboardInterrupt:
        return 130
    except (processes.ClusterError, services.ServiceMissing, OSError) as error:
        sys.stderr.write(f"tools/soak: {error}\n")
        return 2
    say(render(report))
    if options.report:
        options.report.write_text(json.dumps(report, indent=2) + "\n")
    return 1 if report["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
