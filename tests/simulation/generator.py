"""Random valid workflows by seed.

``confluent`` says that every order of events leads to the same end: nothing in the workflow is
decided by who comes first.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from typing import Any

import yaml

from mistral.lang import WorkflowSpec, parse_workflow_list
from tests.simulation import extras
from tests.simulation.catalog import expressions

Body = dict[str, Any]
LIMIT = 3
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


@dataclasses.dataclass(frozen=True)
class Generated:
    """The workflows of one run; the first one is started."""

    text: str
    main: str
    params: Mapping[str, Any]
    specs: Mapping[str, WorkflowSpec]
    confluent: bool


class Generator:
    """Makes workflows from one source of randomness.

    :param extra: another one, for what only some workflows have.
    """

    def __init__(self, source: random.Random, extra: random.Random | None = None) -> None:
        self._random = source
        self._extra = extra
        self._confluent = True
        self._bodies: dict[str, Body] = {}

    def generate(self) -> Generated:
        """A workflow and those that it calls."""
        for number in range(self._random.choice([0, 0, 1, 1, 2])):
            self._bodies[f"child{number}"] = self._direct(self._random.randint(1, 3), f"c{number}")
        params: dict[str, Any] = {}
        if self._chance(0.12):
            main, target = self._reverse(self._random.randint(2, 6))
            params["task_name"] = target
        else:
            main = self._direct(self._random.randint(1, 8), "t")
        self._bodies["main"] = main
        if self._extra is not None:
            extras.decorate(self._extra, self._bodies)
        document = {"version": "2.0", **self._bodies}
        text = yaml.dump(document, Dumper=_DUMPER, sort_keys=False)
        specs = {spec.name: spec for spec in parse_workflow_list(text, expressions())}
        return Generated(text, "main", params, specs, self._confluent)

    def _chance(self, chance: float) -> bool:
        return self._random.random() < chance

    # direct workflows

    def _direct(self, count: int, prefix: str) -> Body:
        names = [f"{prefix}{number}" for number in range(count)]
        tasks = {name: self._task(name, names[:number]) for number, name in enumerate(names)}
        inbound: dict[str, set[str]] = {name: set() for name in names}
        for number, name in enumerate(names[1:], 1):
            if self._chance(0.15):
                continue
            for source in sorted(self._random.sample(names[:number], min(number, self._fan_in()))):
                self._connect(tasks[source], name)
                inbound[name].add(source)
        for name in names:
            if len(inbound[name]) > 1:
                self._join(tasks[name], len(inbound[name]))
            elif len(inbound[name]) == 1 and self._chance(0.15):
                self._loop(tasks[name], name)
        self._commands(tasks)
        variables: Body = {f"v_{name}": None for name in names}
        variables |= {f"n_{name}": 0 for name in names} | {"list": [1, 2, 3]}
        return {"vars": variables, "tasks": tasks} | self._output(names)

    def _fan_in(self) -> int:
        return self._random.choice([1, 1, 1, 2, 2, 3])

    def _output(self, names: list[str]) -> Body:
        if self._chance(0.5):
            return {}
        return {"output": {f"o_{name}": f"<% $.v_{name} %>" for name in names[:LIMIT]}}

    def _connect(self, source: Body, name: str) -> None:
        clause = self._random.choice(
            ["on-success", "on-success", "on-success", "on-complete", "on-complete", "on-error"]
        )
        target: Any = name
        if self._chance(0.15):
            target = {name: self._random.choice(["<% true %>", "<% false %>", "<% 1 < 2 %>"])}
        source.setdefault(clause, []).append(target)

    def _join(self, task: Body, inbound: int) -> None:
        if self._chance(0.12):
            # without a join each arrival starts an execution of its own
            self._confluent = False
            return
        join: Any = "all"
        if self._chance(0.3):
            join = self._random.randint(1, inbound)
            join = "one" if join == 1 and self._chance(0.5) else join
            self._confluent = False
        task["join"] = join

    def _loop(self, task: Body, name: str) -> None:
        """Run a task again until its counter says so."""
        if "on-complete" in task or "on-error" in task:
            # each round chooses those too
            self._confluent = False
        publish = task.setdefault("publish", {})
        publish[f"n_{name}"] = f"<% $.n_{name} + 1 %>"
        task.pop("wait-after", None)
        again = {name: f"<% $.n_{name} < 3 %>"}
        others = task.get("on-success") or []
        clause = [again]
        for target in others:
            at_end = f"$.n_{name} >= 3"
            if isinstance(target, str):
                clause.append({target: f"<% {at_end} %>"})
            else:
                ((chosen, condition),) = target.items()
                clause.append({chosen: f"<% {at_end} and {condition[3:-3]} %>"})
        task["on-success"] = clause

    def _commands(self, tasks: dict[str, Body]) -> None:
        if not self._chance(0.12):
            return
        source = tasks[self._random.choice(sorted(tasks))]
        command = self._random.choice(["fail", "succeed", "pause", "noop"])
        clause = self._random.choice(["on-success", "on-error", "on-complete"])
        if command in ("fail", "succeed"):
            self._confluent = False
        if command == "pause":
            self._confluent = False
        source.setdefault(clause, []).append(command)

    # tasks

    def _task(self, name: str, before: list[str]) -> Body:
        task: Body = {}
        children = [child for child in self._bodies if child.startswith("child")]
        calls = bool(children) and self._chance(0.2)
        if calls:
            task["workflow"] = self._random.choice(children)
        else:
            self._action(task, name, before)
        if self._chance(0.25):
            self._items(task, calls)
        if self._chance(0.7):
            task["publish"] = {f"v_{name}": f"<% task({name}).result %>"}
        if self._chance(0.3):
            task["publish-on-error"] = {f"v_{name}": "failed"}
        self._policies(task, calls)
        return task

    def _action(self, task: Body, name: str, before: list[str]) -> None:
        action = self._random.choice(
            ["sim.safe", "sim.safe", "sim.once", "sim.safe_async", "sim.async", "std.noop"]
        )
        task["action"] = action
        given: Body = {"key": name}
        if self._chance(0.25):
            given["fails"] = self._random.choice([1, 1, 2, 99])
        if before and self._chance(0.4):
            given["data"] = f"<% $.v_{self._random.choice(before)} %>"
        if self._chance(0.1):
            given["big"] = True
        if action.endswith("async") and self._chance(0.04):
            given["end"] = "CANCELLED"
            self._confluent = False
        task["input"] = given
        if action in ("sim.once", "sim.async") and self._chance(0.2):
            task["safe-rerun"] = True

    def _items(self, task: Body, calls: bool) -> None:
        task["with-items"] = self._random.choice(
            ["i in <% $.list %>", "i in [1, 2]", "i in [1, 2, 3, 4, 5]", "i in []"]
        )
        if not calls:
            task["input"]["item"] = "<% $.i %>"
        if self._chance(0.5):
            task["concurrency"] = self._random.randint(1, 3)

    def _policies(self, task: Body, calls: bool) -> None:
        if self._chance(0.25):
            task["retry"] = {
                "count": self._random.randint(1, 2),
                "delay": self._random.randint(0, 3),
            }
        if self._chance(0.1):
            task["wait-before"] = self._random.randint(1, 4)
        if self._chance(0.1):
            task["wait-after"] = self._random.randint(1, 4)
        if self._chance(0.1):
            task["timeout"] = self._random.choice([3, 10, 100_000, 100_000])
            if task["timeout"] < 100_000:
                self._confluent = False
        if self._chance(0.03):
            task["pause-before"] = True
        if self._chance(0.05):
            task["fail-on"] = self._random.choice(["<% true %>", "<% false %>"])

    # reverse workflows

    def _reverse(self, count: int) -> tuple[Body, str]:
        names = [f"r{number}" for number in range(count)]
        tasks: dict[str, Body] = {}
        for number, name in enumerate(names):
            tasks[name] = self._task(name, [])
            required = self._random.sample(names[:number], min(number, self._random.randint(0, 2)))
            if required:
                tasks[name]["requires"] = sorted(required)
        body = {"type": "reverse", "vars": {"list": [1, 2, 3]}, "tasks": tasks}
        return body, names[-1]
