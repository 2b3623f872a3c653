"""An executor, and the engine it talks to as the executor sees it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mistral.actions.std_actions import EchoAction
from mistral.context import RequestContext
from mistral.engine.default_executor import DefaultExecutor
from mistral.engine.executor.action_runner import ActionRunner
from mistral.engine.executor.options import ExecutorOptions
from mistral.rpc.base import RPCClient
from mistral.rpc.clients import EngineClient
from mistral.rpc.messages import ActionOrder
from mistral_lib.actions import Action, ActionContext, Result, SecretStr

DEADLINE = 10.0


class EnginePeer(RPCClient):
    """What engines answer: by default every claim is granted and every result is stored."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.claims: list[list[dict[str, Any]]] = []
        self.batches: list[list[dict[str, Any]]] = []
        self.released: list[dict[str, Any]] = []
        self.beats: list[dict[str, Any]] = []
        self.refuse: set[str] = set()
        self.failures: dict[str, list[BaseException]] = {}
        self.before: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.timeouts: dict[str, list[float | None]] = {}

    def call(
        self,
        method: str,
        ctx: RequestContext | None,
        timeout: float | None = None,
        target: str | None = None,
        **args: Any,
    ) -> Any:
        if method in self.before:
            self.before[method](args)
        with self.changed:
            self.timeouts.setdefault(method, []).append(timeout)
            if self.failures.get(method):
                raise self.failures[method].pop(0)
            answer = getattr(self, f"_{method}")(**args)
            self.changed.notify_all()
            return answer

    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        self.call(method, ctx, **args)

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        return {report["id"]: report for batch in self.batches for report in batch}

    def wait_for(self, condition: Callable[[], Any]) -> None:
        """Wait until the engine has seen something."""
        with self.changed:
            assert self.changed.wait_for(condition, DEADLINE), "it did not happen in time"

    def result_of(self, action_id: str) -> dict[str, Any]:
        self.wait_for(lambda: action_id in self.results)
        return self.results[action_id]

    def _claim_actions(self, executor_id: str, claims: list[dict[str, Any]]) -> list[str]:
        self.claims.append(claims)
        return [claim["id"] for claim in claims if claim["id"] not in self.refuse]

    def _on_actions_complete(self, executor_id: str, results: list[dict[str, Any]]) -> None:
        self.batches.append(results)

    def _release_actions(self, executor_id: str, claims: list[dict[str, Any]]) -> None:
        self.released += claims

    def _executor_alive(self, **beat: Any) -> None:
        self.beats.append(beat)


class Gate:
    """Lets actions of a test begin and end when the test says so."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.runs: list[Any] = []

    def wait_begun(self) -> None:
        assert self.begun.acquire(timeout=DEADLINE), "no action began in time"


def make_actions(gate: Gate) -> dict[str, type[Action]]:
    """Actions by the path under which a test orders them."""

    class Gated(Action):
        def __init__(self, value: Any = None) -> None:
            self.value = value

        def run(self, context: ActionContext) -> Any:
            gate.runs.append(self.value)
            gate.begun.release()
            assert gate.open.wait(DEADLINE)
            return self.value

    class Returns(Action):
        def __init__(self, value: Any = None) -> None:
            self.value = value

        def run(self, context: ActionContext) -> Any:
            gate.runs.append(self.value)
            return self.value

        def test(self, context: ActionContext) -> Any:
            return "tested"

    class Raises(Action):
        def __init__(self, error: str = "boom", password: str = "") -> None:
            self.error = error

        def run(self, context: ActionContext) -> None:
            raise ValueError(self.error)

    class Unlocks(Action):
        def __init__(self, pin: SecretStr, door: str) -> None:
            raise ValueError(f"no door opens with {pin}")

        def run(self, context: ActionContext) -> None:
            return None

    class Exits(Action):
        def run(self, context: ActionContext) -> None:
            raise SystemExit("bye")

    class Gives(Action):
        def run(self, context: ActionContext) -> None:
            raise asyncio.CancelledError("given up")

    class CantBuild(Action):
        def __init__(self) -> None:
            raise RuntimeError("can't be built")

        def run(self, context: ActionContext) -> None:
            return None

    class Unspeakable(Action):
        def run(self, context: ActionContext) -> Any:
            return object()

    class Knows(Action):
        color = "none"

        def run(self, context: ActionContext) -> Any:
            execution = context.execution
            return [
                self.color,
                execution.workflow_name,
                execution.workflow_execution_id,
                execution.task_execution_id,
                execution.action_execution_id,
                execution.callback_url,
                context.security.project_id,
            ]

    class Async(Returns):
        def is_sync(self) -> bool:
            return False

    class AsyncRaises(Raises):
        def is_sync(self) -> bool:
            return False

    class AsyncFails(Async):
        def run(self, context: ActionContext) -> Any:
            return Result(error=self.value)

    class Cancels(Action):
        def run(self, context: ActionContext) -> Any:
            return Result(cancel=True)

    kinds = (
        Gated, Returns, Raises, Exits, Gives, CantBuild, Unspeakable, Knows, Async, AsyncRaises,
        AsyncFails, Cancels, Unlocks,
    )  # fmt: skip
    return {kind.__name__: kind for kind in kinds} | {"Echo": EchoAction}


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def runner(gate: Gate) -> ActionRunner:
    known = make_actions(gate)

    def load(path: str) -> type:
        from_here = known.get(path)
        if from_here is None:
            raise LookupError(f"no class {path}")
        return from_here

    return ActionRunner(class_loader=load)


@pytest.fixture
def engine() -> EnginePeer:
    return EnginePeer()


@pytest.fixture
def make_executor(engine: EnginePeer, runner: ActionRunner) -> Iterator[Any]:
    made: list[DefaultExecutor] = []

    def make(**options: Any) -> DefaultExecutor:
        quick: dict[str, Any] = {"first_pause": 0.01, "longest_pause": 0.05}
        executor = DefaultExecutor(
            EngineClient(engine), ExecutorOptions(**(quick | options)), runner=runner
        )
        executor.start()
        made.append(executor)
        return executor

    yield make
    for executor in made:
        executor.stop()


@pytest.fixture
def executor(make_executor: Any) -> DefaultExecutor:
    return make_executor()


@pytest.fixture
def order() -> Callable[..., ActionOrder]:
    """Makes an order for an action."""

    def make(action_id: str, kind: str = "Returns", **changes: Any) -> ActionOrder:
        values: dict[str, Any] = {
            "id": action_id,
            "wf_ex_id": "wf",
            "task_ex_id": "task",
            "attempt": 0,
            "name": f"my.{kind}",
            "action_class": kind,
            "attributes": {},
            "input": {},
            "safe_rerun": False,
            "needs_claim": True,
            "timeout": None,
            "dry_run": False,
            "context": {},
        }
        return ActionOrder.from_wire(values | changes)

    return make


@pytest.fixture
def instant(runner: ActionRunner, order: Any) -> dict[str, Any]:
    """What makes an order one for an action that runs at once; its class was used before."""
    runner.prepare(order("warm-up", "Echo", input={"output": 1}))
    return {"kind": "Echo", "needs_claim": False}


@pytest.fixture
def eventually() -> Callable[[Callable[[], Any]], None]:
    """Wait for something that nobody announces."""

    def wait(condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.005)

    return wait
