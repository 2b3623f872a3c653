"""Simulated executors: claims, runs, results, signals and heartbeats, by the executor's rules.

They decide by the real protocol (``mistral.engine.executor.protocol``) and play the threads and
the network around it, as ``mistral.engine.default_executor`` does in the service: a result is
repeated until an engine answered, a new life has a new name. A process may sleep for longer than
its claims last.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from mistral.actions.masking import MASK
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor.protocol import ExecutorProtocol, Steps
from mistral.engine.executor.run import Run
from mistral.rpc.messages import RESULT, SIGNALLED, ActionOrder, Heartbeat, Report
from tests.simulation.network import Network
from tests.simulation.world import Process

HEARTBEAT = 2.0
OPTIONS = ExecutorOptions(thread_pool_size=2, claims_per_thread=2)


def result_of(order: ActionOrder) -> tuple[str, Any]:
    """How an action ends: its input says it, so it is the same in every run."""
    given = order.input
    assert given.get("key") != MASK, "a message without its secrets"
    if order.attempt < int(given.get("fails") or 0):
        return "ERROR", f"failed by order: {given.get('key')}"
    value: dict[str, Any] = {"key": given.get("key"), "item": given.get("item")}
    if given.get("data") is not None:
        value["data"] = given["data"]
    if given.get("big"):
        value["big"] = "0123456789abcdef" * 100
    return str(given.get("end") or "SUCCESS"), value


@dataclasses.dataclass
class Effects:
    """What really happened outside, by action and attempt."""

    counts: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    orders: dict[str, ActionOrder] = dataclasses.field(default_factory=dict)
    told: Callable[[ActionOrder], None] = lambda order: None
    is_lost: Callable[[ActionOrder], bool] = lambda order: False
    after_loss: list[str] = dataclasses.field(default_factory=list)

    def happen(self, order: ActionOrder) -> None:
        """The action has its effect."""
        if order.needs_claim and self.is_lost(order):
            self.after_loss.append(order.id)
        self.counts[order.id] += 1
        self.orders[order.id] = order


class ExecutorProcess(Process):
    """One life of an executor."""

    def __init__(self, network: Network, name: str, effects: Effects) -> None:
        super().__init__(network.world, name)
        self._network = network
        self._effects = effects
        self._protocol = ExecutorProtocol(OPTIONS)
        self._protocol.open()
        self._ready: collections.deque[Run] = collections.deque()
        self._busy = 0
        self._wakes_at = 0.0
        self._is_beating = False

    def receive(self, orders: Sequence[ActionOrder]) -> None:
        """Accept orders."""
        self._awake(lambda: self._accept(orders))

    def _accept(self, orders: Sequence[ActionOrder]) -> None:
        steps = self._protocol.accept(orders)
        self._beat()
        self._take(steps)

    def _awake(self, act: Callable[[], None]) -> None:
        """Do something as soon as the process does not sleep."""
        if self.alive and self.world.now >= self._wakes_at:
            act()
        elif self.alive:
            self.world.after(self._wakes_at - self.world.now, lambda: self._awake(act))

    def _may_sleep(self) -> None:
        chaos = self._network.chaos
        if chaos.happens(chaos.executor_sleep):
            self._wakes_at = self.world.now + 2 + self.world.random.random() * 40
            self.world.note(f"{self.name} sleeps until {self._wakes_at:.3f}")

    def _take(self, steps: Steps) -> None:
        """Do what is next."""
        if steps.claim:
            asked_at = self.world.now
            self._ask(steps.claim, lambda ids: self._claimed(steps.claim, ids, asked_at))
        self._ready.extend(steps.run)
        self._next()
        for run in steps.report:
            self._tell(run)

    def _ask(self, runs: Sequence[Run], answered: Callable[[Sequence[str]], None]) -> None:
        keys = [run.key for run in runs]
        self._network.call(
            self,
            "claim",
            lambda engine: engine.claim_actions(self.name, keys),
            lambda ids: self._awake(lambda: answered(ids)),
        )

    def _claimed(self, runs: Sequence[Run], ids: Sequence[str], asked_at: float) -> None:
        granted = self._protocol.granted(runs, ids, asked_at)
        self._ready.extend(granted.mine)
        self._take(granted.steps)

    def _next(self) -> None:
        while self._ready and self._busy < OPTIONS.thread_pool_size:
            self._busy += 1
            run = self._ready.popleft()
            self._may_sleep()
            self._awake(lambda run=run: self._begin(run))

    def _begin(self, run: Run) -> None:
        if not self._protocol.is_confirmed(run, self.world.now):
            self._protocol.claiming(run)
            asked_at = self.world.now
            self._ask([run], lambda ids: self._confirmed(run, ids, asked_at))
            return
        if not self._protocol.begin(run):
            raise AssertionError(f"It is somebody else's: {run.order.id}")
        busy = self.world.random.random() * 3
        self.world.after(busy, lambda: self._run(run))

    def _confirmed(self, run: Run, ids: Sequence[str], asked_at: float) -> None:
        granted = self._protocol.granted([run], ids, asked_at)
        if granted.mine:
            self._begin(run)
        else:
            self._busy -= 1
            self._take(granted.steps)

    def _run(self, run: Run) -> None:
        order = run.order
        if not self.alive or self._may_crash("before the effect"):
            return
        self._effects.happen(order)
        self.world.note(f"{self.name} runs {order.name} {order.id}")
        if order.attributes.get("is_async"):
            self._effects.told(order)
        if self._may_crash("after the effect"):
            return
        self._may_sleep()
        self._awake(lambda: self._end(run))

    def _end(self, run: Run) -> None:
        order = run.order
        report = Report(order.id, order.wf_ex_id, order.attempt, SIGNALLED)
        if not order.attributes.get("is_async"):
            state, result = result_of(order)
            report = dataclasses.replace(report, kind=RESULT, state=state, result=result)
        self._busy -= 1
        self._take(self._protocol.end([(run, report)]))

    def _tell(self, run: Run) -> None:
        sent = run.to_send().to_wire()
        self._network.call(
            self,
            "reports",
            lambda engine: engine.on_actions_complete(self.name, [Report.from_wire(sent)]),
            lambda count: self._take(self._protocol.forget([run])),
        )

    def _may_crash(self, point: str) -> bool:
        chaos = self._network.chaos
        if not chaos.happens(chaos.executor_crash):
            return False
        self.world.note(f"{self.name} CRASH {point}")
        self._network.crash(self)
        return True

    def _beat(self) -> None:
        if not self._is_beating:
            self._is_beating = True
            self._beat_again()

    def _beat_again(self) -> None:
        if not self.alive or not self._protocol.runs:
            self._is_beating = False
            return
        heartbeat = Heartbeat(self.name, "host", self._protocol.running_ids())
        if self.world.now >= self._wakes_at:
            self._network.cast("alive", lambda engine: engine.executor_alive(heartbeat))
        self.world.after(HEARTBEAT, self._beat_again)


class Executors:
    """The places where executors run."""

    def __init__(self, network: Network, effects: Effects, count: int) -> None:
        self._network = network
        self._effects = effects
        self.running: list[ExecutorProcess] = []
        self.crashes = 0
        self._lives = 0
        for _ in range(count):
            self._boot()

    def _boot(self) -> None:
        self._lives += 1
        process = ExecutorProcess(self._network, f"executor-{self._lives}", self._effects)
        self.running.append(process)
        self._network.on_crash[process] = lambda: self._crashed(process)

    def _crashed(self, process: ExecutorProcess) -> None:
        self.crashes += 1
        self.running.remove(process)
        del self._network.on_crash[process]
        self._network.world.after(1 + self._network.world.random.random() * 5, self._boot)

    def any(self) -> ExecutorProcess | None:
        """Some executor that lives."""
        return self._network.world.random.choice(self.running) if self.running else None

    def is_alive(self, name: str) -> bool:
        """Whether an executor of this name lives."""
        return any(process.name == name for process in self.running)
