"""Each kind of mail: what it is called in rows and notes, and how it is given up."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mistral.engine.inbox import decisions
from mistral.engine.mail.actions import ActionResult, DeliveredResult, LostAction, Reports
from mistral.engine.mail.base import Mail, Message, OperatorCommand
from mistral.engine.mail.executions import ChildFinished, EventDue, StartDue
from mistral.engine.mail.timers import TimerDue
from mistral.rpc.messages import LOST, SIGNALLED, Report
from mistral.workflow.results import Outcome

OUTCOME = Outcome("ERROR", "gone")
REPORTS = [Report("a"), Report("b", kind=SIGNALLED)]

# other versions have written these, or will read them
NAMES: dict[type[Message], tuple[Message, str, list[tuple[str, str]]]] = {
    Reports: (Reports("x", REPORTS), "reports", [("delivered", "a"), ("delivered", "b")]),
    ActionResult: (ActionResult("x", OUTCOME), "result", [("delivered", "x")]),
    LostAction: (LostAction("x", OUTCOME), "lost", [("delivered", "x")]),
    DeliveredResult: (DeliveredResult("x"), "delivered", [("delivered", "x")]),
    ChildFinished: (ChildFinished("x"), "child", [("child", "x")]),
    StartDue: (StartDue("x"), "start", [("start", "x")]),
    EventDue: (EventDue("x"), "event", [("event", "x")]),
    TimerDue: (TimerDue("x"), "timer", [("timer", "x")]),
}


def _kinds(above: type[Mail]) -> Iterator[type[Mail]]:
    for kind in above.__subclasses__():
        if not inspect.isabstract(kind):
            yield kind
        yield from _kinds(kind)


def test_no_kind_is_left_out() -> None:
    kinds = list(_kinds(Mail))
    assert set(kinds) == {*NAMES, OperatorCommand}
    assert len({kind.kind for kind in kinds}) == len(kinds)


@pytest.mark.parametrize("kind", NAMES)
def test_names_in_rows_and_notes_stay(kind: type[Message]) -> None:
    message, name, rows = NAMES[kind]
    assert message.key == (name, "x")
    assert message.rows == rows


def test_what_only_the_sender_holds() -> None:
    assert Reports("x", REPORTS).unstored == REPORTS
    lost = Report("x", kind=LOST, state="ERROR", result="gone")
    assert LostAction("x", OUTCOME).unstored == [lost]
    assert not [kind for kind in NAMES if kind not in (Reports, LostAction) and _unstored(kind)]


def _unstored(kind: type[Message]) -> bool:
    return bool(NAMES[kind][0].unstored)


@pytest.mark.parametrize("message", [Reports("x", REPORTS), ChildFinished("x")])
def test_what_its_sender_repeats_ends_nothing(message: Message) -> None:
    unit: Any = SimpleNamespace()
    assert decisions.give_up(unit, message, "a bug") == []
    assert decisions.break_off(unit, message, "a bug") == []
