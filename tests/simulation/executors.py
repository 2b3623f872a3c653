"""Simulated executors: claims, runs, results, signals and heartbeats, by the executor's rules.

They follow ``mistral.engine.default_executor``: a repeated order is dropped, what needs a claim is
claimed when it can be run soon, an old claim is confirmed, a result is repeated until an engine
answered, a new life has a new name. A process may sleep for longer than its claims last.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from mistral.actions.masking import MASK
from mistral.engine.executor.claim_window import CONFIRMED_FOR, ClaimWindow
from mistral.rpc.messages import RESULT, SIGNALLED, ActionOrder, Heartbeat, Report, RunKey
from tests.simulation.network import Network
from tests.simulation.world import Process

HEARTBEAT = 2.0
THREADS = 2
CLAIMS_PER_THREAD = 2


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
        self._runs: dict[RunKey, ActionOrder] = {}
        self._begun: set[RunKey] = set()
        self._window = ClaimWindow[RunKey](CLAIMS_PER_THREAD * THREADS)
        self._claimed_at: dict[RunKey, float] = {}
        self._ready: collections.deque[ActionOrder] = collections.deque()
        self._busy = 0
        self._wakes_at = 0.0
        self._is_beating = False

    def receive(self, orders: Sequence[ActionOrder]) -> None:
        """Accept orders."""
        self._awake(lambda: self._accept(orders))

    def _accept(self, orders: Sequence[ActionOrder]) -> None:
        fresh = []
        for order in orders:
            key = order.key
            if key not in self._runs and key not in self._begun:
                self._runs[key] = order
                fresh.append(order)
        self._beat()
        self._ready.extend(order for order in fresh if not order.needs_claim)
        self._claim(self._window.add(order.key for order in fresh if order.needs_claim))
        self._next()

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

    def _claim(self, keys: Sequence[RunKey]) -> None:
        if keys:
            asked_at = self.world.now
            self._ask(keys, lambda granted: self._claimed(keys, granted, asked_at))

    def _ask(self, keys: Sequence[RunKey], answered: Callable[[Sequence[str]], None]) -> None:
        self._network.call(
            self,
            "claim",
            lambda engine: engine.claim_actions(self.name, keys),
            lambda granted: self._awake(lambda: answered(granted)),
        )

    def _claimed(self, keys: Sequence[RunKey], granted: Sequence[str], asked_at: float) -> None:
        for key in keys:
            if key[0] in granted:
                self._claimed_at[key] = asked_at
                self._ready.append(self._runs[key])
        self._drop([key for key in keys if key[0] not in granted])
        self._next()

    def _drop(self, keys: Sequence[RunKey]) -> None:
        for key in keys:
            self._runs.pop(key, None)
        self._claim(self._window.let_go(keys))

    def _next(self) -> None:
        while self._ready and self._busy < THREADS:
            self._busy += 1
            order = self._ready.popleft()
            self._may_sleep()
            self._awake(lambda order=order: self._begin(order))

    def _begin(self, order: ActionOrder) -> None:
        key = order.key
        age = self.world.now - self._claimed_at.get(key, 0.0)
        if order.needs_claim and age > CONFIRMED_FOR:
            asked_at = self.world.now
            self._ask([key], lambda granted: self._confirmed(order, granted, asked_at))
            return
        if order.needs_claim:
            self._begun.add(key)
        busy = self.world.random.random() * 3
        self.world.after(busy, lambda: self._run(order))

    def _confirmed(self, order: ActionOrder, granted: Sequence[str], asked_at: float) -> None:
        key = order.key
        if granted:
            self._claimed_at[key] = asked_at
            self._begin(order)
        else:
            self._busy -= 1
            self._drop([key])
            self._next()

    def _run(self, order: ActionOrder) -> None:
        if not self.alive or self._may_crash("before the effect"):
            return
        self._effects.happen(order)
        self.world.note(f"{self.name} runs {order.name} {order.id}")
        if order.attributes.get("is_async"):
            self._effects.told(order)
        if self._may_crash("after the effect"):
            return
        self._may_sleep()
        self._awake(lambda: self._report(order))

    def _report(self, order: ActionOrder) -> None:
        report = Report(order.id, order.wf_ex_id, order.attempt, SIGNALLED)
        if not order.attributes.get("is_async"):
            state, result = result_of(order)
            report = dataclasses.replace(report, kind=RESULT, state=state, result=result)
        sent = report.to_wire()
        key = order.key
        self._busy -= 1
        self._claim(self._window.let_go([key]))
        self._next()

        def stored(count: Any) -> None:
            self._runs.pop(key, None)

        self._network.call(
            self,
            "reports",
            lambda engine: engine.on_actions_complete(self.name, [Report.from_wire(sent)]),
            stored,
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
        if not self.alive or not self._runs:
            self._is_beating = False
            return
        heartbeat = Heartbeat(self.name, "host", tuple(key.id for key in self._runs))
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
