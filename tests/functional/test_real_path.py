"""The public methods of the engine package are the way work goes, not names beside it.

A service in this process runs workflows of every kind while each public method notes that it was
entered. A method that nothing enters fails the test.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import processes
import pytest

from mistral import config
from mistral.cmd import assembly
from mistral.db.core import schema_version
from tests.lib.flows import Flows

PUBLIC = {
    "actions.Action": "complete fail run schedule",
    "actions.AdHocAction": "validate_input",
    "actions.PythonAction": "complete is_sync schedule validate_input",
    "actions.WorkflowAction": "complete schedule validate_input",
    "default_engine.DefaultEngine": (
        "on_action_complete pause_workflow rerun_workflow resume_workflow rollback_workflow "
        "start_action start_workflow stop_workflow"
    ),
    "default_executor.DefaultExecutor": "run_action",
    "engine_server.EngineServer": (
        "on_action_complete pause_workflow rerun_workflow resume_workflow rollback_workflow start "
        "start_action start_workflow stop stop_workflow"
    ),
    "executor_server.ExecutorServer": "run_action start stop",
    "policies.ConcurrencyPolicy": "before_task_start",
    "policies.PauseBeforePolicy": "before_task_start",
    "policies.RetryPolicy": "after_task_complete",
    "policies.TimeoutPolicy": "before_task_start",
    "policies.WaitAfterPolicy": "after_task_complete",
    "policies.WaitBeforePolicy": "before_task_start",
    "tasks.RegularTask": "on_action_complete run",
    "tasks.Task": (
        "complete defer is_completed is_created is_state_changed is_waiting reset run set_state"
    ),
    "tasks.WithItemsTask": "is_with_items_completed on_action_complete",
    "workflows.Workflow": "check_and_complete lock rerun resume set_state start stop",
}

DEFINITIONS = """
child:
  tasks:
    c: {action: std.noop}
main:
  tasks:
    a: {action: std.echo output=1, wait-before: 1, wait-after: 1, on-success: [j, items, sub]}
    b: {action: std.noop, timeout: 60, on-success: j}
    j: {join: all, action: std.noop, on-success: wrapped}
    wrapped: {action: wrapper text="x"}
    items:
      with-items: i in [1, 2, 3]
      concurrency: 1
      action: std.echo output=<% $.i %>
    sub: {workflow: child}
held:
  tasks:
    a: {action: std.noop, pause-before: true, on-success: open, rollback: std.noop}
    open: {action: std.async_noop}
failing:
  tasks:
    a: {action: std.fail, retry: {count: 1, delay: 0}}
big:
  tasks:
    a: {action: std.async_noop}
large:
  tasks:
    a: {action: std.test_dict size=2000 key_prefix="key" val="value"}
"""

ACTION = """
version: '2.0'
wrapper:
  input: [text]
  base: std.echo
  base-input: {output: <% $.text %>}
  output: <% [$] %>
"""


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The public methods that were entered so far."""
    seen: set[str] = set()

    def noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        # the RPC dispatcher looks at signatures, so the wrapper keeps them
        @functools.wraps(method)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            seen.add(name)
            return method(*args, **kwargs)

        return wrapper

    for path, names in PUBLIC.items():
        module, _, cls = path.rpartition(".")
        owner = getattr(importlib.import_module(f"mistral.engine.{module}"), cls)
        for name in names.split():
            for user in _implementers(owner, name):
                own = vars(user)[name]
                monkeypatch.setattr(user, name, noting(f"{path}.{name}", own))
    return seen


def _implementers(owner: type, name: str) -> list[type]:
    """Where a method is written: in the class itself, below an abstract one, or above."""
    abstract = getattr(inspect.getattr_static(owner, name), "__isabstractmethod__", False)
    family = owner.__subclasses__() if abstract else owner.__mro__
    found = [cls for cls in family if name in vars(cls)]
    return found if abstract else found[:1]


@pytest.fixture
def service(entered: set[str], tmp_path: Path) -> Iterator[Flows]:
    port = processes.free_port()
    url = f"sqlite:///{tmp_path}/mistral.sqlite"
    file = tmp_path / "mistral.conf"
    file.write_text(
        f"[DEFAULT]\ntransport_url = fake:/\n[database]\nconnection = {url}\n"
        f"[api]\nhost = 127.0.0.1\nport = {port}\n[pecan]\nauth_enable = false\n"
        "[executor]\ntype = local\n[engine]\nexecution_field_size_limit_kb = 8\n"
    )
    schema_version.upgrade(url)
    group = assembly.build_service(config.load(["--config-file", str(file)]))
    group.start()
    yield Flows(f"http://127.0.0.1:{port}")
    group.stop(graceful=True)
    missing = {f"{path}.{name}" for path, names in PUBLIC.items() for name in names.split()}
    assert missing - entered == set()


def test_every_public_method_is_entered(service: Flows) -> None:
    service.define(ACTION, "actions")
    service.define("version: '2.0'\n" + DEFINITIONS)
    service.start("main").wait()
    failing = service.start("failing").wait("ERROR")
    failing.put_task("a", state="RUNNING", reset=True)
    held = service.start("held").wait("PAUSED")
    held.put(state="RUNNING")
    held.wait_actions("open")
    held.put(state="PAUSED")
    held.put(state="ROLLBACK")
    held.wait("CANCELLED")
    stopped = service.start("big")
    stopped.wait_actions("a")
    stopped.put(state="CANCELLED")
    service.start("large").wait("ERROR")
    for params in ({}, {"save_result": True, "run_sync": True}):
        body = {
            "name": "wrapper",
            "input": {"text": "y"},
            "params": params,
            "workflow_namespace": service.namespace,
        }
        assert service.ok("POST", "/action_executions", body)["state"] == "SUCCESS"
