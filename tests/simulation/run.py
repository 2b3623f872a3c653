"""One run: everything that a seed decides, put together, driven to its end and checked."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import random
from collections.abc import Callable
from typing import Any

from mistral.engine.default_engine import Start
from mistral.workflow import states
from mistral.workflow.entities import ActionExecution, ExecutionEvent, WorkflowExecution
from mistral.workflow.limits import Limits
from tests.simulation import extras
from tests.simulation.callers import Operators, ThirdParties
from tests.simulation.catalog import SimCatalog
from tests.simulation.checks import Checks, Found, is_given_up
from tests.simulation.coverage import Coverage
from tests.simulation.executors import Effects, Executors
from tests.simulation.generator import Generated, Generator
from tests.simulation.law6 import Finding
from tests.simulation.memory import MemoryDatabase
from tests.simulation.network import Chaos, Network
from tests.simulation.outcome import summary
from tests.simulation.processes import Engines
from tests.simulation.world import Process, Threads, Trace, World

TROUBLE = 60.0
"""Seconds after which no misfortune happens any more."""

LIMIT = 1500.0
"""Seconds within which everything has to have ended."""

QUIET = 30.0
"""Seconds after the end in which late messages still come."""

THREADS = Threads()


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run showed."""

    seed: int
    findings: tuple[Finding, ...]
    checksum: int
    generated: Generated
    trace: tuple[str, ...] = ()
    summary: Any = None
    is_disturbed: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.findings)


class Simulation:
    """The parts of one run."""

    def __init__(
        self,
        world: World,
        generated: Generated,
        faults: bool,
        coverage: Coverage,
        extra: random.Random | None = None,
        one_writer: bool = False,
    ) -> None:
        self.world = world
        self.generated = generated
        self.chaos = _chaos(world) if faults else Chaos(world)
        self.network = network = Network(world, self.chaos)
        self.database = MemoryDatabase(world, one_writer)
        self.effects = Effects()
        self.catalog = SimCatalog(generated.specs)
        count = world.random.choice([2, 2, 3])
        skews = [world.random.uniform(-1, 1) * self.chaos.skew for _ in range(count)]
        limits, busy = _limits(generated.text), _busy(generated.text)
        self.engines = Engines(
            network, self.database, self.catalog, skews, limits, busy, coverage.mails
        )
        self.executors = Executors(network, self.effects, 2)
        network.find_engine = self.engines.any
        network.find_executor = self.executors.any
        is_busy = faults and world.random.random() < 0.35
        self.operators = Operators(network, self.database, is_busy, extra if faults else None)
        self.checks = Checks(self, coverage)
        self.third_parties = ThirdParties(network, self.database, self.checks.delivered)
        self.effects.told = self.third_parties.told
        self.effects.is_lost = self.checks.is_lost
        self.database.on_commit = self.checks.committed
        self._calm_since: float | None = None
        self.client = Process(world, "client")
        self.root_id = "root"
        self._start()

    def _start(self) -> None:
        request = Start(execution_id=self.root_id)
        name, params = self.generated.main, self.generated.params
        self.network.call(
            self.client,
            "start",
            lambda engine: engine.start_workflow(name, {}, "", request, **params)["id"],
            self._started,
        )

    def _started(self, execution_id: str) -> None:
        if execution_id != self.root_id:
            raise AssertionError(f"Another execution was started: {execution_id}")

    def is_over(self) -> bool:
        """Whether all has ended and the last messages had time to come."""
        executions = self.database.tables[WorkflowExecution].values()
        quiet = bool(executions) and all(states.is_completed(row["state"]) for row in executions)
        if not quiet or self.database.tables[ExecutionEvent]:
            self._calm_since = None
            return False
        if self._calm_since is None:
            self._calm_since = self.world.now
        return self.world.now - self._calm_since > QUIET

    @property
    def is_disturbed(self) -> bool:
        """Whether something happened that may change what the workflow ends with."""
        actions = self.database.tables[ActionExecution].values()
        lost = any(is_given_up(action) for action in actions)
        meddled = self.operators.done.commands - {"pause", "resume", "env"}
        return lost or bool(meddled)


def _limits(text: str) -> Limits:
    """For each other workflow transactions are so short that they leave much to later ones."""
    source = random.Random(f"limits {text}")
    if source.random() < 0.5:
        return Limits()
    return Limits(rows_at_once=source.choice([1, 2, 5]), items_at_once=source.choice([1, 2]))


def _busy(text: str) -> float:
    """With each third workflow engines are so busy that much is handled in one transaction."""
    return 1.5 if random.Random(f"busy {text}").random() < 0.3 else 0.0


def _chaos(world: World) -> Chaos:
    """Some kinds of misfortune, not all in each run."""
    choose = world.random.random

    def chance(high: float) -> float:
        return choose() * high if choose() < 0.5 else 0.0

    return Chaos(
        world,
        until=TROUBLE,
        lost=chance(0.3),
        repeated=chance(0.4),
        slow=chance(0.5),
        refused=chance(0.2),
        crash=chance(0.06),
        executor_crash=chance(0.15),
        commit_refused=chance(0.1),
        skew=chance(0.2),
        executor_sleep=chance(0.1),
    )


def generate(seed: int) -> Generated:
    """The workflow of a seed."""
    return Generator(random.Random(f"workflow-{seed}"), extras.source_of(seed)).generate()


def run_seed(
    seed: int,
    *,
    keep_trace: bool = False,
    coverage: Coverage | None = None,
    compare: bool = True,
    one_writer: bool = False,
    mutant: Callable[[], contextlib.AbstractContextManager[None]] | None = None,
) -> Result:
    """One run with faults; a confluent workflow is compared with a run without any.

    :param one_writer: the database is one like SQLite.
    """
    found = coverage or Coverage()
    generated = generate(seed)
    with mutant() if mutant else contextlib.nullcontext():
        result = _run(seed, generated, True, keep_trace, found, one_writer)
        if result.failed or not compare or not generated.confluent or result.is_disturbed:
            return result
        calm = _run(seed + 1_000_003, generated, False, False, found, one_writer)
    findings = list(calm.findings)
    if not findings and calm.summary != result.summary:
        text = f"with faults {result.summary}\nwithout faults {calm.summary}"
        findings.append(Finding("another-end", text))
    return dataclasses.replace(result, findings=tuple(findings))


def _run(
    seed: int,
    generated: Generated,
    faults: bool,
    keep_trace: bool,
    coverage: Coverage,
    one_writer: bool,
) -> Result:
    trace = Trace(keep=keep_trace)
    world = World(random.Random(f"world-{seed}").getrandbits(60), THREADS, trace)
    with coverage.counting_commands():
        sim = Simulation(world, generated, faults, coverage, extras.source_of(seed), one_writer)
        try:
            ended = sim.world.run(sim.is_over, LIMIT)
            if not ended:
                sim.checks.picture()
                sim.checks.find("no-end", _unfinished(sim))
            sim.checks.at_end()
        except Found:
            pass
        # whatever escapes from the service's code is a finding of this seed
        except Exception as error:
            sim.checks.findings.append(Finding("error", f"{type(error).__name__}: {error}"))
            if keep_trace:
                raise
        return Result(
            seed,
            tuple(sim.checks.findings),
            trace.checksum,
            generated,
            tuple(trace.lines),
            summary(sim.database),
            sim.is_disturbed,
            sim.world.now,
        )


def run_until(seed: int, moment: float) -> Simulation:
    """The parts of a run that was cut off in its middle, to look at."""
    world = World(random.Random(f"world-{seed}").getrandbits(60), THREADS, Trace())
    coverage = Coverage()
    with coverage.counting_commands():
        sim = Simulation(world, generate(seed), True, coverage, extras.source_of(seed))
        with contextlib.suppress(Found):
            world.run(lambda: world.now >= moment, moment)
        return sim


def _unfinished(sim: Simulation) -> str:
    executions = [
        f"{e.workflow_name} {e.id} {e.state}"
        for e in sim.database.all(WorkflowExecution)
        if not states.is_completed(e.state)
    ]
    live = collections.Counter(
        (a.state, a.result_at is not None, a.processed) for a in sim.database.all(ActionExecution)
    )
    return f"not ended after {sim.world.now:.0f} s: {executions}, actions {dict(live)}"
