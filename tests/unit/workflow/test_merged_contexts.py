"""Where branches meet: random runs against an oracle that knows every publication.

The oracle keeps with each value all publications that it replaced. It is as slow as it is plain.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from mistral.workflow import data_flow
from mistral.workflow.entities import TaskExecution
from mistral.workflow.values import EMPTY, Bag, Values
from mistral.workflow.versions import OFF, ON, Held, Versioning

RUNS = 400
NAMES = ("x", "y", "m", "n")


@dataclasses.dataclass(frozen=True)
class Publication:
    """A value, who made it (several, where it was merged), and all that it replaced."""

    value: Any
    count: int
    made_by: frozenset[object]
    before: frozenset[object]


Known = dict[str, Publication]


def deep(values: Sequence[Any]) -> Any:
    """One value over the other; two mappings are merged."""
    result = values[0]
    for value in values[1:]:
        if isinstance(result, Mapping) and isinstance(value, Mapping):
            both = result.keys() & value.keys()
            result = {**result, **value, **{k: deep([result[k], value[k]]) for k in both}}
        else:
            result = value
    return result


class Oracle:
    """What a task knows, and what it hands on."""

    def __init__(self, is_counting: bool) -> None:
        self._is_counting = is_counting

    def outbound(self, node: int, inherited: Known, published: Mapping[str, Any]) -> Known:
        """Top-level replacement."""
        found = dict(inherited)
        for name, value in published.items():
            old = inherited.get(name)
            found[name] = Publication(
                value,
                (old.count if old else 0) + 1,
                frozenset([node]),
                old.before | old.made_by if old else frozenset(),
            )
        return found

    def met(self, branches: Sequence[tuple[Known, Mapping[str, Any]]]) -> Known:
        """Several branches as one, each with what its last task published."""
        names = dict.fromkeys(name for known, _ in branches for name in known)
        return {name: self._one(name, branches) for name in names}

    def _one(self, name: str, branches: Sequence[tuple[Known, Mapping[str, Any]]]) -> Publication:
        held = [(known[name], name in own) for known, own in branches if name in known]
        if self._is_counting:
            gone = frozenset().union(*(each.before for each, _ in held))
            order = [each for each in held if not each[0].made_by <= gone]
            order.sort(key=lambda each: (each[0].count, each[1]))
        else:
            order = held + [each for each in held if each[1]]
        made_by = frozenset().union(*(each.made_by for each, _ in order))
        return Publication(
            deep([each.value for each, _ in order]),
            max(each.count for each, _ in held),
            made_by,
            frozenset().union(*(each.before for each, _ in held)) - made_by,
        )


@dataclasses.dataclass
class Node:
    """A run of a task: those it follows, and what it publishes.

    ``same_as`` tells the task execution: a join in a loop is the same again, another attempt.
    """

    before: list[int]
    published: dict[str, Any]
    same_as: int
    followers: int = 0


def value(source: random.Random, name: str) -> Any:
    """Something to publish: mappings, now and then a scalar under the same name."""
    if name in "xy" or source.random() < 0.1:
        return source.choice(["a", "b", "c" * 2000]) + str(source.random())
    nested = {f"k{source.randint(0, 2)}": source.randint(0, 9) for _ in range(2)}
    return {f"k{source.randint(0, 3)}": source.choice([nested, source.randint(0, 9)])}


def random_run(source: random.Random) -> list[Node]:
    """Tasks in the order of their ends. A loop is the same in a row: its tasks run again."""
    nodes: list[Node] = []
    for index in range(source.randint(3, 16)):
        count = min(index, source.choice([0, 1, 1, 1, 2, 2, 3]) if index > 1 else index)
        before = sorted(source.sample(range(index), count))
        if index and source.random() < 0.3:
            before = [index - 1]
        for each in before:
            nodes[each].followers += 1
        names = [name for name in NAMES if source.random() < 0.35]
        same_as = source.randrange(index) if index and source.random() < 0.2 else index
        nodes.append(Node(before, {name: value(source, name) for name in names}, same_as))
    return nodes


class Service:
    """The same run by the service's own means, through the text that is stored."""

    def __init__(self, versioning: Versioning) -> None:
        self.values = Values(lambda hashes: {})
        self._versioning = versioning
        self.tasks: list[TaskExecution] = []

    def ran(self, node: Node) -> None:
        """One more task has ended."""
        before = [self.tasks[i] for i in node.before]
        context = data_flow.merge(before, self.values, self._versioning)
        self.tasks.append(
            TaskExecution(
                id=f"task-{node.same_as}",
                attempt=len(self.tasks),
                name="t",
                workflow_execution_id="w",
                in_context=Bag.decode(context.encode()),
                published=self.values.pack(node.published),
                next_tasks=[["t", "on-success"]] * node.followers or None,
                has_next_tasks=node.followers > 0,
            )
        )

    def final(self) -> dict[str, Any]:
        """The final context."""
        ends = [task_ex for task_ex in self.tasks if not task_ex.has_next_tasks]
        return self.values.unpack(data_flow.merge(ends, self.values, self._versioning))


@pytest.mark.parametrize("versioning", [OFF, ON], ids=["off", "on"])
def test_random_runs_merge_as_the_oracle_says(versioning: Versioning) -> None:
    for seed in range(RUNS):
        nodes = random_run(random.Random(seed))
        service, oracle = Service(versioning), Oracle(versioning.enabled)
        handed: list[Known] = []
        for index, node in enumerate(nodes):
            branches = [(handed[i], nodes[i].published) for i in node.before]
            known = branches[0][0] if len(branches) == 1 else oracle.met(branches)
            service.ran(node)
            found = service.values.unpack(service.tasks[-1].in_context)
            assert found == {n: p.value for n, p in known.items()}, f"seed {seed}, task {index}"
            handed.append(oracle.outbound(index, known, node.published))
        ends = [(handed[i], n.published) for i, n in enumerate(nodes) if not n.followers]
        final = ends[0][0] if len(ends) == 1 else oracle.met(ends)
        assert service.final() == {n: p.value for n, p in final.items()}, f"seed {seed}"


def ended(
    name: str, before: Sequence[TaskExecution] = (), followers: int = 1, **published: Any
) -> TaskExecution:
    """A task that has ended, with what it inherited from those before it."""
    return TaskExecution(
        id=name,
        name=name,
        workflow_execution_id="w",
        in_context=data_flow.merge(before, VALUES, ON),
        published=VALUES.pack(published),
        next_tasks=[["t", "on-success"]] * followers or None,
        has_next_tasks=followers > 0,
    )


VALUES = Values(lambda hashes: {})


def met(*tasks: TaskExecution) -> dict[str, Any]:
    """The variables where these meet."""
    return VALUES.unpack(data_flow.merge(tasks, VALUES, ON))


def test_no_update_is_lost() -> None:
    start = ended("start", followers=2, a=0, b=0)
    left = ended("left2", [ended("left", [start], a=1)])
    right = ended("right2", [ended("right", [start], b=1)])
    assert met(left, right) == met(right, left) == {"a": 1, "b": 1}


def test_a_replaced_mapping_does_not_come_back_from_who_inherited_it() -> None:
    start = ended("start", followers=2, m={"old": 1})
    left = ended("left2", [ended("left", [start], m={"new": 2})])
    right = ended("right", [start])
    assert met(left, right) == met(right, left) == {"m": {"new": 2}}


@pytest.mark.parametrize("rounds", [1, 100])
def test_a_loop_replaces_what_was_there_before_it(rounds: int) -> None:
    start = ended("start", followers=2, m={"old": 1})
    last = start
    for number in range(rounds):
        last = ended(f"loop-{number}", [last], m={"round": number})
    assert met(ended("beside", [start]), last) == {"m": {"round": rounds - 1}}
    # nor do the rounds make the context grow
    assert len(data_flow.outbound(last, ON).encode()) < 200


def test_what_both_branches_published_is_merged_however_often() -> None:
    start = ended("start", followers=2, m={"old": 1})
    left = ended("left2", [ended("left", [start], m={"l": 1})], m={"l": 2, "both": "l"})
    right = ended("right", [start], m={"r": 1, "both": "r"})
    assert met(left, right) == met(right, left) == {"m": {"l": 2, "r": 1, "both": "l"}}


def test_a_merged_mapping_replaces_its_parts() -> None:
    start = ended("start", followers=2)
    left = ended("left", [start], followers=2, m={"l": 1})
    right = ended("right", [start], m={"r": 1})
    joined = ended("joined", [left, right], m={"joined": 1})
    assert met(joined, ended("behind_left", [left])) == {"m": {"joined": 1}}


def test_a_reverse_task_may_have_several_dependants_that_it_does_not_name() -> None:
    start = dataclasses.replace(ended("start", m={"old": 1}), next_tasks=None)
    left = ended("left", [start], m={"new": 1})
    assert met(left, ended("right", [start])) == {"m": {"new": 1}}


@pytest.mark.parametrize("text", ['{"a":0,"m":{"old":1}}', '@{"v":{"a":0,"m":{"old":1}},"r":{}}'])
def test_contexts_of_the_version_before_go_on(text: str) -> None:
    start = dataclasses.replace(ended("start"), in_context=Bag.decode(text))
    left = ended("left2", [ended("left", [start], a=1, m={"new": 1})])
    right = ended("right", [start])
    assert met(left, right) == met(right, left) == {"a": 1, "m": {"old": 1, "new": 1}}


def test_counts_of_the_version_before_go_on() -> None:
    text = Bag({"a": 2}, versions={ON.key("a"): 2}).encode()
    left = dataclasses.replace(ended("left"), in_context=Bag.decode(text))
    right = ended("right", a=9)
    assert met(left, right) == met(right, left) == {"a": 2}
    assert met(ended("left2", [left], a=3), right) == {"a": 3}


def test_a_row_tells_of_publications_only_what_is_known() -> None:
    lines, counts = {"k": "own|a"}, {"k": 1}
    assert Bag({"a": 1}, lines=lines).encode() == '@{"v":{"a":1},"r":{},"l":{"k":"own|a"}}'
    assert Bag({"a": 1}, versions=counts).encode() == '@{"v":{"a":1},"r":{},"n":{"k":1}}'
    for bag in (Bag({"a": 1}, lines=lines), Bag({"a": 1}, versions=counts)):
        assert Bag.decode(bag.encode()) == bag


def test_a_line_has_an_end() -> None:
    last = ended("start", followers=2, a=0)
    for number in range(100):
        last = ended(f"fork-{number}", [last], followers=2, a=number)
    assert len(data_flow.outbound(last, ON).encode()) < 1000


def test_nothing_is_told_of_what_nobody_published() -> None:
    start = ended("start", followers=2)
    assert data_flow.outbound(start, ON) == EMPTY
    assert data_flow.outbound(start, ON).encode() == "{}"


def test_what_was_counted_is_forgotten_where_nobody_counts() -> None:
    start = ended("start", a=1)
    assert data_flow.outbound(ended("next", [start]), OFF).encode() == '{"a":1}'


def test_how_much_a_line_knows_is_an_option() -> None:
    many, few = Versioning(True, known=9, merged=9), Versioning(True, known=2, merged=1)
    held = [
        Held(
            Bag({"x": n}, versions={many.key("x"): 1}, lines={many.key("x"): f"own{n}|a{n} b{n}"}),
            True,
        )
        for n in range(3)
    ]
    assert len(many.meeting("x", held).line.own) == 3
    assert len(few.meeting("x", held).line.own) == 1
    line = many.meeting("x", held).line
    assert line.encode(many.known).partition("|")[2].split() == ["a0", "b0", "a1", "b1", "a2", "b2"]
    assert line.encode(few.known).partition("|")[2].split() == ["a0", "b0"]
