"""What travels between API, engines and executors, where it is more than plain values.

Each message writes itself as a JSON object (``to_wire``) and reads what this version or the one
before has written (``from_wire``): unknown fields are ignored, and what a message may lack has a
default. The names of the fields are the names on the wire.

Orders and reports are the hot path: the values in them are shared, never copied.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mistral.workflow import states
from mistral.workflow.results import Outcome

JsonDict = dict[str, Any]

RESULT, SIGNALLED, LOST = "result", "signalled", "lost"
"""Kinds of reports: how an action ended, that a third party was told, and what an engine concludes
of an executor that is gone; the last one does not travel."""


class RunKey(NamedTuple):
    """What a run is known by: an action of another attempt is another run.

    Executors claim, give back and ask for inputs by it.
    """

    id: str
    attempt: int

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> RunKey:
        """Read a claim, or what else is asked about a run."""
        return cls(values["id"], values["attempt"])

    def to_wire(self) -> JsonDict:
        """Write it."""
        return {"id": self.id, "attempt": self.attempt}


@dataclasses.dataclass(frozen=True, slots=True)
class ActionOrder:
    """An order to run an action: ids and input, never specifications.

    :param attributes: of the action's class.
    :param is_whole: secrets are in it; engines of versions that can't decrypt them don't say so.
    :param input_size: bytes of an input that is not in the order; the engines have it.
    :param context: what the action may know of its surroundings; not shown, it may hold secrets.
    """

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
    input_size: int = 0
    context: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> ActionOrder:
        """Read an order; what is null takes its default, too."""
        get = values.get
        return cls(
            values["id"],
            values["action_class"],
            get("name") or "",
            get("input") or {},
            get("attributes") or {},
            get("attempt") or 0,
            get("wf_ex_id"),
            get("root_ex_id"),
            get("task_ex_id"),
            get("safe_rerun") or False,
            get("needs_claim") or False,
            get("timeout"),
            get("dry_run") or False,
            get("is_whole") or False,
            get("input_size") or 0,
            get("context") or {},
        )

    def to_wire(self) -> JsonDict:
        """Write it."""
        return {
            "id": self.id,
            "wf_ex_id": self.wf_ex_id,
            "root_ex_id": self.root_ex_id,
            "task_ex_id": self.task_ex_id,
            "attempt": self.attempt,
            "name": self.name,
            "action_class": self.action_class,
            "attributes": self.attributes,
            "input": self.input,
            "input_size": self.input_size,
            "is_whole": self.is_whole,
            "safe_rerun": self.safe_rerun,
            "needs_claim": self.needs_claim,
            "timeout": self.timeout,
            "dry_run": self.dry_run,
            "context": self.context,
        }

    @property
    def key(self) -> RunKey:
        """What its run is known by."""
        return RunKey(self.id, self.attempt)

    def with_input(self, given: Mapping[str, Any]) -> ActionOrder:
        """The same with an input that was asked for."""
        return dataclasses.replace(self, input=given)

    @property
    def title(self) -> str:
        """The name where there is one, else the class."""
        return self.name or self.action_class


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What an executor tells of an action.

    :param attempt: None where the sender does not know it.
    :param sent: how often it was sent; told from the second time on.
    """

    id: str
    wf_ex_id: str | None = None
    attempt: int | None = None
    kind: str = RESULT
    state: str = states.RUNNING
    result: Any = None
    sent: int = 1

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> Report:
        """Read a report."""
        get = values.get
        return cls(
            values["id"],
            get("wf_ex_id"),
            get("attempt"),
            values["kind"],
            get("state") or states.RUNNING,
            get("result"),
            get("sent") or 1,
        )

    def to_wire(self) -> JsonDict:
        """Write it."""
        values = {
            "id": self.id,
            "wf_ex_id": self.wf_ex_id,
            "attempt": self.attempt,
            "kind": self.kind,
            "state": self.state,
            "result": self.result,
        }
        if self.sent > 1:
            values["sent"] = self.sent
        return values

    @property
    def outcome(self) -> Outcome:
        """How the action ended."""
        return Outcome(self.state, self.result)


@dataclasses.dataclass(frozen=True, slots=True)
class ActionInput:
    """The input of an action that was ordered without it."""

    id: str
    input: Mapping[str, Any]

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> ActionInput:
        """Read an input."""
        return cls(values["id"], values["input"])

    def to_wire(self) -> JsonDict:
        """Write it."""
        return {"id": self.id, "input": self.input}


@dataclasses.dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life of an executor.

    :param running: ids of the actions for which it answers.
    """

    executor_id: str
    host: str
    running: Sequence[str] = ()

    def to_wire(self) -> JsonDict:
        """Write it; the endpoint takes its fields as arguments."""
        return {"executor_id": self.executor_id, "host": self.host, "running": list(self.running)}


@dataclasses.dataclass(frozen=True, slots=True)
class Delivery:
    """A result was committed for this action, of an execution or of none."""

    id: str
    wf_ex_id: str | None

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> Delivery:
        """Read a delivery."""
        return cls(values["id"], values["wf_ex_id"])

    def to_wire(self) -> JsonDict:
        """Write it."""
        return {"id": self.id, "wf_ex_id": self.wf_ex_id}


@dataclasses.dataclass(frozen=True, slots=True)
class StartedAction:
    """An action that belongs to no workflow, as an engine has described it.

    :param action: the action execution by the names of its columns.
    :param saved: there is a row of it.
    :param order: what the caller has to let an executor run; None if the engine sees to it.
    """

    action: JsonDict
    saved: bool
    order: ActionOrder | None

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> StartedAction:
        """Read the answer."""
        order = values.get("call")
        return cls(
            dict(values["action"]),
            values["saved"],
            ActionOrder.from_wire(order) if order is not None else None,
        )

    def to_wire(self) -> JsonDict:
        """Write it."""
        return {
            "action": self.action,
            "saved": self.saved,
            "call": self.order.to_wire() if self.order is not None else None,
        }


@dataclasses.dataclass(frozen=True, slots=True)
class Pong:
    """An engine answers.

    :param now: its time in seconds; engines of version 0.1.0 don't tell it.
    """

    engine: str
    now: float | None = None

    @classmethod
    def from_wire(cls, values: Mapping[str, Any]) -> Pong:
        """Read the answer."""
        return cls(values.get("engine", ""), values.get("now"))

    def to_wire(self) -> JsonDict:
        """Write it."""
        return {"engine": self.engine, "now": self.now}


def outcome_from_wire(values: Mapping[str, Any]) -> Outcome:
    """Read how an action ended; without a state it succeeded."""
    return Outcome(values.get("state", states.SUCCESS), values.get("result"))


def outcome_to_wire(outcome: Outcome) -> JsonDict:
    """Write how an action ended."""
    return {"state": outcome.state, "result": outcome.value}
