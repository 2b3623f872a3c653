"""Runs one action: builds it, calls it, and turns whatever happens into a report.

No threads and no messages here; see ``default_executor`` for those.
"""

from __future__ import annotations

import dataclasses
import json as strict_json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from mistral.actions import failures, secrets
from mistral.actions.base import InstantAction, ServicedAction
from mistral.actions.masking import MASK
from mistral.actions.services import ActionServices
from mistral.actions.signatures import Signature
from mistral.utils import json, origin, texts
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

SUCCESS, ERROR, CANCELLED = "SUCCESS", "ERROR", "CANCELLED"
KIND_RESULT, KIND_SIGNALLED = "result", "signalled"
_PLAIN_ONLY = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)

Report = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class ActionCall:
    """An order to run an action, as the engine sends it."""

    id: str
    action_class: str
    name: str = ""
    input: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attempt: int = 0
    wf_ex_id: str | None = None
    root_ex_id: str | None = None
    task_ex_id: str | None = None
    safe_rerun: bool = False
    needs_claim: bool = False
    timeout: float | None = None
    dry_run: bool = False
    is_whole: bool = False
    #: Bytes of an input that is not in the order; the engines have it.
    input_size: int = 0
    context: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ActionCall:
        """Read a message; what is null or unknown takes its default."""
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{k: v for k, v in values.items() if k in names and v is not None})

    @property
    def key(self) -> tuple[str, int]:
        """What a run is known by: an action of another attempt is another run."""
        return self.id, self.attempt

    @property
    def is_masked(self) -> bool:
        """Whether secrets are missing: an engine of a version that can't decrypt them has sent it.

        One that can will send it again.
        """
        return not self.is_whole and MASK in json.dumps(dict(self.input))

    @property
    def title(self) -> str:
        """The name where there is one, else the class."""
        return self.name or self.action_class


@dataclasses.dataclass
class Prepared:
    """An action that is ready to run, or the report of why it can't be built."""

    call: ActionCall
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

    def is_instant(self, call: ActionCall) -> bool:
        """Whether the class is known as one whose actions may run at once.

        A class that was never used here counts as none: importing it may take time.
        """
        known = self._classes.get(call.action_class)
        return known is not None and issubclass(known, InstantAction)

    def prepare(self, call: ActionCall) -> Prepared:
        """Build the action; never raises."""
        found = None
        try:
            with origin.acting_for(call.title, call.id):
                found = self._class(call.action_class)
                action = with_attributes(found, call.attributes)(**call.input)
                if isinstance(action, ServicedAction):
                    action.equip(self._services)
                return Prepared(call, action, is_sync=bool(action.is_sync()) or call.dry_run)
        # an action is foreign code and may raise anything, even SystemExit or a cancellation:
        # what passes here ends a thread, and nobody ever hears of the action again
        except BaseException as error:  # noqa: BLE001
            return Prepared(call, failure=raised(call, error, found))

    def run(self, prepared: Prepared) -> Report:
        """Run the action and report how it ended; never raises."""
        call, action = prepared.call, prepared.action
        if action is None:
            return prepared.failure or failed(call, "The action could not be built")
        context = context_of(call)
        try:
            with origin.acting_for(call.title, call.id):
                value = action.test(context) if call.dry_run else action.run(context)
        except BaseException as error:  # noqa: BLE001
            return raised(call, error, type(action))
        if prepared.is_sync:
            return _ended(call, value)
        if isinstance(value, Result) and value.is_error():
            return _ended(call, value)
        return report(call, KIND_SIGNALLED, "RUNNING")

    def _class(self, path: str) -> type[Action]:
        known = self._classes.get(path)
        if known is None:
            found = self._load(path)
            if not issubclass(found, Action):
                raise ActionException("It is not a class of actions")
            known = self._classes[path] = found
        return known


def context_of(call: ActionCall) -> ActionContext:
    """What the action may know of its surroundings."""
    values = call.context
    security = {k: v for k, v in values.items() if k in _SECURITY} | (values.get("security") or {})
    execution = {k: v for k, v in values.items() if k in _EXECUTION and v is not None}
    execution.setdefault("action_execution_id", call.id)
    execution.setdefault("workflow_execution_id", call.wf_ex_id)
    execution.setdefault("task_execution_id", call.task_ex_id)
    return ActionContext.from_dict({"security": security, "execution": execution})


def report(call: ActionCall, kind: str, state: str, value: Any = None) -> Report:
    """What the engine is told."""
    return {
        "id": call.id,
        "wf_ex_id": call.wf_ex_id,
        "attempt": call.attempt,
        "kind": kind,
        "state": state,
        "result": value,
    }


def size_of(told: Report) -> int:
    """Bytes of a report's result as JSON text."""
    value = told["result"]
    return 0 if value is None else len(json.dump_bytes(value))


def failed(call: ActionCall, error: Any) -> Report:
    """The report of an error."""
    return report(call, KIND_RESULT, ERROR, error)


def raised(
    call: ActionCall, error: BaseException, action_class: type[Action] | None = None
) -> Report:
    """The report of an exception (doc:language/states): its text without secrets, never its trace.

    The trace is for the author of the action, who finds it in the log.
    """
    marks = Signature.of_class(action_class).secrets if action_class else {}
    known = {**secrets.sorted_out(marks, call.input), "context": call.context}
    told = failures.describe(error, known)
    LOG.error(
        "An action raised an exception [action=%s, action_ex_id=%s]\n%s",
        call.title,
        call.id,
        told.trace,
    )
    return failed(
        call, f"{told.message} ({texts.RAISED} [action={call.title}, action_ex_id={call.id}])"
    )


def timed_out(call: ActionCall, seconds: float) -> Report:
    """The report of an action that took too long."""
    return failed(call, f"Timeout after {seconds:g} seconds")


def _ended(call: ActionCall, value: Any) -> Report:
    result = value if isinstance(value, Result) else Result(data=value)
    if result.is_cancel():
        return report(call, KIND_RESULT, CANCELLED)
    state = ERROR if result.is_error() else SUCCESS
    try:
        return report(call, KIND_RESULT, state, plain(result.to_dict()["result"]))
    except (TypeError, ValueError, RecursionError):
        return failed(
            call,
            f"JSON can't express the action's result [action={call.title}, action_ex_id={call.id}]",
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
