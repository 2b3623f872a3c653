"""Mail that was begun before and never handled: an engine may have died of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mistral.engine.inbox.attempts import MAX_TRIES, DeliveryAttempts
from mistral.engine.inbox.in_flight import InFlight
from mistral.engine.inbox.processor import InboxProcessor
from mistral.engine.inbox.suspects import Suspects
from mistral.engine.mail.actions import DeliveredResult, LostAction
from mistral.engine.mail.base import Mail, Message
from mistral.engine.mail.executions import EventDue
from mistral.engine.transactions import Transactions
from mistral.workflow.entities import ActionExecution
from mistral.workflow.results import Outcome
from tests.lib.stories import Story
from tests.simulation.memory_store import storage

TOLD = """
output: {all: 1}
output-on-error: {some: 1}
tasks: {s: {workflow: sub}}
"""


class Inbox:
    """What handles the mail of a story."""

    def __init__(self, story: Story) -> None:
        stored, notes = storage(story.database), InFlight()
        self._attempts = DeliveryAttempts(stored)
        self.posted: list[Mail] = []
        self._processor = InboxProcessor(
            stored,
            story.catalog,
            story.limits,
            Transactions(stored, story.catalog, story.limits, ()),
            self._post,
            Suspects(stored, notes, 60),
            notes,
        )

    def _post(self, execution_id: str, mails: Sequence[Mail]) -> None:
        assert execution_id == "wf"
        self.posted += mails

    def handle(self, message: Message, died: int) -> None:
        """Handle mail that so many engines have begun before."""
        for _ in range(died):
            self._attempts.begin_again("wf", message)
        self._processor.handle("wf", [message])


def test_a_lost_action_is_a_result_like_any_other() -> None:
    story = Story("tasks: {a: {on-error: [b]}, b: {}}")
    (own,) = story.running("a")
    inbox = Inbox(story)
    inbox.handle(LostAction(own.id, Outcome("ERROR", "gone"), looks=2), died=1)
    (row,) = story.database.all(ActionExecution)
    assert (row.state, story.task("a").state) == ("ERROR", "RUNNING")
    assert inbox.posted == [DeliveredResult(own.id)]
    inbox.handle(DeliveredResult(own.id), died=0)
    assert story.states() == {"a": "ERROR", "b": "RUNNING"}


@pytest.mark.parametrize(
    ("died", "task", "execution", "output"),
    [
        (0, "SUCCESS", "SUCCESS", {"all"}),
        (MAX_TRIES - 1, "SUCCESS", "SUCCESS", {"all"}),
        (MAX_TRIES, "ERROR", "ERROR", {"result", "some"}),
        # the definition may be what they died of
        (MAX_TRIES + 1, "ERROR", "ERROR", {"result"}),
    ],
)
def test_news_of_which_engines_died_are_given_up_in_the_end(
    died: int, task: str, execution: str, output: set[str]
) -> None:
    story = Story(TOLD, subs={"sub": "tasks: {x: {}}"})
    story.holds_news = True
    story.done("x")
    (event,) = story.news()
    Inbox(story).handle(EventDue(event.id, looks=2), died)
    assert (story.task("s").state, story.execution.state) == (task, execution)
    assert set(story.output) == output
    assert story.news() == []
    info = f"begun {MAX_TRIES} times and never handled"
    assert (info in (story.execution.state_info or "")) == (execution == "ERROR")
