"""Task policies: each one small unit, in their order (doc:language/policies)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.engine.base import Scope, TaskPolicy
from mistral.lang import LONGEST_SECONDS, TaskSpec
from mistral.workflow import states
from mistral.workflow.commands import (
    Command,
    CreateTimer,
    DiscardResults,
    SetWorkflowState,
    UpdateTask,
)
from mistral.workflow.entities import TaskExecution, Timer, WorkflowExecution
from mistral.workflow.ports import DecisionPorts
from mistral.workflow.state_machines import TaskEvent

WAIT_BEFORE = "wait-before"
WAIT_AFTER = "wait-after"
RETRY = "retry"
TIMEOUT = "timeout"


def before_policies(task_spec: TaskSpec) -> list[TaskPolicy]:
    """The policies of a task that may hold its start, in their order."""
    p = task_spec.policies
    found: list[TaskPolicy] = []
    if p.pause_before is not None:
        found.append(PauseBeforePolicy(p.pause_before))
    if p.wait_before is not None:
        found.append(WaitBeforePolicy(p.wait_before))
    if p.timeout is not None:
        found.append(TimeoutPolicy(p.timeout))
    if p.concurrency is not None:
        found.append(ConcurrencyPolicy(p.concurrency))
    return found


def after_policies(task_spec: TaskSpec) -> list[TaskPolicy]:
    """The policies of a task that look at its end, in their order."""
    p = task_spec.policies
    found: list[TaskPolicy] = []
    if p.wait_after is not None:
        found.append(WaitAfterPolicy(p.wait_after))
    if p.fail_on is not None:
        found.append(FailOnPolicy(p.fail_on))
    if p.retry is not None:
        r = p.retry
        found.append(RetryPolicy(r.count, r.delay, r.break_on, r.continue_on))
    return found


def _scope(policy: TaskPolicy, scope: Scope | None) -> Scope:
    if scope is None:
        raise exc.MistralException(f"{type(policy).__name__} was asked without its surroundings.")
    return scope


def _number(policy: TaskPolicy, name: str, value: Any, scope: Scope) -> int:
    result = scope.evaluate(value, name)
    if isinstance(result, bool) or not isinstance(result, int) or result < 0:
        raise exc.InputException(
            f"Invalid data type in {type(policy).__name__}: '{name}' must be an integer "
            f"of at least 0, not {type(result).__name__}"
        )
    return result


def _seconds(policy: TaskPolicy, name: str, value: Any, scope: Scope) -> int:
    result = _number(policy, name, value, scope)
    if result > LONGEST_SECONDS:
        raise exc.InputException(
            f"Invalid value in {type(policy).__name__}: '{name}' must be at most "
            f"{LONGEST_SECONDS} seconds (ten years)"
        )
    return result


def _timer(
    kind: str,
    task_ex: TaskExecution,
    number: int,
    seconds: int,
    scope: Scope,
    payload: Mapping[str, Any],
) -> CreateTimer:
    due_at = scope.ports.now + dt.timedelta(seconds=seconds)
    return CreateTimer(
        Timer(
            id=scope.ports.new_id(),
            kind=kind,
            execution_id=scope.wf_ex.id,
            task_id=task_ex.id,
            attempt=number,
            due_at=due_at,
            payload=dict(payload),
        )
    )


class PauseBeforePolicy(TaskPolicy):
    """Holds the task and pauses the workflow; a resume starts the task."""

    def __init__(self, expression: Any) -> None:
        self.expression = expression

    def before_task_start(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        value = _scope(self, scope).evaluate(self.expression, "pause-before")
        if not isinstance(value, bool):
            raise exc.InputException(
                f"Invalid data type in PauseBeforePolicy: 'pause-before' must be a boolean, "
                f"not {type(value).__name__}"
            )
        if not value:
            return []
        info = "Set by 'pause-before' policy"
        return [
            UpdateTask(task_ex.id, {"state_info": info}, TaskEvent.HOLD),
            SetWorkflowState(states.PAUSED, f"{info} [task={task_ex.name}]", forced=True),
        ]


class WaitBeforePolicy(TaskPolicy):
    """Delays the start."""

    def __init__(self, delay: Any) -> None:
        self.delay = delay

    def before_task_start(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        scope = _scope(self, scope)
        seconds = _seconds(self, "wait-before", self.delay, scope)
        if not seconds or task_ex.state != states.RUNNING:
            return []
        return [
            UpdateTask(
                task_ex.id,
                {
                    "state_info": f"Delayed by 'wait-before' policy [delay={seconds}]",
                    **task_ex.runtime.waiting_before().change,
                },
                TaskEvent.WAIT_BEFORE,
            ),
            _timer(WAIT_BEFORE, task_ex, task_ex.attempt, seconds, scope, {}),
        ]


class TimeoutPolicy(TaskPolicy):
    """Fails a task that takes too long since its first start (doc:language/policies#timeout)."""

    def __init__(self, timeout_sec: Any) -> None:
        self.timeout_sec = timeout_sec

    def before_task_start(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        scope = _scope(self, scope)
        seconds = _seconds(self, "timeout", self.timeout_sec, scope)
        if not seconds:
            return []
        return [
            UpdateTask(task_ex.id, task_ex.runtime.with_timeout(seconds).change),
            _timer(TIMEOUT, task_ex, task_ex.run, seconds, scope, {"seconds": seconds}),
        ]


def note_timeout(task_ex: TaskExecution) -> list[Command]:
    """The time was up after the end of the workflow: it counts if that should run again."""
    return [UpdateTask(task_ex.id, task_ex.runtime.with_timed_out(task_ex.run).change)]


def noted_timeouts(
    ports: DecisionPorts, wf_ex: WorkflowExecution, task_ex: TaskExecution
) -> list[Command]:
    """The timer of a task whose time was up meanwhile, once more: it is due at once."""
    noted = task_ex.runtime
    if noted.timed_out != task_ex.run:
        return []
    timer = Timer(
        id=ports.new_id(),
        kind=TIMEOUT,
        execution_id=wf_ex.id,
        task_id=task_ex.id,
        attempt=task_ex.run,
        due_at=ports.now,
        payload={"seconds": noted.timeout},
    )
    return [UpdateTask(task_ex.id, noted.without_timed_out().change), CreateTimer(timer)]


class ConcurrencyPolicy(TaskPolicy):
    """Limits how many items of a task are unfinished at a time."""

    def __init__(self, concurrency: Any) -> None:
        self.concurrency = concurrency

    def before_task_start(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        scope = _scope(self, scope)
        limit = _number(self, "concurrency", self.concurrency, scope)
        limited = task_ex.runtime.with_concurrency(limit)
        return [UpdateTask(task_ex.id, limited.change)] if limit else []


class WaitAfterPolicy(TaskPolicy):
    """Delays the end: published already, its followers wait (doc:language/policies)."""

    def __init__(self, delay: Any) -> None:
        self.delay = delay

    def after_task_complete(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        scope = _scope(self, scope)
        if task_ex.runtime.has_waited_after:
            return []
        seconds = _seconds(self, "wait-after", self.delay, scope)
        if not seconds:
            return []
        payload = {"state": task_ex.state, "state_info": task_ex.state_info}
        return [
            UpdateTask(
                task_ex.id,
                {
                    "state_info": f"Delayed by 'wait-after' policy [delay={seconds}]",
                    **task_ex.runtime.waiting_after().change,
                },
                TaskEvent.WAIT_AFTER,
            ),
            _timer(WAIT_AFTER, task_ex, task_ex.attempt, seconds, scope, payload),
        ]


class FailOnPolicy(TaskPolicy):
    """Turns a success into an error when its expression holds."""

    def __init__(self, fail_on: Any) -> None:
        self.fail_on = fail_on

    def after_task_complete(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        if task_ex.state != states.SUCCESS:
            return []
        if not _scope(self, scope).evaluate(self.fail_on, "fail-on"):
            return []
        info = "Failed by 'fail-on' policy"
        return [UpdateTask(task_ex.id, {"state_info": info}, TaskEvent.FAIL_ON)]


class RetryPolicy(TaskPolicy):
    """Runs a task again after a pause (doc:language/policies#retry)."""

    def __init__(self, count: Any, delay: Any, break_on: Any, continue_on: Any) -> None:
        self.count = count
        self.delay = delay
        self.break_on = break_on
        self.continue_on = continue_on

    def after_task_complete(
        self, task_ex: TaskExecution, task_spec: TaskSpec, scope: Scope | None = None
    ) -> list[Command]:
        scope = _scope(self, scope)
        count = _number(self, "count", self.count, scope)
        delay = _seconds(self, "delay", self.delay, scope)
        if task_ex.runtime.retries >= count or not self._again(task_ex.state, scope):
            return []
        attempt = task_ex.attempt + 1
        is_join = task_spec.join is not None
        changes: dict[str, Any] = {
            "state_info": f"Delayed by 'retry' policy [delay={delay}]",
            "attempt": attempt,
            # a new attempt repeats all items (doc:language/policies#retry)
            **task_ex.runtime.retried(attempt, is_join).change,
        }
        return [
            UpdateTask(task_ex.id, changes, TaskEvent.RETRY_JOIN if is_join else TaskEvent.RETRY),
            DiscardResults(task_ex.id),
            _timer(RETRY, task_ex, attempt, delay, scope, {}),
        ]

    def _again(self, state: str, scope: Scope) -> bool:
        if state == states.SUCCESS:
            return self.continue_on is not None and self._continues(scope)
        if state != states.ERROR:
            return False
        if self.break_on is not None and scope.evaluate(self.break_on, "retry.break-on"):
            return False
        return self.continue_on is None or self._continues(scope)

    def _continues(self, scope: Scope) -> bool:
        return bool(scope.evaluate(self.continue_on, "retry.continue-on"))
