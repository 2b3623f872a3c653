"""A flood of starts in other servers than ours: what is too much for their threads is 503."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mistral.api.admission import Admission
from mistral.api.app import create_app
from mistral.api.dependencies import ApiDependencies, ApiOptions
from mistral.exceptions import UnavailableException
from mistral.utils import ids
from mistral.workflow import states

DEADLINE = 60.0
THREADS = 8
STARTS = 5
START = {"workflow_name": "w"}


class SlowEngine:
    """Starts that take until the test lets them go on."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.may_end = threading.Event()

    def __call__(self, **args: Any) -> dict[str, Any]:
        self.arrived.release()
        assert self.may_end.wait(DEADLINE)
        raise UnavailableException("it was slow")


@pytest.fixture
def slow(engine: Any) -> Iterator[SlowEngine]:
    """The engine is slow at starting workflows and running actions."""
    found = SlowEngine()
    engine.answers |= {"start_workflow": found, "start_action": found}
    yield found
    found.may_end.set()


@pytest.fixture
def request_in(dependencies: ApiDependencies, api: Any) -> Callable[..., Any]:
    """Requests to an application that expects a server with few threads for all."""
    small = dataclasses.replace(
        dependencies,
        admission=Admission.for_threads(THREADS),
        options=ApiOptions(engine_timeout=1),
    )
    return type(api)(create_app(small))


@pytest.fixture
def pool() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    with concurrent.futures.ThreadPoolExecutor(THREADS) as found:
        yield found


@pytest.mark.parametrize("kind", ["executions", "action_executions"])
def test_starts_beyond_the_bound_are_refused(
    request_in: Any, slow: SlowEngine, engine: Any, stored: Any, pool: Any, kind: str
) -> None:
    body = START if kind == "executions" else {"name": "std.noop"}
    begun = [pool.submit(request_in, "POST", f"/v2/{kind}", body) for _ in range(STARTS)]
    for _ in begun:
        assert slow.arrived.acquire(timeout=DEADLINE)

    refused = request_in("POST", "/v2/executions", START)
    assert refused.status_int == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert len(engine.sent) == STARTS

    # third parties and operators are served meanwhile
    execution = stored.execution(state="RUNNING")
    action = stored.action(is_sync=False, workflow_execution_id=execution.id)
    delivered = request_in(
        "PUT", f"/v2/action_executions/{action.id}", {"state": "SUCCESS", "output": 1}
    )
    assert (delivered.status_int, delivered.json["state"]) == (200, states.SUCCESS)
    engine.answers["pause_workflow"] = {}
    paused = request_in("PUT", f"/v2/executions/{execution.id}", {"state": "PAUSED"})
    assert paused.status_int == 200

    slow.may_end.set()
    assert {each.result(DEADLINE).status_int for each in begun} == {503}
    # there is room again
    again = request_in("POST", "/v2/executions", {**START, "id": ids.new_id()})
    assert "slow" in again.json["faultstring"]


def test_commands_leave_room_for_results(
    request_in: Any, engine: Any, stored: Any, pool: Any
) -> None:
    slow = SlowEngine()
    engine.answers["pause_workflow"] = slow
    execution = stored.execution(state="RUNNING")
    path = f"/v2/executions/{execution.id}"
    begun = [pool.submit(request_in, "PUT", path, {"state": "PAUSED"}) for _ in range(6)]
    for _ in begun:
        assert slow.arrived.acquire(timeout=DEADLINE)
    assert request_in("PUT", path, {"state": "PAUSED"}).status_int == 503
    assert request_in("GET", path).status_int == 200
    slow.may_end.set()
    for each in begun:
        each.result(DEADLINE)
