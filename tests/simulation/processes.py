"""The simulated engines: the real use cases, mailboxes and relay, which may crash anywhere."""

from __future__ import annotations

import concurrent.futures
import functools
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.engine.action_queue import ActionQueue, Addressed, SendOptions
from mistral.engine.default_engine import DefaultEngine, EngineOptions, Runtime
from mistral.engine.liveness import HeartbeatOptions
from mistral.engine.mail.base import Mail
from mistral.engine.mailbox import Mailboxes
from mistral.rpc.messages import ActionOrder
from mistral.scheduler.timer_queue import TimerQueue
from mistral.workflow.entities import Timer
from mistral.workflow.limits import Limits
from tests.simulation import memory, memory_store
from tests.simulation.network import Network
from tests.simulation.world import Process, World

T = TypeVar("T")
WORKERS = 2
RELAY_INTERVAL = 2.0
HEARTBEAT = HeartbeatOptions(silence=15.0, refresh=4.0, first=3600.0)


class SimFuture(concurrent.futures.Future[Any]):
    """A future whose waiter lets the simulated others run."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def result(self, timeout: float | None = None) -> Any:
        if not self.done():
            world, limit = self.world, self.world.now + (timeout or 120)
            world.after(timeout or 120, lambda: None)
            world.wait_until(lambda: self.done() or world.now >= limit)
        return super().result(0)


class SimMailboxes(Mailboxes[Mail]):
    """Mailboxes that fibers empty; what was handled is counted by kinds."""

    def __init__(
        self,
        handled: Counter[str],
        handle: Callable[[str, Sequence[Mail]], None],
        threads: int,
    ) -> None:
        super().__init__(handle, threads)
        self.handled = handled
        self.wake: Callable[[], None] = lambda: None

    def post(self, execution_id: str, mails: Sequence[Mail]) -> None:
        super().post(execution_id, mails)
        self.wake()

    def work(self) -> None:
        """Handle what has come, as a worker does."""
        while self.waiting and (taken := self._take()) is not None:
            execution_id, batch = taken
            self._handle_batch(execution_id, batch)
            self.handled.update(mail.kind for mail in batch)
            self._give_back(execution_id)


class SimTimers(TimerQueue):
    """Timers in memory, fired by the simulated clock."""

    at: Callable[[Timer], None] = staticmethod(lambda timer: None)

    def add(self, timers: Any) -> None:
        found = list(timers)
        super().add(found)
        kept = {id(entry[2]) for entry in self._heap}
        for timer in found:
            if id(timer) in kept:
                self.at(timer)

    def fire_due(self, now: Any) -> None:
        """Fire what is due."""
        while self._heap and self._heap[0][0] <= now:
            self._fire(heapq.heappop(self._heap)[2])


class ProcessDatabase:
    """A process's way to the database; the process may die before and after each commit."""

    dialect_name = "memory"

    def __init__(self, process: Process, network: Network, database: memory.MemoryDatabase) -> None:
        self._process = process
        self._network = network
        self._db = database
        self.is_sqlite = database.is_sqlite

    def write(self, work: Callable[[Any], T]) -> T:
        """Run a function in one transaction; on transient failures run it again."""
        for left in range(memory.MAX_TRIES - 1, -1, -1):
            conn = self._db.begin()
            try:
                if self.is_sqlite:
                    conn.lock("the writer's turn")
                result = work(conn)
                self._network.crash_point(self._process, "before commit")
                conn.statement("commit")
                self._network.refuse_commit()
                conn.commit()
                break
            except sa.exc.OperationalError:
                if not left:
                    raise
            finally:
                conn.rollback()
        self._network.world.pause("committed")
        self._network.crash_point(self._process, "after commit")
        return result

    def read(self, work: Callable[[Any], T]) -> T:
        """Run a function that only reads."""
        return self._db.snapshot(work) if self.is_sqlite else self._db.read(work)

    def pause(self, seconds: float) -> None:
        """Nothing: others have their turns at each statement."""


class ExecutorClient:
    """An engine's messages to executors."""

    def __init__(self, process: Process, network: Network) -> None:
        self._process = process
        self._network = network

    def run_actions(self, orders: Sequence[ActionOrder], target: Any = None) -> None:
        """Send orders to some executor."""
        self._network.crash_point(self._process, "before send")
        if self._network.chaos.happens(self._network.chaos.refused):
            raise exc.RPCException("The broker does not answer.")
        self._network.orders(list(orders))
        self._network.crash_point(self._process, "after send")


class SimQueue(ActionQueue):
    """The queue of messages to executors, emptied by fibers."""

    process: Process

    def send(self, orders: Iterable[Addressed]) -> None:
        batch = list(orders)
        if batch:
            self.process.world.spawn(self.process, "send", lambda: self._deliver(batch))


class EngineProcess(Process):
    """One life of an engine."""

    def __init__(
        self,
        network: Network,
        database: memory.MemoryDatabase,
        name: str,
        catalog: Any,
        skew: float,
        limits: Limits,
        busy: float,
        handled: Counter[str],
    ) -> None:
        super().__init__(network.world, name, skew)
        self._busy = busy
        self._network = network
        self._workers = 0
        self.database = ProcessDatabase(self, network, database)
        client: Any = ExecutorClient(self, network)
        queue = SimQueue(client, catalog, SendOptions(heartbeat=HEARTBEAT))
        queue.process = self
        # no fiber may block for real, so the bound of starts lies far away
        options = EngineOptions(threads=1000, relay_interval=RELAY_INTERVAL, limits=limits)
        storage = memory_store.storage(self.database)
        self.engine = DefaultEngine(
            storage,
            catalog,
            queue,
            options,
            runtime=Runtime(
                self.world.utc_now,
                self.world.new_id,
                functools.partial(SimFuture, self.world),
                functools.partial(SimMailboxes, handled),
                SimTimers,
            ),
        )
        boxes, timers = self.engine._mailboxes, self.engine._timers
        if not isinstance(boxes, SimMailboxes) or not isinstance(timers, SimTimers):
            raise AssertionError("The engine has not taken what it was handed.")
        self._boxes, self._timers = boxes, timers
        boxes.wake = self._wake
        timers.at = self._set_alarm
        self.world.after(self.world.random.random() * RELAY_INTERVAL, self._sweep_again)

    def _wake(self) -> None:
        if self._workers < WORKERS and self._boxes.waiting:
            self._workers += 1
            if self._busy:
                # mail gathers until a worker comes to it
                self.world.after(self._busy, self._begin)
            else:
                self._begin()

    def _begin(self) -> None:
        self.world.spawn(self, "worker", self._work)

    def _work(self) -> None:
        self._boxes.work()
        self._workers -= 1

    def _set_alarm(self, timer: Timer) -> None:
        seconds = (timer.due_at - self._now()).total_seconds()
        self.world.after(max(seconds, 0.0) + 0.001, self._fire)

    def _now(self) -> Any:
        return self._network.clock_of(self)

    def _fire(self) -> None:
        if self.alive:
            self._timers.fire_due(self._now())

    def _sweep_again(self) -> None:
        if self.alive:
            self.world.spawn(self, "relay", self._sweep)
            self.world.after(RELAY_INTERVAL, self._sweep_again)

    def _sweep(self) -> None:
        try:
            self.engine._relay.sweep()
        except sa.exc.DBAPIError as error:
            self.world.note(f"the relay could not look: {error.orig}")


class Engines:
    """The places where engines run: who crashes comes back later with nothing in memory."""

    def __init__(
        self,
        network: Network,
        database: memory.MemoryDatabase,
        catalog: Any,
        skews: Sequence[float],
        limits: Limits,
        busy: float,
        handled: Counter[str],
    ) -> None:
        self._network = network
        self._make = functools.partial(
            EngineProcess, network, database, limits=limits, busy=busy, handled=handled
        )
        self._catalog = catalog
        self._skews = list(skews)
        self.running: list[EngineProcess] = []
        self.crashes = 0
        for place in range(len(self._skews)):
            self._boot(place)

    def _boot(self, place: int) -> None:
        process = self._make(f"engine-{place}", self._catalog, self._skews[place])
        self.running.append(process)
        self._network.on_crash[process] = lambda: self._crashed(process, place)

    def _crashed(self, process: EngineProcess, place: int) -> None:
        self.crashes += 1
        self.running.remove(process)
        del self._network.on_crash[process]
        delay = 0.5 + self._network.world.random.random() * 15
        self._network.world.after(delay, lambda: self._boot(place))

    def any(self) -> EngineProcess | None:
        """Some engine that lives."""
        return self._network.world.random.choice(self.running) if self.running else None
