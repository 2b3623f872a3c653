"""What executions are told: to begin, and what others say."""

from __future__ import annotations

import dataclasses

from mistral.engine import dispatcher, workflow_handler
from mistral.engine.mail.base import Message
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.workflow import states
from mistral.workflow.commands import Command


@dataclasses.dataclass(frozen=True)
class StartDue(Message):
    """A sub-workflow execution (``id``) is to begin."""

    kind = "start"

    def decide(self, unit: UnitOfWork) -> list[Command]:
        return workflow_handler.begin(unit)

    def is_settled(self, unit: UnitOfWork) -> bool:
        return unit.wf_ex.state != states.IDLE

    def give_up(self, unit: UnitOfWork) -> str | None:
        unit.wf_ex.next_look_at = None
        return None


@dataclasses.dataclass(frozen=True)
class EventDue(Message):
    """An event (``id``) of another execution is in the database, or one that it left itself."""

    kind = "event"

    def decide(self, unit: UnitOfWork) -> list[Command]:
        found = unit.store.events([self.id])
        if not found or self.id in unit.outgoing.done_events:
            return []
        for event in workflow_handler.told_before(unit, found[0]):
            unit.outgoing.done_events.append(event.id)
            dispatcher.dispatch(unit, workflow_handler.on_event(unit, event))
        unit.outgoing.done_events.append(self.id)
        return workflow_handler.on_event(unit, found[0])

    def is_settled(self, unit: UnitOfWork) -> bool:
        return not unit.store.events([self.id])

    def give_up(self, unit: UnitOfWork) -> str | None:
        unit.outgoing.done_events.append(self.id)
        return next((event.task_id for event in unit.store.events([self.id])), None)


@dataclasses.dataclass(frozen=True)
class ChildFinished(Message):
    """A caller who waits says that a sub-workflow execution (``id``) has ended."""

    kind = "child"

    def decide(self, unit: UnitOfWork) -> list[Command]:
        child = unit.store.execution(self.id)
        if child is None or child.task_execution_id is None:
            return []
        found = unit.tasks([child.task_execution_id])
        return workflow_handler.take_child(unit, found[0], child) if found else []

    def is_settled(self, unit: UnitOfWork) -> bool:
        """The caller is told; the event that the sub-workflow left is given up by itself."""
        return True

    def give_up(self, unit: UnitOfWork) -> str | None:
        return None
