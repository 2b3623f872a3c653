"""An engine's end of the message bus."""

from __future__ import annotations

import threading
from unittest.mock import MagicMock

from oslo_config import cfg

from mistral.context import system_context
from mistral.engine.default_engine import DefaultEngine
from mistral.engine.engine_server import EngineServer, alive_topic, results_topic
from mistral.exceptions import RPCException
from mistral.rpc.base import RPCServer
from mistral.rpc.clients import EngineClient
from mistral.rpc.local import LocalTransport
from mistral.rpc.messages import Heartbeat, Report, RunKey


def _conf() -> cfg.ConfigOpts:
    conf = MagicMock(spec=cfg.ConfigOpts)
    conf.rpc_response_timeout = conf.graceful_shutdown_timeout = 10
    return conf


def _transport() -> LocalTransport:
    return LocalTransport(_conf())


def test_signs_of_life_do_not_wait_behind_requests() -> None:
    """Otherwise a flood of starts lets living executors look dead."""
    transport, engine = _transport(), MagicMock(spec=DefaultEngine)
    may_start, was_heard = threading.Event(), threading.Event()
    engine.start_workflow.side_effect = lambda *_, **__: may_start.wait(10)
    engine.executor_alive.side_effect = lambda *_: was_heard.set()
    server = EngineServer(engine, transport=transport, topic="engine", threads=1)
    server.start()
    for _ in range(3):
        transport.client("engine").cast(
            "start_workflow", system_context(), workflow_identifier="w", workflow_input={}
        )

    EngineClient(transport.client(alive_topic("engine"))).executor_alive(Heartbeat("e", "h"))

    assert was_heard.wait(10)
    may_start.set()
    server.stop(graceful=True)


def test_what_has_begun_does_not_wait_behind_starts() -> None:
    """Executors get claims and hand over results while all threads for requests are busy."""
    transport, engine = _transport(), MagicMock(spec=DefaultEngine)
    may_start, has_begun = threading.Event(), threading.Event()

    def start(*_: object, **__: object) -> None:
        has_begun.set()
        may_start.wait(10)

    engine.start_workflow.side_effect = start
    engine.claim_actions.return_value = ["a"]
    engine.on_actions_complete.return_value = 1
    server = EngineServer(engine, transport=transport, topic="engine", threads=1)
    server.start()
    for _ in range(3):
        transport.client("engine").cast(
            "start_workflow", system_context(), workflow_identifier="w", workflow_input={}
        )
    assert has_begun.wait(10)

    client = EngineClient(transport.client(results_topic("engine")))
    report = Report("a", "w", 0, state="SUCCESS", result=[1])
    granted = client.claim_actions("e", [RunKey("a", 0)])
    client.on_actions_complete("e", [report])

    assert granted == ["a"]
    engine.claim_actions.assert_called_once_with("e", [RunKey("a", 0)])
    assert engine.on_actions_complete.call_args.args[:2] == ("e", [report])
    assert engine.start_workflow.call_count == 1
    may_start.set()
    server.stop(graceful=True)


class _PingedTransport(LocalTransport):
    """Pings the engine whenever it has come to another of its topics."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        super().__init__(conf)
        self.came_to: list[str] = []
        self.heard_before: list[str] = []

    def server(self, topic: str, host: str, endpoint: object, threads: int) -> RPCServer:
        if self.is_heard(0.1):
            self.heard_before.append(topic)
        self.came_to.append(topic)
        return super().server(topic, host, endpoint, threads)

    def is_heard(self, patience: float) -> bool:
        """Whether an engine answers, asked as the API's readiness asks."""
        try:
            self.client(alive_topic("engine")).call("ping", None, timeout=patience)
        except RPCException:
            return False
        return True


def test_an_engine_that_answers_takes_requests() -> None:
    """Whoever heard from it, e.g. by the API's readiness, may send what he has at once."""
    transport, engine = _PingedTransport(_conf()), MagicMock(spec=DefaultEngine)
    server = EngineServer(engine, transport=transport, topic="engine", threads=1)
    server.start()

    assert transport.heard_before == []
    assert set(transport.came_to) == {"engine", alive_topic("engine"), results_topic("engine")}
    assert transport.is_heard(10)
    server.stop(graceful=True)


def test_a_doorbell_that_comes_back_is_left_to_the_relay() -> None:
    """Whoever heard it before may have died of what it was rung for: only the relay counts."""
    engine = MagicMock(spec=DefaultEngine)
    server = EngineServer(engine, transport=_transport(), topic="engine")
    deliveries = [{"id": "a", "wf_ex_id": "w"}]
    server.actions_delivered({"redelivered": True}, deliveries)
    engine.action_delivered.assert_not_called()
    server.actions_delivered({}, deliveries)
    engine.action_delivered.assert_called_once_with("a", "w")
