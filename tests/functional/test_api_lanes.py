"""The API behind the built-in server: each kind of request has workers of its own."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any

import processes
import pytest

from mistral.api import lanes
from mistral.api.admission import Admission
from mistral.api.app import Api, create_app
from mistral.api.dependencies import ApiDependencies
from mistral.exceptions import NotFoundException
from mistral.service.http.lanes import Lanes
from mistral.service.http.options import Bounds, HttpOptions
from mistral.service.http.server import HttpServer
from mistral.workflow import states

DEADLINE = 60.0
WORKERS = lanes.workers(16)


class SlowEngine:
    """Waits for the test before it answers."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.may_end = threading.Event()

    def __call__(self, **args: Any) -> dict[str, Any]:
        self.arrived.release()
        assert self.may_end.wait(DEADLINE)
        raise NotFoundException("it is gone")


@pytest.fixture
def slow(engine: Any) -> Iterator[SlowEngine]:
    """The engine is slow at everything but doorbells."""
    found = SlowEngine()
    methods = ("start_workflow", "start_action", "pause_workflow", "set_action_state")
    engine.answers |= dict.fromkeys(methods, found)
    yield found
    found.may_end.set()


@pytest.fixture
def app(dependencies: ApiDependencies) -> Api:
    admission = Admission.for_lanes(WORKERS[lanes.RESULTS])
    return create_app(dataclasses.replace(dependencies, admission=admission))


@pytest.fixture
def queue_timeout() -> float:
    """Seconds that requests may wait for their turn: longer than any test here takes."""
    return DEADLINE


@pytest.fixture
def url(app: Api, queue_timeout: float) -> Iterator[str]:
    """The built-in server."""
    options = HttpOptions(port=0, bounds=Bounds(queue_timeout=queue_timeout))
    server = HttpServer(app, options, Lanes(WORKERS, app.lane))
    server.start()
    yield f"http://127.0.0.1:{server.address[1]}/v2"
    server.stop()


@pytest.fixture
def pool() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(64) as found:
        yield found


FLOODS = {
    lanes.STARTS: ("POST", "/executions", {"workflow_name": "w"}),
    lanes.ACTIONS: ("POST", "/action_executions", {"name": "std.noop"}),
    lanes.COMMANDS: ("PUT", "/executions/{execution}", {"state": "PAUSED"}),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_whoever_waits_for_engines_holds_up_nobody_else(
    url: str, slow: SlowEngine, stored: Any, pool: concurrent.futures.Executor, kind: str
) -> None:
    execution = stored.execution(state="RUNNING")
    action = stored.action(is_sync=False, workflow_execution_id=execution.id)
    method, path, body = FLOODS[kind]
    path = url + path.format(execution=execution.id)
    begun = [pool.submit(processes.http, method, path, body) for _ in range(2 * WORKERS[kind])]
    for _ in range(WORKERS[kind]):
        assert slow.arrived.acquire(timeout=DEADLINE)

    result = {"state": "SUCCESS", "output": 1}
    status, delivered = processes.http("PUT", f"{url}/action-executions/{action.id}", result)
    assert (status, delivered["state"]) == (200, states.SUCCESS)
    assert processes.http("GET", f"{url}/executions/{execution.id}")[0] == 200
    assert processes.http("POST", f"{url}/workflows", "x")[0] == 201
    assert processes.http("GET", f"{url}/nothing")[0] == 404
    assert not any(each.done() for each in begun)
    slow.may_end.set()
    # the others had their turn in time
    assert {each.result(DEADLINE)[0] for each in begun} == {404}


@pytest.mark.parametrize("queue_timeout", [1.0])
def test_who_waits_too_long_is_told_to_come_again(
    url: str, slow: SlowEngine, pool: concurrent.futures.Executor, engine: Any
) -> None:
    start = FLOODS[lanes.STARTS]
    begun = [pool.submit(processes.http, start[0], url + start[1], start[2]) for _ in range(12)]
    refused = []
    for each in concurrent.futures.as_completed(begun, DEADLINE):
        refused.append(each.result())
        if len(refused) == 12 - WORKERS[lanes.STARTS]:
            break
    assert {status for status, _ in refused} == {503}
    assert "[api] engine_timeout" in refused[0][1]["faultstring"]
    # nothing of it was begun
    assert engine.methods().count("start_workflow") == WORKERS[lanes.STARTS]


def test_states_of_actions_leave_room_for_results(
    url: str, slow: SlowEngine, stored: Any, pool: concurrent.futures.Executor
) -> None:
    action = stored.action(is_sync=False)
    path = f"{url}/action_executions/{action.id}"
    begun = [pool.submit(processes.http, "PUT", path, {"state": "PAUSED"}) for _ in range(5)]
    assert slow.arrived.acquire(timeout=DEADLINE)
    result = {"state": "SUCCESS", "output": 1}
    assert processes.http("PUT", path, result)[0] == 200
    slow.may_end.set()
    assert {each.result(DEADLINE)[0] for each in begun} <= {400, 404, 503}


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("PUT", "/v2/action_executions/1", lanes.RESULTS),
        ("POST", "/v2/action-executions/1/", lanes.RESULTS),
        ("POST", "/v2/action_executions/1/v2/action-executions/1", lanes.RESULTS),
        ("GET", "/v2/action_executions/1", lanes.QUICK),
        ("POST", "/v2/action-executions", lanes.ACTIONS),
        ("POST", "/v2/executions/", lanes.STARTS),
        ("PUT", "/v2/tasks/1", lanes.COMMANDS),
        ("PUT", "/v2/workflows", lanes.DOCUMENTS),
        ("GET", "/healthcheck/ready", lanes.COMMANDS),
        ("GET", "/healthcheck", lanes.QUICK),
        ("GET", "/nothing/at/all", lanes.QUICK),
    ],
)
def test_kinds(app: Api, method: str, path: str, kind: str) -> None:
    assert app.lane(method, path) == kind
