"""The world outside: third parties that deliver results, and operators with their commands."""

from __future__ import annotations

import dataclasses
import functools
import random
from collections.abc import Callable
from typing import Any

from mistral import exceptions as exc
from mistral.db.execution.action_executions import Delivery
from mistral.rpc.messages import ActionOrder
from mistral.workflow import states
from mistral.workflow.entities import ActionExecution, TaskExecution, WorkflowExecution
from mistral.workflow.results import Outcome
from tests.simulation.executors import result_of
from tests.simulation.memory import MemoryDatabase
from tests.simulation.memory_store import MemoryActions
from tests.simulation.network import Network
from tests.simulation.processes import ProcessDatabase
from tests.simulation.world import Process

Delivered = Callable[[str, Outcome, Delivery], None]


class ThirdParties:
    """Whoever was told by an asynchronous action delivers its result through the API."""

    def __init__(self, network: Network, database: MemoryDatabase, seen: Delivered) -> None:
        self._network = network
        self._database = database
        self._seen = seen
        self._lives = 0

    def told(self, order: ActionOrder) -> None:
        """An action has told the third party what to do."""
        state, value = result_of(order)
        outcome = Outcome(state, value)
        world, chaos = self._network.world, self._network.chaos
        self._later(order, outcome, world.random.random() * 6, is_repeat=False)
        if chaos.happens(chaos.repeated):
            self._later(order, outcome, world.random.random() * 15, is_repeat=True)

    def _later(self, order: ActionOrder, outcome: Outcome, delay: float, is_repeat: bool) -> None:
        self._network.world.after(delay, lambda: self._deliver(order, outcome, is_repeat))

    def _deliver(self, order: ActionOrder, outcome: Outcome, is_repeat: bool) -> None:
        """One request; without an answer it is repeated."""
        self._lives += 1
        api = Process(self._network.world, f"api-{self._lives}")
        self._network.on_crash[api] = lambda: self._again(api, order, outcome)
        self._network.world.spawn(
            api, "deliver", lambda: self._request(api, order, outcome, is_repeat)
        )

    def _again(self, api: Process, order: ActionOrder, outcome: Outcome) -> None:
        del self._network.on_crash[api]
        self._later(order, outcome, 3.0, is_repeat=True)

    def _request(self, api: Process, order: ActionOrder, outcome: Outcome, is_repeat: bool) -> None:
        world = self._network.world
        database = ProcessDatabase(api, self._network, self._database)
        now = world.utc_now()
        delivery = database.write(lambda conn: MemoryActions(conn).deliver(order.id, outcome, now))
        del self._network.on_crash[api]
        world.note(f"delivered {order.id} accepted={delivery.accepted}")
        self._seen(order.id, outcome, delivery)
        self._network.cast(
            "delivered",
            lambda engine: engine.action_delivered(order.id, order.wf_ex_id),
        )
        if not is_repeat and self._network.chaos.happens(self._network.chaos.repeated):
            other = Outcome(states.SUCCESS, {"key": "another result"})
            self._later(order, other, world.random.random() * 5, is_repeat=True)


@dataclasses.dataclass
class Done:
    """Which commands operators gave."""

    commands: set[str] = dataclasses.field(default_factory=set)


class Operators:
    """People with commands: some at random, and one who resumes whatever is left paused."""

    def __init__(
        self,
        network: Network,
        database: MemoryDatabase,
        busy: bool,
        extra: random.Random | None = None,
    ) -> None:
        self._network = network
        self._database = database
        self._process = Process(network.world, "operator")
        self._left = network.world.random.randint(1, 4) if busy else 0
        self.done = Done()
        self._may = ["pause", "resume"]
        self._extra = extra
        for _ in range(extra.choice([0, 1, 1, 1, 2]) if extra else 0):
            network.world.after(extra.random() * 25, self._roll_back)
        if busy and network.world.random.random() < 0.7:
            self._may += ["stop", "cancel", "rerun", "rerun", "skip", "action", "env"]
        network.world.after(network.world.random.random() * 8, self._command)
        network.world.after(20.0, self._help)

    def _command(self) -> None:
        """Give one command, then think about the next one."""
        if self._left <= 0:
            return
        world = self._network.world
        self._left -= 1
        getattr(self, f"_{world.random.choice(self._may)}")()
        world.after(world.random.random() * 12, self._command)

    def _any(self, kind: type[Any], *in_states: str) -> Any:
        found = [row for row in self._database.all(kind) if row.state in in_states]
        return self._network.world.random.choice(found) if found else None

    def _ask(self, what: str, work: Callable[[Any], Any]) -> None:
        world = self._network.world
        self.done.commands.add(what)

        def handle(engine: Any) -> None:
            try:
                work(engine)
            except exc.MistralError as error:
                world.note(f"{what} is refused: {error}")

        world.note(f"operator: {what}")
        self._network.cast("command", handle)

    def _pause(self) -> None:
        found = self._any(WorkflowExecution, states.RUNNING)
        if found is not None:
            self._ask("pause", lambda engine: engine.pause_workflow(found.id))

    def _resume(self) -> None:
        found = self._any(WorkflowExecution, states.PAUSED)
        if found is not None:
            self._ask("resume", lambda engine: engine.resume_workflow(found.id))

    def _env(self) -> None:
        found = self._any(WorkflowExecution, states.PAUSED)
        if found is not None:
            self._ask("env", lambda engine: engine.resume_workflow(found.id, {"x": 1}))

    def _stop(self) -> None:
        found = self._any(WorkflowExecution, states.RUNNING, states.PAUSED, states.IDLE)
        state = self._network.world.random.choice([states.ERROR, states.SUCCESS])
        if found is not None:
            self._ask("stop", lambda engine: engine.stop_workflow(found.id, state, "stopped"))

    def _cancel(self) -> None:
        found = self._any(WorkflowExecution, states.RUNNING, states.PAUSED, states.IDLE)
        if found is not None:
            self._ask(
                "cancel", lambda engine: engine.stop_workflow(found.id, states.CANCELLED, "no")
            )

    def _rerun(self) -> None:
        found = self._any(TaskExecution, states.ERROR)
        if found is None:
            self._network.world.after(5.0, self._rerun_late)
            return
        reset = self._network.world.random.random() < 0.7
        self._ask("rerun", lambda engine: engine.rerun_workflow(found.id, reset))

    def _rerun_late(self) -> None:
        found = self._any(TaskExecution, states.ERROR)
        if found is not None:
            self._ask("rerun", lambda engine: engine.rerun_workflow(found.id, True))

    def _skip(self) -> None:
        found = self._any(TaskExecution, states.ERROR)
        if found is not None:
            self._ask("skip", lambda engine: engine.rerun_workflow(found.id, True, None, True))

    def _roll_back(self) -> None:
        """Undo the root, or now and then something below it."""
        source = self._extra
        found = self._database.all(WorkflowExecution)
        if source is None or not found:
            return
        roots = [wf_ex for wf_ex in found if wf_ex.parent_execution_id is None]
        chosen = source.choice(roots if source.random() < 0.8 else found)
        self._ask("rollback", lambda engine: engine.rollback_workflow(chosen.id))

    def _action(self) -> None:
        found = self._any(ActionExecution, states.RUNNING)
        if found is not None and not found.is_sync and found.workflow_execution_id:
            self._ask(
                "pause action", lambda engine: engine.set_action_state(found.id, states.PAUSED)
            )

    def _help(self) -> None:
        """What is paused is resumed at last."""
        world = self._network.world
        for action_ex in self._database.all(ActionExecution):
            if action_ex.state == states.PAUSED:
                change = functools.partial(_run_action, action_ex.id)
                self._ask("resume action", change)
        paused = [e for e in self._database.all(WorkflowExecution) if e.state == states.PAUSED]
        if paused:
            chosen = world.random.choice(paused)
            self._ask("resume", lambda engine: engine.resume_workflow(chosen.id))
        world.after(7.0, self._help)


def _run_action(action_id: str, engine: Any) -> None:
    engine.set_action_state(action_id, states.RUNNING)
