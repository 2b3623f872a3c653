"""Holds a service against what it promised: every start and every callback counts, once.

Reads the whole installation through its API, after the load has ended and the dead processes are
back. What it finds are sentences; none means that nothing was lost and nothing done twice.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from counting_party import CountingParty
from load import Client, Ledger
from load_flows import EXPECTED, Expected

CHECK = Path(__file__).resolve().parents[1] / "check-invariants"
CHECK_TIMEOUT = 120.0
CHECK_TRIES = 5

Row = dict[str, Any]


@dataclasses.dataclass
class Counts:
    """The figures of one round."""

    starts_acknowledged: int = 0
    starts_effective: int = 0
    callbacks_acknowledged: int = 0
    callbacks_effective: int = 0
    callbacks_refused: int = 0
    retried_requests: int = 0
    safe_starts: int = 0
    unsafe_starts: int = 0
    unsafe_starts_most_per_key: int = 0
    errors_handled: int = 0
    lost: int = 0
    invariant_violations: int = 0


@dataclasses.dataclass
class Finding:
    """What an audit says: figures, and a sentence for everything that is wrong."""

    counts: Counts
    problems: list[str]


def audit(client: Client, ledger: Ledger, party: CountingParty, config: Path) -> Finding:
    """Everything, read once.

    :param config: configuration file of the installation, for ``tools/check-invariants``.
    """
    picture = _Picture(client)
    acknowledged = ledger.acknowledged()
    counts = Counts(
        starts_acknowledged=len(acknowledged),
        callbacks_acknowledged=len(party.callbacks.acknowledged),
        callbacks_refused=len(party.callbacks.refused),
        retried_requests=ledger.retries + party.callbacks.retries,
        safe_starts=sum(party.starts["safe"].values()),
        unsafe_starts=sum(party.starts["unsafe"].values()),
        unsafe_starts_most_per_key=max(party.starts["unsafe"].values(), default=0),
        errors_handled=sum(root in acknowledged for root in picture.roots_of_errors()),
    )
    problems: list[str] = []
    for execution_id, start in acknowledged.items():
        found = list(_execution(picture, execution_id, start.workflow))
        counts.starts_effective += not found
        problems += found
    for action_id, value in party.callbacks.acknowledged.items():
        found = list(_callback(picture, action_id, value))
        counts.callbacks_effective += not found
        problems += found
    counts.lost = (
        counts.starts_acknowledged
        - counts.starts_effective
        + counts.callbacks_acknowledged
        - counts.callbacks_effective
    )
    violations = check_invariants(config)
    counts.invariant_violations = len(violations)
    problems += [*violations, *_third_party(party), *ledger.surprises, *party.callbacks.surprises]
    return Finding(counts, problems)


def check_invariants(config: Path) -> list[str]:
    """What ``tools/check-invariants`` reports, line by line."""
    for tries_left in reversed(range(CHECK_TRIES)):
        done = subprocess.run(
            [sys.executable, str(CHECK), "--config-file", str(config)],
            capture_output=True,
            text=True,
            timeout=CHECK_TIMEOUT,
            check=False,
        )
        # 2: it could not look, for example because others have taken all connections
        if done.returncode <= 1 or not tries_left:
            break
    if done.returncode > 1:
        return [f"check-invariants could not look: {done.stderr.strip()}"]
    return done.stdout.splitlines()


class _Picture:
    """All rows of the installation, ordered by what they belong to."""

    def __init__(self, client: Client) -> None:
        fields = "id,workflow_name,state,state_info,task_execution_id,root_execution_id"
        executions = client.all(f"/executions?fields={fields}")
        self.executions = {row["id"]: row for row in executions}
        tasks = client.all("/tasks?fields=id,name,state,workflow_execution_id")
        self.tasks = {row["id"]: row for row in tasks}
        actions = client.all("/action_executions?fields=id,name,state,task_execution_id,output")
        self.actions = {row["id"]: row for row in actions}
        self.tasks_of = _grouped(tasks, "workflow_execution_id")
        self.actions_of = _grouped(actions, "task_execution_id")
        self.children_of = _grouped(executions, "task_execution_id")

    def roots_of_errors(self) -> Iterator[str]:
        """For each task that ended in ERROR, the execution that a client has started."""
        for task in self.tasks.values():
            if task["state"] == "ERROR":
                execution = self.executions[task["workflow_execution_id"]]
                yield execution["root_execution_id"] or execution["id"]


def _grouped(rows: list[Row], key: str) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = collections.defaultdict(list)
    for row in rows:
        found[row[key]].append(row)
    return found


def _execution(picture: _Picture, execution_id: str, workflow: str) -> Iterator[str]:
    """It exists, has ended well, and each of its tasks ran once."""
    title = f"{workflow} {execution_id}"
    row = picture.executions.get(execution_id)
    if row is None:
        yield f"{title}: the start was answered, but there is no such execution"
        return
    if row["state"] != "SUCCESS":
        yield f"{title}: is {row['state']}: {row['state_info']}"
        return
    yield from _tasks(picture, execution_id, title, EXPECTED[workflow])


def _tasks(picture: _Picture, execution_id: str, title: str, expected: Expected) -> Iterator[str]:
    tasks = picture.tasks_of[execution_id]
    states = {task["name"]: task["state"] for task in tasks}
    wanted = dict(expected.tasks)
    for name, (after, after_error) in expected.either.items():
        wanted[after if states.get(name) == "SUCCESS" else after_error] = 1
    if sorted(wanted) != sorted(task["name"] for task in tasks):
        yield f"{title}: its tasks are {states}, not {sorted(wanted)}"
        return
    for task in tasks:
        name, count = task["name"], wanted[task["name"]]
        if task["state"] != "SUCCESS" and name not in expected.either:
            yield f"{title}: task {name} is {task['state']}"
        actions = len(picture.actions_of[task["id"]])
        if count is not None and actions != count:
            yield f"{title}: task {name} has {actions} actions, not {count}"
        children = picture.children_of[task["id"]]
        if len(children) != expected.children.get(name, 0):
            yield f"{title}: task {name} has {len(children)} sub-workflows"
        for child in children:
            yield from _execution(picture, child["id"], child["workflow_name"])


def _callback(picture: _Picture, action_id: str, value: Any) -> Iterator[str]:
    """What was delivered is the action's result, and its task has gone on with it."""
    action = picture.actions.get(action_id)
    if action is None:
        yield f"callback {action_id} was answered 200, but there is no such action"
        return
    output = action["output"]
    found = json.loads(output) if isinstance(output, str) else output
    if action["state"] != "SUCCESS" or (found or {}).get("result") != value:
        yield f"callback {action_id} was answered 200, but it is {action['state']} with {found}"
        return
    task = picture.tasks[action["task_execution_id"]]
    if task["state"] != "SUCCESS":
        yield f"callback {action_id} was answered 200, but its task is {task['state']}"


def _third_party(party: CountingParty) -> Iterator[str]:
    for key, count in party.starts["unsafe"].items():
        if count > 1:
            yield f"{key} must not run twice, but was started {count} times"
