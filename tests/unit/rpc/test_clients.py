"""Each verb of the clients is one of the endpoints', which takes what it is sent."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from mistral.context import RequestContext
from mistral.engine.engine_server import EngineServer
from mistral.engine.executor_server import ExecutorServer
from mistral.rpc.base import RPCClient
from mistral.rpc.clients import EngineClient, ExecutorClient
from mistral.rpc.messages import ActionOrder, Delivery, Heartbeat, Report, RunKey
from mistral.utils import json
from mistral.workflow.results import Outcome

CALLER = RequestContext(project_id="p1")
ANSWERS: dict[str, Any] = {
    "ping": {},
    "start_action": {"action": {}, "saved": True, "call": None},
    "transform_result": {"state": "SUCCESS", "result": 1},
    "action_inputs": [{"id": "a", "input": {}}],
    "claim_actions": ["a"],
    "run_action": {"id": "a", "kind": "result", "state": "SUCCESS", "result": 1},
}
ENGINE: dict[str, Callable[[EngineClient], Any]] = {
    "ping": lambda engine: engine.ping(),
    "start_workflow": lambda engine: engine.start_workflow("w", {"x": 1}, wf_ex_id="e"),
    "pause_workflow": lambda engine: engine.pause_workflow("e"),
    "resume_workflow": lambda engine: engine.resume_workflow("e", {"x": 1}),
    "stop_workflow": lambda engine: engine.stop_workflow("e", "ERROR", "why"),
    "rerun_workflow": lambda engine: engine.rerun_workflow("t", reset=False, skip=True),
    "rollback_workflow": lambda engine: engine.rollback_workflow("e"),
    "update_env": lambda engine: engine.update_env("e", {"x": 1}),
    "start_action": lambda engine: engine.start_action("a", {}, params={"save_result": True}),
    "transform_result": lambda engine: engine.transform_result("a", Outcome("SUCCESS", 1)),
    "on_action_complete": lambda engine: engine.on_action_complete("a", Outcome("SUCCESS", 1)),
    "set_action_state": lambda engine: engine.set_action_state("a", "PAUSED"),
    "actions_delivered": lambda engine: engine.actions_delivered([Delivery("a", None)]),
    "claim_actions": lambda engine: engine.claim_actions("x", [RunKey("a", 0)]),
    "release_actions": lambda engine: engine.release_actions("x", [RunKey("a", 0)]),
    "action_inputs": lambda engine: engine.action_inputs("x", [RunKey("a", 0)]),
    "on_actions_complete": lambda engine: engine.on_actions_complete("x", [Report("a")]),
    "executor_alive": lambda engine: engine.executor_alive(Heartbeat("x", "h", ["a"])),
}
EXECUTOR: dict[str, Callable[[ExecutorClient], Any]] = {
    "run_actions": lambda executor: executor.run_actions([ActionOrder("a", "x")], "h"),
    "run_large_actions": lambda executor: executor.run_large_actions([ActionOrder("a", "x")]),
    "run_action": lambda executor: executor.run_action(CALLER, ActionOrder("a", "x"), timeout=7),
}


class _Sent(RPCClient):
    """Notes the last message, as it travels, and answers as an endpoint may."""

    method = ""
    ctx: RequestContext | None = None
    timeout: float | None = None
    target: str | None = None
    args: dict[str, Any]

    def call(
        self,
        method: str,
        ctx: RequestContext | None,
        timeout: float | None = None,
        target: str | None = None,
        **args: Any,
    ) -> Any:
        self.timeout = timeout
        self.cast(method, ctx, target, **args)
        return ANSWERS.get(method)

    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        self.method, self.ctx, self.target = method, ctx, target
        self.args = json.loads(json.dump_bytes(args))


def _verbs(kind: type) -> set[str]:
    return {name for name in vars(kind) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("endpoint", "client", "known"),
    [(EngineServer, EngineClient, ENGINE), (ExecutorServer, ExecutorClient, EXECUTOR)],
)
def test_clients_and_endpoints_know_the_same_verbs(
    endpoint: type, client: type, known: Any
) -> None:
    answered = {
        name
        for name, method in inspect.getmembers(endpoint, inspect.isfunction)
        if "rpc_ctx" in inspect.signature(method).parameters
    }
    assert _verbs(client) - {"on_behalf_of", "within"} == answered == set(known)


@pytest.mark.parametrize("verb", ENGINE)
def test_engines_take_what_they_are_sent(verb: str) -> None:
    sent = _Sent()
    ENGINE[verb](EngineClient(sent).on_behalf_of(CALLER, 7.0))
    assert sent.method == verb
    inspect.signature(getattr(EngineServer, verb)).bind(None, {}, **sent.args)
    is_cast = verb in ("actions_delivered", "executor_alive")
    # the work behind a cast is a committed row: it is nobody's, and never expires
    assert (sent.ctx, sent.timeout) == ((None, None) if is_cast else (CALLER, 7.0))


@pytest.mark.parametrize("verb", EXECUTOR)
def test_executors_take_what_they_are_sent(verb: str) -> None:
    sent = _Sent()
    EXECUTOR[verb](ExecutorClient(sent))
    assert sent.method == verb
    inspect.signature(getattr(ExecutorServer, verb)).bind(None, {}, **sent.args)


def test_whoever_is_asked_on_behalf_of_is_asked_with_his_patience() -> None:
    sent = _Sent()
    engines = EngineClient(sent, CALLER)
    engines.within(3.0).ping()
    assert (sent.ctx, sent.timeout) == (CALLER, 3.0)
    engines.ping()
    assert (sent.ctx, sent.timeout) == (CALLER, None)


def test_an_order_that_is_waited_for_says_all_that_an_executor_needs() -> None:
    order = ActionOrder(
        "a", "x.Y", "std.y", {"in": 1}, {"color": "red"}, safe_rerun=True, timeout=2.0,
        context={"project_id": "p"},
    )  # fmt: skip
    sent = _Sent()
    report = ExecutorClient(sent).run_action(CALLER, order, "host", 9.0)
    assert (sent.target, sent.timeout, report.outcome) == ("host", 9.0, Outcome("SUCCESS", 1))
    assert sent.args == {
        "action_ex_id": "a",
        "action_class_str": "x.Y",
        "attributes": {"color": "red"},
        "params": {"in": 1},
        "safe_rerun": True,
        "name": "std.y",
        "execution_context": {"project_id": "p"},
        "action_timeout": 2.0,
    }
