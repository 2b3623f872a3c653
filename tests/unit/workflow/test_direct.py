"""Which targets a finished task chooses, and what it publishes (doc:language/transitions)."""

from __future__ import annotations

import pytest

from mistral.lang import Target, TaskSpec
from mistral.workflow import direct
from mistral.workflow.direct import Chosen
from tests.lib.decisions import spec

ALL = spec("""
tasks:
  a:
    on-success: {next: [s, {c: <% $.x %>}], publish: {branch: {v: 1}}}
    on-error: {next: [e], publish: {branch: {v: 2}}}
    on-complete: {next: [z], publish: {branch: {v: 3}}}
    on-skip: {next: [k, {c: <% $.x %>}], publish: {branch: {v: 4}}}
    publish: {p: 1}
    publish-on-error: {p: 2}
    publish-on-skip: {p: 3}
  bare: {on-success: [s]}
""").tasks


def chosen(task_spec: TaskSpec, state: str, is_true: bool = True) -> list[tuple[str, str]]:
    """Names and events."""

    def holds(target: Target) -> bool:
        assert target.condition == "<% $.x %>"
        return is_true

    return [(item.name, item.event) for item in direct.choose(task_spec, state, holds)]


@pytest.mark.parametrize(
    ("state", "found"),
    [
        ("SUCCESS", [("s", "on-success"), ("c", "on-success"), ("z", "on-complete")]),
        ("ERROR", [("e", "on-error"), ("z", "on-complete")]),
        ("SKIPPED", [("k", "on-skip"), ("c", "on-skip")]),
        ("CANCELLED", []),
        ("RUNNING", []),
    ],
)
def test_the_clauses_of_a_state_in_their_order(state: str, found: list[tuple[str, str]]) -> None:
    assert chosen(ALL["a"], state) == found


def test_a_condition_that_does_not_hold() -> None:
    assert chosen(ALL["a"], "SUCCESS", False) == [("s", "on-success"), ("z", "on-complete")]


def test_who_is_skipped_without_a_clause_for_it_succeeds() -> None:
    assert chosen(ALL["bare"], "SKIPPED") == [("s", "on-success")]
    assert chosen(ALL["bare"], "ERROR") == []


@pytest.mark.parametrize("end", ["fail", "succeed"])
def test_nothing_is_done_after_the_end(end: str) -> None:
    items = [Chosen(name, "on-success", {}) for name in ("a", "pause", end, "b")]
    assert list(direct.up_to_end(items)) == items[:3]
    assert list(direct.up_to_end(items[:2])) == items[:2]
    assert list(direct.up_to_end(items[2:])) == items[2:3]


@pytest.mark.parametrize(
    ("state", "clauses", "plain"),
    [
        ("SUCCESS", [1, 3], {"p": 1}),
        ("ERROR", [2, 3], {"p": 2}),
        ("SKIPPED", [4], {"p": 3}),
        ("CANCELLED", [], {}),
    ],
)
def test_what_is_published(state: str, clauses: list[int], plain: dict[str, int]) -> None:
    found = direct.publish_clauses(ALL["a"], state)
    assert [clause.publish.branch["v"] for clause in found if clause.publish] == clauses
    assert direct.plain_publish(ALL["a"], state) == plain
    assert direct.publish_clauses(ALL["bare"], state) == []
    assert direct.plain_publish(ALL["bare"], state) == {}


def test_workflows_begin_with_the_tasks_that_nothing_leads_to() -> None:
    assert direct.start_tasks(spec("tasks: {a: {on-success: [b]}, b: {}, c: {}}")) == ("a", "c")
