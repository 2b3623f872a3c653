"""The executor behind a transport."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import Any

import pytest

from mistral import config, exceptions
from mistral.engine.default_executor import DefaultExecutor, ExecutorOptions
from mistral.engine.executor.action_runner import ActionRunner
from mistral.engine.executor_server import ExecutorServer
from mistral.rpc.local import LocalTransport


@pytest.fixture
def transport() -> LocalTransport:
    return LocalTransport(config.load([], environ={}))


@pytest.fixture
def server(
    transport: LocalTransport, engine: Any, runner: ActionRunner
) -> Iterator[ExecutorServer]:
    executor = DefaultExecutor(engine, ExecutorOptions(host="ex1"), runner=runner)
    server = ExecutorServer(executor, transport=transport, threads=2)
    server.start()
    yield server
    server.stop()


def test_orders_arrive_and_results_go_back(
    server: ExecutorServer, transport: LocalTransport, engine: Any, order: Any
) -> None:
    client = transport.client("mistral_executor")
    client.cast("run_actions", None, actions=[order("a", input={"value": [1]})])
    assert engine.result_of("a")["result"] == [1]
    client.cast("run_actions", None, target="ex1", actions=[order("b", input={"value": 2})])
    assert engine.result_of("b")["result"] == 2


def test_a_direct_run_is_answered(server: ExecutorServer, transport: LocalTransport) -> None:
    report = transport.client("mistral_executor").call(
        "run_action",
        None,
        timeout=10,
        action_ex_id=None,
        action_class_str="Knows",
        attributes={"color": "blue"},
        params={},
        safe_rerun=False,
        execution_context={"project_id": "p"},
    )
    assert report["state"] == "SUCCESS"
    assert (report["result"][0], report["result"][-1]) == ("blue", "p")


def test_callers_who_wait_do_not_hold_up_orders(
    transport: LocalTransport, engine: Any, runner: ActionRunner, order: Any, gate: Any
) -> None:
    options = ExecutorOptions(host="ex2", direct_runs=1)
    executor = DefaultExecutor(engine, options, runner=runner)
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
        client.cast("run_actions", None, actions=[order("a", input={"value": 1})])
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
    client = transport.client("mistral_executor")
    client.cast("run_actions", None, actions=[order("a", "Gated", input={"value": 1})])
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
