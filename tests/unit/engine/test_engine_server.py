"""An engine's end of the message bus."""

from __future__ import annotations

import threading
from unittest.mock import MagicMock

from oslo_config import cfg

from mistral.context import system_context
from mistral.engine.default_engine import DefaultEngine
from mistral.engine.engine_server import EngineServer, alive_topic
from mistral.rpc.local import LocalTransport


def _transport() -> LocalTransport:
    conf = MagicMock(spec=cfg.ConfigOpts)
    conf.rpc_response_timeout = conf.graceful_shutdown_timeout = 10
    return LocalTransport(conf)


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

    transport.client(alive_topic("engine")).cast(
        "executor_alive", None, executor_id="e", host="h", running=[]
    )

    assert was_heard.wait(10)
    may_start.set()
    server.stop(graceful=True)
