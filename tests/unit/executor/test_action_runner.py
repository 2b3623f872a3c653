"""How an action's end becomes a report."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mistral.actions.egress import EgressOptions
from mistral.actions.http_actions import HTTPAction
from mistral.actions.services import ActionServices
from mistral.engine.executor import action_runner
from mistral.engine.executor.action_runner import ActionRunner
from mistral.rpc.messages import Report


@pytest.fixture
def run(runner: ActionRunner, order: Any) -> Any:
    def go(kind: str, **changes: Any) -> dict[str, Any]:
        call = order("a1", kind, **changes)
        return runner.run(runner.prepare(call))

    return go


def test_a_report_names_what_it_belongs_to(run: Any) -> None:
    report = run("Returns", input={"value": 3}, attempt=7)
    assert report == Report("a1", "wf", 7, "result", "SUCCESS", 3)


def test_what_is_returned_is_the_data(run: Any) -> None:
    for value in (None, 0, "", [1], {"a": None}):
        report = run("Returns", input={"value": value})
        assert (report.state, report.result) == ("SUCCESS", value)


def test_cancelled(run: Any) -> None:
    report = run("Cancels")
    assert (report.state, report.result) == ("CANCELLED", None)


def test_an_exception_is_an_error_with_its_text(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    report = run("Raises", input={"error": "said hidden-word", "password": "hidden-word"})
    assert report.kind == "result"
    assert report.state == "ERROR"
    assert report.result == (
        "said *** (The action raised an exception [action=my.Raises, action_ex_id=a1])"
    )
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "action_ex_id=a1" in caplog.text
    assert "Traceback" in caplog.text
    assert "raise ValueError(self.error)" in caplog.text
    assert "hidden-word" not in caplog.text


def test_what_the_author_declared_secret_is_masked(run: Any, gate: Any) -> None:
    report = run("Unlocks", input={"pin": "dragon", "door": "cellar"})
    assert report.result.startswith("no door opens with *** (")


def test_what_is_no_secret_stays(run: Any) -> None:
    text = "size must be small or large, not medium"
    report = run("Raises", input={"error": text, "password": "a"})
    assert report.result.startswith(f"{text} (The action raised an exception [")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Exits", "bye"),
        ("Gives", "given up"),
        ("CantBuild", "can't be built"),
        ("Missing", "no class Missing"),
    ],
)
def test_whatever_happens_is_reported(run: Any, kind: str, words: str) -> None:
    report = run(kind)
    assert report.state == "ERROR"
    assert words in report.result


def test_a_wrong_input_is_reported(run: Any) -> None:
    assert "unexpected keyword" in run("Returns", input={"other": 1}).result


def test_a_result_that_json_cannot_express(run: Any) -> None:
    report = run("Unspeakable")
    assert report.state == "ERROR"
    assert report.result.startswith("JSON can't express the action's result")
    circle: list[Any] = []
    circle.append(circle)
    assert run("Returns", input={"value": circle}).state == "ERROR"
    assert run("Returns", input={"value": {1, 2}}).state == "ERROR"


def test_results_become_plain() -> None:
    assert action_runner.plain({1: "a", 2**70: "b"}) == {"1": "a", str(2**70): "b"}
    assert action_runner.plain([2**70]) == [2**70]
    same = {"a": [1, "x", None]}
    assert action_runner.plain(same) is same


def test_asynchronous_actions_report_a_signal(run: Any) -> None:
    report = run("Async", input={"value": "ignored"})
    assert (report.kind, report.state, report.result) == ("signalled", "RUNNING", None)


def test_asynchronous_actions_that_fail_end_at_once(run: Any) -> None:
    raised = run("AsyncRaises")
    assert (raised.kind, raised.state) == ("result", "ERROR")
    failed = run("AsyncFails", input={"value": {"status": 500}})
    assert (failed.kind, failed.state) == ("result", "ERROR")
    assert failed.result == {"status": 500}


def test_a_dry_run_calls_test_and_ends(run: Any, gate: Any) -> None:
    for kind in ("Returns", "Async"):
        report = run(kind, dry_run=True)
        assert (report.kind, report.result) == ("result", "tested")
    assert gate.runs == []


def test_the_context_and_the_attributes(run: Any) -> None:
    context = {
        "workflow_name": "w",
        "workflow_execution_id": "we",
        "task_execution_id": "t",
        "action_execution_id": "a1",
        "callback_url": "http://here",
        "project_id": "p",
        "something_else": 1,
    }
    report = run("Knows", context=context, attributes={"color": "red"})
    assert report.result == ["red", "w", "we", "t", "a1", "http://here", "p"]
    assert run("Knows").result == ["none", None, "wf", "task", "a1", None, None]


def test_standard_actions_are_equipped(order: Any) -> None:
    services = ActionServices.with_egress(EgressOptions(allowed_hosts=("only.example",)))
    runner = ActionRunner(services)
    path = "mistral.actions.http_actions.HTTPAction"
    call = order("a1", path, input={"url": "http://other.example"})
    prepared = runner.prepare(call)
    assert isinstance(prepared.action, HTTPAction)
    assert "host is not allowed" in runner.run(prepared).result


def test_only_known_cheap_classes_are_instant(order: Any) -> None:
    runner = ActionRunner()
    path = "mistral.actions.std_actions.EchoAction"
    quick = order("a", path, input={"output": 1})
    slow = order("b", path, input={"output": 1, "delay": 1})
    assert not runner.is_instant(quick)
    assert runner.prepare(quick).is_instant()
    assert runner.is_instant(quick)
    assert not runner.prepare(slow).is_instant()
