"""Runs one action: builds it, calls it, and turns whatever happens into a report.

No threads and no messages here; see ``default_executor`` for those.
"""

from __future__ import annotations

import dataclasses
import json as strict_json
import logging
from collections.abc import Callable
from typing import Any

import orjson

from mistral.actions import failures, secrets
from mistral.actions.base import InstantAction, ServicedAction
from mistral.actions.masking import MASK
from mistral.actions.services import ActionServices
from mistral.actions.signatures import Signature
from mistral.rpc.messages import RESULT, SIGNALLED, ActionOrder, Report
from mistral.utils import json, origin, texts
from mistral.workflow.states import CANCELLED, ERROR, RUNNING, SUCCESS
from mistral_lib.actions import (
    Action,
    ActionContext,
    ActionException,
    ExecutionContext,
    Result,
    SecurityContext,
)
from mistral_lib.serialization import load_class, with_attributes

LOG = logging.getLogger(__name__)

_PLAIN_ONLY = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def is_masked(order: ActionOrder) -> bool:
    """Whether secrets are missing: an engine of a version that can't decrypt them has sent it.

    One that can will send it again.
    """
    return not order.is_whole and MASK in json.dumps(dict(order.input))


@dataclasses.dataclass
class Prepared:
    """An action that is ready to run, or the report of why it can't be built."""

    order: ActionOrder
    action: Action | None = None
    is_sync: bool = True
    failure: Report | None = None

    def is_instant(self) -> bool:
        """Whether running it takes no time worth a thread of its own."""
        if self.action is None:
            return True
        return isinstance(self.action, InstantAction) and self.action.is_instant()


class ActionRunner:
    """Builds actions from their class path and input, and runs them. Safe between threads."""

    def __init__(
        self,
        services: ActionServices | None = None,
        class_loader: Callable[[str], type] = load_class,
    ) -> None:
        self._services = services or ActionServices()
        self._load = class_loader
        self._classes: dict[str, type[Action]] = {}

    def is_instant(self, order: ActionOrder) -> bool:
        """Whether the class is known as one whose actions may run at once.

        A class that was never used here counts as none: importing it may take time.
        """
        known = self._classes.get(order.action_class)
        return known is not None and issubclass(known, InstantAction)

    def prepare(self, order: ActionOrder) -> Prepared:
        """Build the action; never raises."""
        found = None
        try:
            with origin.acting_for(order.title, order.id):
                found = self._class(order.action_class)
                action = with_attributes(found, order.attributes)(**order.input)
                if isinstance(action, ServicedAction):
                    action.equip(self._services)
                return Prepared(order, action, is_sync=bool(action.is_sync()) or order.dry_run)
        # an action is foreign code and may raise anything, even SystemExit or a cancellation:
        # what passes here ends a thread, and nobody ever hears of the action again
        except BaseException as error:  # noqa: BLE001
            return Prepared(order, failure=raised(order, error, found))

    def run(self, prepared: Prepared) -> Report:
        """Run the action and report how it ended; never raises."""
        order, action = prepared.order, prepared.action
        if action is None:
            return prepared.failure or failed(order, "The action could not be built")
        context = context_of(order)
        try:
            with origin.acting_for(order.title, order.id):
                value = action.test(context) if order.dry_run else action.run(context)
        except BaseException as error:  # noqa: BLE001
            return raised(order, error, type(action))
        if prepared.is_sync:
            return _ended(order, value)
        if isinstance(value, Result) and value.is_error():
            return _ended(order, value)
        return report(order, SIGNALLED, RUNNING)

    def _class(self, path: str) -> type[Action]:
        known = self._classes.get(path)
        if known is None:
            found = self._load(path)
            if not issubclass(found, Action):
                raise ActionException("It is not a class of actions")
            known = self._classes[path] = found
        return known


def context_of(order: ActionOrder) -> ActionContext:
    """What the action may know of its surroundings."""
    values = order.context
    security = {k: v for k, v in values.items() if k in _SECURITY} | (values.get("security") or {})
    execution = {k: v for k, v in values.items() if k in _EXECUTION and v is not None}
    execution.setdefault("action_execution_id", order.id)
    execution.setdefault("workflow_execution_id", order.wf_ex_id)
    execution.setdefault("task_execution_id", order.task_ex_id)
    return ActionContext.from_dict({"security": security, "execution": execution})


def report(order: ActionOrder, kind: str, state: str, value: Any = None) -> Report:
    """What the engine is told."""
    return Report(order.id, order.wf_ex_id, order.attempt, kind, state, value)


def size_of(told: Report) -> int:
    """Bytes of a report's result as JSON text."""
    return 0 if told.result is None else len(json.dump_bytes(told.result))


def failed(order: ActionOrder, error: Any) -> Report:
    """The report of an error."""
    return report(order, RESULT, ERROR, error)


def raised(
    order: ActionOrder, error: BaseException, action_class: type[Action] | None = None
) -> Report:
    """The report of an exception (doc:language/states): its text without secrets, never its trace.

    The trace is for the author of the action, who finds it in the log.
    """
    marks = Signature.of_class(action_class).secrets if action_class else {}
    known = {**secrets.sorted_out(marks, order.input), "context": order.context}
    told = failures.describe(error, known)
    LOG.error(
        "An action raised an exception [action=%s, action_ex_id=%s]\n%s",
        order.title,
        order.id,
        told.trace,
    )
    return failed(
        order, f"{told.message} ({texts.RAISED} [action={order.title}, action_ex_id={order.id}])"
    )


def timed_out(order: ActionOrder, seconds: float) -> Report:
    """The report of an action that took too long."""
    return failed(order, f"Timeout after {seconds:g} seconds")


def _ended(order: ActionOrder, value: Any) -> Report:
    result = value if isinstance(value, Result) else Result(data=value)
    if result.is_cancel():
        return report(order, RESULT, CANCELLED)
    state = ERROR if result.is_error() else SUCCESS
    try:
        return report(order, RESULT, state, plain(result.to_dict()["result"]))
    except (TypeError, ValueError, RecursionError):
        return failed(
            order,
            "JSON can't express the action's result "
            f"[action={order.title}, action_ex_id={order.id}]",
        )


def plain(value: Any) -> Any:
    """A value of JSON's types only: itself where it is one; TypeError or ValueError if it can't."""
    try:
        orjson.dumps(json.wrapped(value), option=_PLAIN_ONLY)
    except TypeError:
        if json.is_deep(value):
            raise ValueError("the value is nested too deeply") from None
        return strict_json.loads(_text(value))
    return value


def _text(value: Any) -> str | bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        # integers over 64 bits and lone surrogates
        return strict_json.dumps(value)


_SECURITY = frozenset(f.name for f in dataclasses.fields(SecurityContext))
_EXECUTION = frozenset(f.name for f in dataclasses.fields(ExecutionContext))
