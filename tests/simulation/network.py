"""Messages and misfortune: what is delayed, repeated, dropped, refused, and who crashes."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from mistral.rpc.messages import ActionOrder
from tests.simulation import memory
from tests.simulation.world import START, Crashed, Process, World

CALL_TIMEOUT = 5.0


@dataclasses.dataclass
class Chaos:
    """Chances of misfortune, each from 0 to 1; from ``until`` on nothing happens any more."""

    world: World
    until: float = 0.0
    lost: float = 0.0
    repeated: float = 0.0
    slow: float = 0.0
    refused: float = 0.0
    crash: float = 0.0
    executor_crash: float = 0.0
    executor_sleep: float = 0.0
    commit_refused: float = 0.0
    skew: float = 0.0

    def happens(self, chance: float) -> bool:
        """Whether a misfortune strikes now."""
        return chance > 0 and self.world.now < self.until and self.world.random.random() < chance


class Network:
    """The broker between the simulated processes."""

    def __init__(self, world: World, chaos: Chaos) -> None:
        self.world = world
        self.chaos = chaos
        self.on_crash: dict[Process, Callable[[], None]] = {}
        self.find_engine: Callable[[], Any] = lambda: None
        self.find_executor: Callable[[], Any] = lambda: None

    def clock_of(self, process: Process) -> dt.datetime:
        """The time as a process sees it."""
        return START + dt.timedelta(seconds=round(self.world.now + process.skew, 6))

    # misfortune

    def crash_point(self, process: Process, point: str) -> None:
        """A place where a process may die."""
        if process in self.on_crash and self.chaos.happens(self.chaos.crash):
            self.world.note(f"CRASH {point}")
            self.crash(process)
            raise Crashed()

    def crash(self, process: Process) -> None:
        """End a process at once."""
        process.alive = False
        self.on_crash[process]()

    def refuse_commit(self) -> None:
        """A cluster may refuse a commit: the whole transaction is repeated."""
        if self.chaos.happens(self.chaos.commit_refused):
            self.world.note("a commit is refused")
            raise memory.not_serializable()

    # messages

    def send(self, deliver: Callable[[], None]) -> None:
        """A message: it arrives later, perhaps never, perhaps twice, in any order."""
        chaos, choose = self.chaos, self.world.random.random
        copies = 0 if chaos.happens(chaos.lost) else 1
        if chaos.happens(chaos.repeated):
            copies += 1
        for _ in range(copies):
            delay = choose() * 0.02
            if chaos.happens(chaos.slow):
                delay += choose() * 12
            self.world.after(delay, deliver)

    def orders(self, orders: Sequence[ActionOrder]) -> None:
        """Actions for some executor."""

        sent = [order.to_wire() for order in orders]

        def deliver() -> None:
            executor = self.find_executor()
            if executor is not None:
                executor.receive([ActionOrder.from_wire(values) for values in sent])

        self.send(deliver)

    def cast(self, name: str, work: Callable[[Any], Any]) -> None:
        """A message for some engine; nobody waits for an answer."""

        def deliver() -> None:
            process = self.find_engine()
            if process is not None:
                self.world.spawn(process, name, lambda: work(process.engine))

        self.send(deliver)

    def call(
        self,
        caller: Process,
        name: str,
        work: Callable[[Any], Any],
        answered: Callable[[Any], None],
        tries: int = 1000,
    ) -> None:
        """A message for some engine, repeated until the caller has an answer."""
        is_answered = False

        def answer(value: Any) -> None:
            nonlocal is_answered
            if caller.alive and not is_answered:
                is_answered = True
                answered(value)

        def attempt(left: int) -> None:
            if is_answered or not caller.alive or not left:
                return

            def handle(engine: Any) -> None:
                value = work(engine)
                self.send(lambda: answer(value))

            self.cast(name, handle)
            self.world.after(CALL_TIMEOUT, lambda: attempt(left - 1))

        attempt(tries)
