"""The executor behind a transport."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import pytest

from mistral import config, exceptions
from mistral.engine.default_executor import DefaultExecutor
from mistral.engine.executor.action_runner import ActionRunner
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor_server import ExecutorServer
from mistral.rpc.clients import EngineClient, ExecutorClient
from mistral.rpc.local import LocalTransport
from mistral.rpc.messages import ActionOrder


@pytest.fixture
def transport() -> LocalTransport:
    return LocalTransport(config.load([], environ={}))


@pytest.fixture
def server(
    transport: LocalTransport, engine: Any, runner: ActionRunner
) -> Iterator[ExecutorServer]:
    executor = DefaultExecutor(EngineClient(engine), ExecutorOptions(host="ex1"), runner=runner)
    server = ExecutorServer(executor, transport=transport, threads=2)
    server.start()
    yield server
    server.stop()


def test_orders_arrive_and_results_go_back(
    server: ExecutorServer, transport: LocalTransport, engine: Any, order: Any
) -> None:
    client = ExecutorClient(transport.client("mistral_executor"))
    client.run_actions([order("a", input={"value": [1]})])
    assert engine.result_of("a")["result"] == [1]
    client.run_actions([order("b", input={"value": 2})], target="ex1")
    assert engine.result_of("b")["result"] == 2


def test_a_direct_run_is_answered(server: ExecutorServer, transport: LocalTransport) -> None:
    order = ActionOrder("", "Knows", attributes={"color": "blue"}, context={"project_id": "p"})
    client = ExecutorClient(transport.client("mistral_executor"))
    report = client.run_action(None, order, timeout=10)
    assert report.state == "SUCCESS"
    assert (report.result[0], report.result[-1]) == ("blue", "p")


def test_callers_who_wait_do_not_hold_up_orders(
    transport: LocalTransport, engine: Any, runner: ActionRunner, order: Any, gate: Any
) -> None:
    options = ExecutorOptions(host="ex2", direct_runs=1)
    executor = DefaultExecutor(EngineClient(engine), options, runner=runner)
    server = ExecutorServer(executor, transport=transport, threads=2)
    server.start()
    client = transport.client("mistral_executor")
    wanted = {
        "action_ex_id": None,
        "action_class_str": "Gated",
        "attributes": {},
        "params": {},
        "safe_rerun": False,
    }
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.call, "run_action", None, 10, None, **wanted)
        gate.wait_begun()
        with pytest.raises(exceptions.UnavailableException, match="try again"):
            client.call("run_action", None, timeout=10, **wanted)
        ExecutorClient(client).run_actions([order("a", input={"value": 1})])
        assert engine.result_of("a")["result"] == 1
        gate.open.set()
        assert waiting.result(10)["state"] == "SUCCESS"
    server.stop()


def test_no_message_can_end_an_executor(server: ExecutorServer, transport: LocalTransport) -> None:
    with pytest.raises(exceptions.RPCException, match="no remote method"):
        transport.client("mistral_executor").call("stop", None, timeout=10)


def test_a_graceful_stop_hands_everything_over(
    server: ExecutorServer, transport: LocalTransport, engine: Any, order: Any, gate: Any
) -> None:
    client = ExecutorClient(transport.client("mistral_executor"))
    client.run_actions([order("a", "Gated", input={"value": 1})])
    gate.wait_begun()
    gate.open.set()
    server.stop(graceful=True)
    assert engine.results["a"]["result"] == 1


def test_the_brokers_mark_decides_about_running_again(server: ExecutorServer) -> None:
    def run(rpc_ctx: dict[str, Any], safe_rerun: bool) -> str:
        report = server.run_action(rpc_ctx, "a", "Returns", {}, {"value": 1}, safe_rerun)
        return str(report["result"])

    assert "redelivered" in run({"redelivered": True}, False)
    assert "redelivered" not in run({"redelivered": True}, True)
    assert "redelivered" not in run({}, False)
