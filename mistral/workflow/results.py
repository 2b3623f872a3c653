"""Results of actions: what was delivered, and whether it counts (law 5)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import hashlib
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from mistral import exceptions as exc
from mistral.utils import json
from mistral.workflow import states
from mistral.workflow.entities import ActionExecution, TaskExecution
from mistral.workflow.runtime import TaskRuntime
from mistral.workflow.state_machines import ACTION_ENDS
from mistral.workflow.values import Bag, Values

RESULT_LOOK_AFTER = dt.timedelta(seconds=3)
"""When the relay looks at a delivered result that no engine has processed."""

UNKNOWN_ERROR = "Unknown error"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How an action ended: SUCCESS, ERROR or CANCELLED, and its value (any JSON value)."""

    state: str
    value: Any = None

    @property
    def digest(self) -> str:
        """Tells equal outcomes: SHA-256 (hex) over state and value."""
        return hashlib.sha256(json.canonical([self.state, self.value])).hexdigest()

    def check_size(self, limit_kb: int) -> None:
        """Refuse a value above the limit of fields.

        :raises SizeLimitExceededException: with the sizes, never with the value.
        """
        if limit_kb < 0:
            return
        size_kb = len(json.dump_bytes(self.value)) // 1024
        if size_kb > limit_kb:
            raise exc.SizeLimitExceededException.for_field(
                "ActionExecution", "output", size_kb, limit_kb
            )

    def fitting(self, limit_kb: int) -> Outcome:
        """Itself, or the error that it is too large to be stored."""
        try:
            self.check_size(limit_kb)
        except exc.SizeLimitExceededException as error:
            return Outcome(states.ERROR, str(error))
        return self


class Verdict(enum.Enum):
    """What became of a delivered outcome."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    CONFLICT = "conflict"


def accept(
    action_ex: ActionExecution, outcome: Outcome, values: Values, now: dt.datetime
) -> Verdict:
    """Record an outcome on its action unless that has one already.

    The caller holds the row's lock and writes what changed: this is the one rule by which the
    API and the engine store results.
    """
    digest = outcome.digest
    if action_ex.result_at is not None:
        same = action_ex.result_hash == digest
        return Verdict.REPEATED if same else Verdict.CONFLICT
    action_ex.move(ACTION_ENDS[outcome.state])
    action_ex.output = values.pack({"result": outcome.value})
    action_ex.result_hash = digest
    action_ex.result_at = action_ex.updated_at = now
    action_ex.next_look_at = now + RESULT_LOOK_AFTER
    action_ex.tries = 0
    # nobody sends it any more
    action_ex.secrets = None
    return Verdict.ACCEPTED


def called_off(cause: str, now: dt.datetime) -> dict[str, Any]:
    """What becomes of an action for which nobody waits any more: a late result is a conflict.

    That it is cancelled is left to whoever knows the states of what it changes.
    """
    outcome = Outcome(states.CANCELLED)
    return {
        "state_info": cause,
        "output": Bag({"result": outcome.value}),
        "result_hash": outcome.digest,
        "result_at": now,
        "updated_at": now,
        "processed": True,
        "next_look_at": None,
        "secrets": None,
    }


def outcome_of(action_ex: ActionExecution, values: Values) -> Outcome:
    """The outcome that a row holds."""
    value = values.get(action_ex.output, "result") if action_ex.output else None
    return Outcome(action_ex.state, value)


def is_live(action_ex: ActionExecution) -> bool:
    """Whether an action still waits for its result."""
    return action_ex.result_at is None and action_ex.state not in states.COMPLETED


def is_raw(action_ex: ActionExecution) -> bool:
    """Whether the definition of an ad-hoc action has still to be applied to its result."""
    return (
        action_ex.base_name is not None
        and action_ex.state == states.SUCCESS
        and action_ex.result_at is not None
        and not action_ex.processed
    )


class Child(Protocol):
    """What tells whether a sub-execution counts for its task."""

    @property
    def state(self) -> str:
        """The state."""

    @property
    def idx(self) -> int:
        """The position among the items."""

    @property
    def task_attempt(self) -> int:
        """The attempt of the task that it belongs to."""


C = TypeVar("C", bound=Child)


def countable(runtime: TaskRuntime, children: Iterable[C]) -> list[C]:
    """Of each index the newest finished child, not older than the task's last complete reset.

    :param children: all sub-executions of a task, oldest first.
    """
    base, items = runtime.base_attempt, runtime.items
    newest: dict[int, C] = {}
    for child in children:
        if child.task_attempt < base or not states.is_completed(child.state):
            continue
        if items is not None and not items.has(child.idx):
            continue
        other = newest.get(child.idx)
        if other is None or other.task_attempt <= child.task_attempt:
            newest[child.idx] = child
    return [newest[index] for index in sorted(newest)]


def counting(task_ex: TaskExecution, accepted: Iterable[ActionExecution]) -> list[ActionExecution]:
    """Accepted actions without those that a rerun sets aside which is only being decided.

    :param task_ex: the task as the decision would leave it.
    """
    base, items = task_ex.runtime.base_attempt, task_ex.runtime.items
    keeps_successes = items is not None and items.keeps_successes
    return [
        a
        for a in accepted
        if a.attempt >= base
        and (items is None or items.has(a.idx))
        and not (keeps_successes and a.state != states.SUCCESS and a.attempt < task_ex.attempt)
    ]


def finish_alone(action_ex: ActionExecution) -> None:
    """An action that belongs to no workflow is done as soon as its result is stored.

    An ad-hoc action's result still has to be transformed by an engine.
    """
    action_ex.accepted = action_ex.processed = True
    action_ex.next_look_at = None
