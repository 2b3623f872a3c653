"""Simulated executors: claims, runs, results, signals and heartbeats, by the executor's rules.

They follow ``mistral.engine.default_executor``: a repeated order is dropped, what needs a claim is
claimed, a result is repeated until an engine answered, a new life has a new name.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.simulation.network import Network
from tests.simulation.world import Process

HEARTBEAT = 2.0
Order = Mapping[str, Any]


def result_of(order: Order) -> tuple[str, Any]:
    """How an action ends: its input says it, so it is the same in every run."""
    given = order["input"]
    if order["attempt"] < int(given.get("fails") or 0):
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
    orders: dict[str, Order] = dataclasses.field(default_factory=dict)
    told: Callable[[Order], None] = lambda order: None

    def happen(self, order: Order) -> None:
        """The action has its effect."""
        self.counts[order["id"]] += 1
        self.orders[order["id"]] = order


class ExecutorProcess(Process):
    """One life of an executor."""

    def __init__(self, network: Network, name: str, effects: Effects) -> None:
        super().__init__(network.world, name)
        self._network = network
        self._effects = effects
        self._runs: dict[tuple[str, int], Order] = {}
        self._begun: set[tuple[str, int]] = set()
        self._is_beating = False

    def receive(self, orders: Sequence[Order]) -> None:
        """Accept orders."""
        fresh = []
        for order in orders:
            key = (order["id"], order["attempt"])
            if self.alive and key not in self._runs and key not in self._begun:
                self._runs[key] = order
                fresh.append(order)
        self._beat()
        for order in fresh:
            if not order["needs_claim"]:
                self._begin(order)
        claiming = [order for order in fresh if order["needs_claim"]]
        if claiming:
            claims = [(order["id"], order["attempt"]) for order in claiming]
            self._network.call(
                self,
                "claim",
                lambda engine: engine.claim_actions(self.name, claims),
                lambda granted: self._claimed(claiming, granted),
            )

    def _claimed(self, orders: Sequence[Order], granted: Sequence[str]) -> None:
        for order in orders:
            if order["id"] in granted:
                self._begin(order)
            else:
                self._runs.pop((order["id"], order["attempt"]), None)

    def _begin(self, order: Order) -> None:
        if order["needs_claim"]:
            self._begun.add((order["id"], order["attempt"]))
        busy = self.world.random.random() * 3
        self.world.after(busy, lambda: self._run(order))

    def _run(self, order: Order) -> None:
        if not self.alive or self._may_crash("before the effect"):
            return
        self._effects.happen(order)
        self.world.note(f"{self.name} runs {order['name']} {order['id']}")
        if order["attributes"].get("is_async"):
            self._effects.told(order)
        if self._may_crash("after the effect"):
            return
        report = {"id": order["id"], "wf_ex_id": order["wf_ex_id"], "attempt": order["attempt"]}
        if order["attributes"].get("is_async"):
            report["kind"] = "signalled"
        else:
            state, result = result_of(order)
            report |= {"kind": "result", "state": state, "result": result}
        key = (order["id"], order["attempt"])

        def stored(count: Any) -> None:
            self._runs.pop(key, None)

        self._network.call(
            self,
            "reports",
            lambda engine: engine.on_actions_complete(self.name, [report]),
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
        running = [key[0] for key in self._runs]
        self._network.cast(
            "alive", lambda engine: engine.executor_alive(self.name, "host", running)
        )
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
