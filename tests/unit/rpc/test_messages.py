"""Messages keep their names on the wire, and those of the version before are still read."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mistral.rpc.messages import (
    RESULT,
    SIGNALLED,
    ActionInput,
    ActionOrder,
    Delivery,
    Heartbeat,
    Pong,
    Report,
    RunKey,
    StartedAction,
    outcome_from_wire,
    outcome_to_wire,
)
from mistral.utils import json
from mistral.workflow.results import Outcome

ORDER: dict[str, Any] = {
    "id": "a",
    "wf_ex_id": "w",
    "root_ex_id": "r",
    "task_ex_id": "t",
    "attempt": 3,
    "name": "std.echo",
    "action_class": "x.Echo",
    "attributes": {"color": "red"},
    "input": {"output": [1]},
    "input_size": 9,
    "is_whole": True,
    "safe_rerun": True,
    "needs_claim": True,
    "timeout": 2.5,
    "dry_run": True,
    "context": {"project_id": "p"},
}
REPORT: dict[str, Any] = {
    "id": "a",
    "wf_ex_id": "w",
    "attempt": 3,
    "kind": "result",
    "state": "ERROR",
    "result": {"status": 500},
}
MESSAGES: list[tuple[Any, dict[str, Any]]] = [
    (ActionOrder, ORDER),
    (Report, REPORT),
    (Report, {**REPORT, "sent": 2}),
    (RunKey, {"id": "a", "attempt": 3}),
    (ActionInput, {"id": "a", "input": {"x": 1}}),
    (Delivery, {"id": "a", "wf_ex_id": None}),
    (StartedAction, {"action": {"id": "a"}, "saved": True, "call": ORDER}),
    (StartedAction, {"action": {"id": "a"}, "saved": False, "call": None}),
    (Pong, {"engine": "e", "now": 12.5}),
]


@pytest.mark.parametrize(("kind", "values"), MESSAGES)
def test_what_is_written_is_what_was_read(kind: Any, values: dict[str, Any]) -> None:
    message = kind.from_wire(json.loads(json.dump_bytes(values)))
    assert message.to_wire() == values
    assert kind.from_wire(message.to_wire()) == message


@pytest.mark.parametrize(("kind", "values"), MESSAGES)
def test_what_a_later_version_adds_is_ignored(kind: Any, values: dict[str, Any]) -> None:
    assert kind.from_wire({**values, "new": [1]}) == kind.from_wire(values)


def test_an_order_names_everything() -> None:
    """No field is forgotten on its way."""
    order = ActionOrder.from_wire(ORDER)
    assert {field.name for field in dataclasses.fields(order)} == set(ORDER)
    assert dataclasses.asdict(order) == ORDER
    assert (order.key, order.title) == (("a", 3), "std.echo")


def test_an_order_of_the_version_before() -> None:
    lacking = ("root_ex_id", "input_size", "is_whole", "attempt", "timeout", "dry_run")
    values = {name: value for name, value in ORDER.items() if name not in lacking}
    order = ActionOrder.from_wire(values)
    assert (order.root_ex_id, order.input_size, order.is_whole) == (None, 0, False)
    assert (order.attempt, order.timeout, order.dry_run) == (0, None, False)
    assert order.input == ORDER["input"]


def test_what_is_null_in_an_order_takes_its_default() -> None:
    needed = {"id": "a", "action_class": "x.Echo"}
    assert ActionOrder.from_wire({**dict.fromkeys(ORDER), **needed}) == ActionOrder("a", "x.Echo")


def test_values_are_shared_not_copied() -> None:
    order = ActionOrder.from_wire(ORDER)
    assert order.input is ORDER["input"]
    assert order.to_wire()["input"] is ORDER["input"]


def test_the_context_of_an_order_is_not_shown() -> None:
    assert "project_id" not in repr(ActionOrder.from_wire(ORDER))


def test_reports_of_the_version_before() -> None:
    report = Report.from_wire({"id": "a", "kind": "signalled"})
    assert report == Report("a", None, None, SIGNALLED, "RUNNING", None, 1)
    assert Report.from_wire({"id": "a", "kind": "result", "state": "SUCCESS"}).outcome == Outcome(
        "SUCCESS"
    )


def test_only_a_repeated_report_tells_how_often_it_was_sent() -> None:
    report = Report("a", "w", 0, RESULT, "SUCCESS", 1)
    assert "sent" not in report.to_wire()
    assert dataclasses.replace(report, sent=2).to_wire()["sent"] == 2


def test_a_heartbeat_is_what_its_endpoint_takes() -> None:
    sent = Heartbeat("e", "h", ("a", "b")).to_wire()
    assert sent == {"executor_id": "e", "host": "h", "running": ["a", "b"]}


def test_an_engine_of_the_version_before_tells_no_time() -> None:
    assert Pong.from_wire({"engine": "e"}).now is None


def test_outcomes() -> None:
    outcome = Outcome("CANCELLED", [1])
    assert outcome_to_wire(outcome) == {"state": "CANCELLED", "result": [1]}
    assert outcome_from_wire(outcome_to_wire(outcome)) == outcome
    assert outcome_from_wire({"result": 1}) == Outcome("SUCCESS", 1)
