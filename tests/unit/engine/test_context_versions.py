"""Counted publications: what wins where branches meet (doc:language/publishing)."""

from __future__ import annotations

from typing import Any

import pytest

from mistral.workflow import data_flow
from mistral.workflow.entities import TaskExecution
from mistral.workflow.values import EMPTY, Bag, Values
from mistral.workflow.versions import OFF, Versioning

ON = Versioning(enabled=True)
BIG = "x" * 5000


def nothing(hashes: Any) -> dict[str, str]:
    raise AssertionError("nothing has to be loaded")


@pytest.fixture
def values() -> Values:
    return Values(nothing)


class Branch:
    """Tasks one after the other, each with what it publishes."""

    def __init__(self, values: Values, versioning: Versioning, before: Bag = EMPTY) -> None:
        self.values = values
        self.versioning = versioning
        self.context = before

    def then(self, **published: Any) -> TaskExecution:
        task_ex = TaskExecution(
            id="t",
            name="t",
            workflow_execution_id="w",
            in_context=self.context,
            published=self.values.pack(published),
        )
        self.context = Bag.decode(data_flow.outbound(task_ex, self.versioning).encode())
        return task_ex


def met(values: Values, versioning: Versioning, *steps: list[dict[str, Any]]) -> dict[str, Any]:
    """The variables after a join of branches that publish these, one after the other."""
    first = Branch(values, versioning)
    first.then(x="start", m={"s": 1})
    ends = []
    for branch_steps in steps:
        branch = Branch(values, versioning, first.context)
        for published in branch_steps:
            end = branch.then(**published)
        ends.append(end)
    merged = data_flow.merge(ends, values, versioning)
    return values.unpack(Bag.decode(merged.encode()))


@pytest.mark.parametrize(
    ("left", "right", "without", "counted"),
    [
        # a value published next to the join wins over an inherited one, unless that is newer
        ([{"x": "a"}], [{"x": "b1"}, {"x": "b2"}, {}], "a", "b2"),
        ([{"x": "b1"}, {"x": "b2"}, {}], [{"x": "a"}], "a", "b2"),
        # one that was only inherited is older than any
        ([{"x": "a"}, {}], [{}], "start", "a"),
        ([{}], [{"x": "a"}, {}], "a", "a"),
        # as often: as without counting
        ([{"x": "a"}], [{"x": "b"}], "b", "b"),
        ([{"x": "a"}], [{"x": "b"}, {}], "a", "a"),
        ([{"x": BIG}, {"x": BIG + "2"}, {}], [{"x": "a"}], "a", BIG + "2"),
    ],
)
def test_the_most_often_updated_value_wins(
    values: Values,
    left: list[dict[str, Any]],
    right: list[dict[str, Any]],
    without: str,
    counted: str,
) -> None:
    assert met(values, OFF, left, right)["x"] == without
    assert met(values, ON, left, right)["x"] == counted


def test_mappings_still_merge(values: Values) -> None:
    left = [{"m": {"s": 2, "l": 1}}, {"m": {"s": 3, "l": 2}}, {}]
    right = [{"m": {"s": 4, "r": 1}}]
    assert met(values, ON, left, right)["m"] == {"s": 3, "l": 2, "r": 1}


def test_counts_go_on_behind_a_join(values: Values) -> None:
    branch = Branch(values, ON)
    ends = [Branch(values, ON, branch.context).then(x=n) for n in (1, 2)]
    joined = Branch(values, ON, data_flow.merge(ends, values, ON))
    newer = joined.then(x="behind")
    older = Branch(values, ON).then(x="beside")
    assert data_flow.merge([newer, older], values, ON).inline["x"] == "behind"


@pytest.mark.parametrize(("hashed", "shown"), [(True, False), (False, True)])
def test_names_are_hashed_or_not(values: Values, hashed: bool, shown: bool) -> None:
    branch = Branch(values, Versioning(True, hashed))
    branch.then(secret_name=1)
    assert ("secret_name" in branch.context.versions) is shown
    assert list(branch.context.versions.values()) == [1]


def test_nothing_is_counted_unless_asked(values: Values) -> None:
    branch = Branch(values, OFF)
    branch.then(x=1)
    assert branch.context.encode() == '{"x":1}'
