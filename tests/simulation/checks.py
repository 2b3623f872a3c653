"""What every run must keep, looked at in each commit and at the end."""

from __future__ import annotations

import collections
from collections.abc import Iterator
from typing import Any, Protocol

from mistral.db.execution.action_executions import Delivery
from mistral.engine.liveness import HEARTBEAT_LOST, KILLER, TAKEN_BACK, UNCERTAIN_SIGNAL
from mistral.rpc.messages import ActionOrder
from mistral.utils import json
from mistral.workflow import joins, states
from mistral.workflow.entities import (
    ActionExecution,
    JoinInbound,
    TaskExecution,
    WorkflowExecution,
)
from mistral.workflow.results import Outcome
from tests.simulation import law6
from tests.simulation.callers import Operators
from tests.simulation.catalog import ACTIONS, SimCatalog
from tests.simulation.coverage import Coverage
from tests.simulation.executors import Effects, Executors
from tests.simulation.law6 import Finding
from tests.simulation.memory import Change, MemoryDatabase, Row
from tests.simulation.world import World

EVERY = 5
"""The whole picture is judged after so many commits."""


class Found(BaseException):
    """Ends a run: something is wrong. No code of the service may catch it."""


class Parts(Protocol):
    """The parts of a run that are judged."""

    world: World
    database: MemoryDatabase
    catalog: SimCatalog
    effects: Effects
    executors: Executors
    operators: Operators


class Checks:
    """The judge of one run."""

    def __init__(self, parts: Parts, coverage: Coverage) -> None:
        self._parts = parts
        self._coverage = coverage
        self._commits = 0
        self._just_paused: frozenset[str] = frozenset()
        self._accepted: collections.Counter[str] = collections.Counter()
        self.findings: list[Finding] = []

    def find(self, kind: str, text: str) -> None:
        """Something is wrong: the run ends here."""
        self.findings.append(Finding(kind, text))
        self._parts.world.note(f"FINDING {kind}: {text}")
        raise Found()

    def _report(self, found: Iterator[Finding]) -> None:
        first = next(found, None)
        if first is not None:
            self.find(first.kind, first.text)

    # each commit

    def committed(self, changes: list[Change]) -> None:
        """Judge one commit."""
        self._just_paused = frozenset(
            str(change.key)
            for change in changes
            if change.kind is WorkflowExecution
            and (change.old is None or _was_resumed(change.old, change.new))
        )
        for change in changes:
            self._coverage.changed(change)
            self._note(change)
            self._terminal(change)
            self._held(change)
            self._too_early(change)
            self._undone(change)
        self._commits += 1
        if self._commits % EVERY == 0:
            self.picture()

    def _note(self, change: Change) -> None:
        old = change.old["state"] if change.old and "state" in change.old else None
        new = change.new["state"] if change.new and "state" in change.new else None
        if old != new:
            row: Any = change.new or change.old
            name = row.get("name") or row.get("workflow_name")
            self._parts.world.note(f"{change.kind.__name__} {name} {change.key}: {old} -> {new}")

    def picture(self) -> None:
        """Judge all rows."""
        parts = self._parts
        picture = law6.Picture(parts.database, parts.catalog.specs, parts.executors.is_alive)
        self._report(picture.findings())

    def _terminal(self, change: Change) -> None:
        old, new = change.old, change.new
        if old is None or new is None or "state" not in old or old["state"] not in states.COMPLETED:
            return
        if change.kind is ActionExecution:
            if (old["state"], old["result_hash"]) != (new["state"], new["result_hash"]):
                self.find("terminal-left", f"action {change.key} {old['state']} {new['state']}")
            return
        if old["state"] == new["state"]:
            return
        commands = self._parts.operators.done.commands
        if "rollback" in commands and _is_undone(change.kind, old, new):
            return
        is_rerun = bool(commands & {"rerun", "skip"})
        is_rerun = is_rerun and old["state"] not in (states.SUCCESS, states.SKIPPED)
        if change.kind is TaskExecution:
            is_rerun = is_rerun or self._is_rearmed(old, new)
        if not is_rerun:
            text = f"{change.kind.__name__} {change.key}: {old['state']} -> {new['state']}"
            self.find("terminal-left", text)

    def _is_rearmed(self, old: Row, new: Row) -> bool:
        """A join runs again when another inbound task comes (doc:language/joins#joining-again).

        Not one that failed because not all came: they can't all come any more.
        """
        execution = self._parts.database.tables[WorkflowExecution][old["workflow_execution_id"]]
        join = self._parts.catalog.specs[execution["spec_hash"]].tasks[old["name"]].join
        if join is None or new["run"] <= old["run"]:
            return False
        return isinstance(join, int) or not str(old["state_info"]).startswith("Failed by tasks")

    def _too_early(self, change: Change) -> None:
        """A join starts when enough have come."""
        row, old = change.new, change.old
        if change.kind is not TaskExecution or row is None:
            return
        if law6.is_compensation(row):
            return
        was_waiting = old is None or old["state"] == states.WAITING
        is_live = row["state"] in states.UNFINISHED and row["started_at"] is not None
        if not was_waiting or not is_live or row["state"] == states.WAITING:
            return
        tables = self._parts.database.tables
        execution = tables[WorkflowExecution][row["workflow_execution_id"]]
        spec = self._parts.catalog.specs[execution["spec_hash"]]
        if spec.tasks[row["name"]].join is None:
            return
        ready = sum(
            inbound["task_execution_id"] == row["id"] and inbound["state"] == joins.READY
            for inbound in tables[JoinInbound].values()
        )
        is_ordered = json.loads(row["runtime_context"]).get("runs_anyway")
        if ready < law6.needed_by(spec, row["name"]) and not is_ordered:
            self.find("join-too-early", f"{row['name']} starts with {ready} inbound tasks")

    def _undone(self, change: Change) -> None:
        """A rollback that succeeds has run all its compensations."""
        row = change.new
        if change.kind is not WorkflowExecution or row is None or row["state"] != states.CANCELLED:
            return
        if not str(row["state_info"]).startswith("Rolled back"):
            return
        for task in self._parts.database.tables[TaskExecution].values():
            is_own = task["workflow_execution_id"] == row["id"] and law6.is_compensation(task)
            if is_own and task["state"] in states.UNFINISHED:
                self.find("rollback-ended-early", f"{task['name']} {task['id']} {task['state']}")

    def _held(self, change: Change) -> None:
        """Nothing starts in a pause."""
        row = change.new
        if change.old is not None or row is None:
            return
        if change.kind is WorkflowExecution:
            execution_id = row["parent_execution_id"]
        elif change.kind in (TaskExecution, ActionExecution):
            execution_id = row["workflow_execution_id"]
        else:
            return
        if execution_id is not None and self._is_in_pause(execution_id):
            self.find("pause-not-held", f"{change.kind.__name__} {row['id']} in {execution_id}")

    def _is_in_pause(self, execution_id: str) -> bool:
        now = self._parts.database.tables[WorkflowExecution].get(execution_id)
        is_paused = now is not None and now["state"] == states.PAUSED
        return is_paused and execution_id not in self._just_paused

    # deliveries

    def delivered(self, action_id: str, outcome: Outcome, delivery: Delivery) -> None:
        """A third party got an answer."""
        self._accepted[action_id] += delivery.accepted
        if self._accepted[action_id] > 1:
            self.find("accepted-twice", action_id)
        row = delivery.row
        if row is None:
            self.find("action-unknown", action_id)
        elif delivery.repeated and row.result_hash != outcome.digest:
            self.find("repeat-differs", action_id)

    # the end

    def at_end(self) -> None:
        """Judge the rows that are left."""
        self.picture()
        self._report(self._effects())
        self._report(law6.stored_results(self._parts.database))
        self._report(self._compensations())
        for wf_ex in self._parts.database.tables[WorkflowExecution].values():
            if not states.is_completed(wf_ex["state"]):
                self.find("no-end", f"{wf_ex['workflow_name']} {wf_ex['id']} {wf_ex['state']}")

    def is_lost(self, order: ActionOrder) -> bool:
        """Whether an action is taken for lost at this moment."""
        action = self._parts.database.tables[ActionExecution][order.id]
        return is_given_up(action) or (action["started_by"] or "").startswith(TAKEN_BACK)

    def _effects(self) -> Iterator[Finding]:
        for action_id in self._parts.effects.after_loss:
            yield Finding("effect-after-loss", action_id)
        counts = self._parts.effects.counts
        for action in self._parts.database.tables[ActionExecution].values():
            count = counts[action["id"]]
            is_safe = ACTIONS[action["base_name"] or action["name"]].is_safe or action["safe_rerun"]
            if count > 1 and not is_safe:
                yield Finding("effect-repeated", f"{action['name']} {action['id']}: {count}")
            is_open = action["result_at"] is None or is_called_off(action)
            if not count and not is_open and not is_given_up(action):
                yield Finding("effect-missing", f"{action['name']} {action['id']}")

    def _compensations(self) -> Iterator[Finding]:
        """Nothing is undone more often than it was done."""
        tasks = self._parts.database.tables[TaskExecution]
        actions = self._parts.database.tables[ActionExecution].values()
        for task in tasks.values():
            if not law6.is_compensation(task):
                continue
            done = [
                a["id"]
                for a in actions
                if a["task_execution_id"] == task["id"] and a["state"] == states.SUCCESS
            ]
            undone = tasks.get(json.loads(task["runtime_context"])["rollback_of"])
            if undone is None or undone["workflow_execution_id"] != task["workflow_execution_id"]:
                yield Finding("undone-unknown", f"{task['name']} {task['id']}")
            elif len(done) > (1 + undone["run"] if undone["unique_key"] else 1):
                # a join may have run again since it was undone
                yield Finding("undone-twice", f"{task['name']} {task['id']}: {done}")


def _is_undone(kind: type[Any], old: Row, new: Row) -> bool:
    """Whether what had ended is undone, or a compensation that had failed is tried again."""
    if law6.is_rolled_back(kind, new):
        return True
    # with nothing to undo, or nothing that can be, the end comes at once
    is_end = kind is WorkflowExecution and new["state"] in (states.CANCELLED, states.ERROR)
    return is_end and bool(new["attempt"] > old["attempt"])


def _was_resumed(old: Row, new: Row | None) -> bool:
    """Whether a commit may have started something: it began unpaused, or a command came."""
    is_new = new is not None and new["command_number"] != old["command_number"]
    return is_new or bool(old["state"] != states.PAUSED)


def is_called_off(action: Row) -> bool:
    """Whether an action ended because its task had gone on."""
    return action["state"] == states.CANCELLED and action["state_info"] is not None


def is_given_up(action: Row) -> bool:
    """Whether an action ended because its executor, or each in turn, was thought to be dead."""
    output = action["output"] or ""
    causes = (HEARTBEAT_LOST, UNCERTAIN_SIGNAL, KILLER)
    is_lost = any(json.dumps(text)[1:-1] in output for text in causes)
    return action["state"] == states.ERROR and is_lost
