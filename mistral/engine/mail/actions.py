"""Results of actions: reported, given by a caller, stored before, or never to come."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence

from mistral.engine import action_handler, dispatcher
from mistral.engine.mail.base import Key, Message
from mistral.engine.unit_of_work.unit import UnitOfWork
from mistral.rpc.messages import LOST, SIGNALLED, Report
from mistral.workflow import results
from mistral.workflow.commands import Command

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Reports(Message):
    """What an executor (``id``) reports of actions of one execution."""

    kind = "reports"

    reports: Sequence[Report]

    @property
    def rows(self) -> list[Key]:
        """Each report comes again alone, when it is stored."""
        return [(DeliveredResult.kind, action_id) for action_id in self.action_ids]

    @property
    def action_ids(self) -> Sequence[str]:
        return [report.id for report in self.reports]

    @property
    def unstored(self) -> Sequence[Report]:
        return self.reports

    def decide(self, unit: UnitOfWork) -> list[Command]:
        for report in self.reports:
            action_ex = unit.action(report.id)
            if action_ex is None or report.attempt not in (None, action_ex.attempt):
                continue
            if report.kind == SIGNALLED:
                dispatcher.dispatch(unit, action_handler.signalled(unit, action_ex))
                continue
            verdict = results.accept(action_ex, report.outcome, unit.values, unit.now)
            if verdict is results.Verdict.CONFLICT:
                # that of an action that was called off is no surprise
                LOG.log(
                    logging.INFO if action_ex.state_info else logging.WARNING,
                    "A late result is ignored [action_ex_id=%s, executor=%s, state=%s]",
                    action_ex.id,
                    self.id,
                    report.state,
                )
            dispatcher.dispatch(unit, action_handler.take_result(unit, action_ex))
        return []

    def is_settled(self, unit: UnitOfWork) -> bool:
        """The executor sends them again; what was stored is given up by itself."""
        return True

    def give_up(self, unit: UnitOfWork) -> str | None:
        return None


class _OfAction(Message):
    """Mail about one action, whose result has a row sooner or later."""

    @property
    def rows(self) -> list[Key]:
        return [(DeliveredResult.kind, self.id)]

    @property
    def action_ids(self) -> Sequence[str]:
        return [self.id]

    def is_settled(self, unit: UnitOfWork) -> bool:
        return all(action_ex.processed for action_ex in unit.load_actions([self.id]))

    def give_up(self, unit: UnitOfWork) -> str | None:
        task_id = None
        for action_ex in unit.load_actions([self.id]):
            action_ex.processed, action_ex.next_look_at = True, None
            task_id = action_ex.task_execution_id
        return task_id


@dataclasses.dataclass(frozen=True)
class DeliveredResult(_OfAction):
    """The result of an action is in its row."""

    kind = "delivered"

    def decide(self, unit: UnitOfWork) -> list[Command]:
        action_ex = unit.action(self.id)
        return action_handler.take_result(unit, action_ex) if action_ex is not None else []


@dataclasses.dataclass(frozen=True)
class ActionResult(_OfAction):
    """The result of an action, from a caller who waits."""

    kind = "result"

    outcome: results.Outcome

    def decide(self, unit: UnitOfWork) -> list[Command]:
        action_ex = unit.action(self.id)
        if action_ex is None:
            return []
        results.accept(action_ex, self.outcome, unit.values, unit.now)
        return action_handler.take_result(unit, action_ex)


@dataclasses.dataclass(frozen=True)
class LostAction(ActionResult):
    """Nobody runs an action any more: what the relay found out instead of a result."""

    kind = "lost"

    @property
    def unstored(self) -> Sequence[Report]:
        state, value = self.outcome.state, self.outcome.value
        return [Report(self.id, kind=LOST, state=state, result=value)]

    def decide(self, unit: UnitOfWork) -> list[Command]:
        action_ex = unit.action(self.id)
        if action_ex is not None and action_ex.signalled_at is not None:
            # its executor was heard of after all: the third party knows
            return []
        return super().decide(unit)
