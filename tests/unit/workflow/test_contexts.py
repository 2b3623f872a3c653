"""Contexts: which data a place sees, and what is refused (doc:language/publishing)."""

from __future__ import annotations

import dataclasses

import pytest

from mistral import exceptions as exc
from mistral.expressions import DataContext
from mistral.lang import InputParam
from mistral.workflow import data_flow
from mistral.workflow.data_flow import BagView
from mistral.workflow.values import EMPTY, INLINE_LIMIT, Bag, Values
from tests.lib.decisions import Flow

BIG = "x" * (INLINE_LIMIT + 1)


def flow() -> Flow:
    found = Flow("tasks: {a: {}}", context={"g": "global", "m": {"g": 1}}, input={"g": 1, "i": 2})
    found.ports.environment = {"k": 1}
    return found


def keys(context: DataContext) -> set[str]:
    return set(context.data)


def test_the_layers_of_a_place() -> None:
    here = flow()
    own = here.task_ex("a")
    found = data_flow.context(
        here.ports,
        here.wf_ex,
        task_ex=own,
        branch=Bag({"b": "branch", "t": "branch", "m": {"b": 1}}),
        item={"t": "item", "g": "item"},
    )
    data = found.data
    assert [data[name] for name in ("b", "t", "g", "i")] == ["branch", "branch", "item", 2]
    assert data["m"] == {"b": 1}
    assert data["__execution"] == {"id": "wf"}
    assert data["__task_execution"] == {"id": "t-a", "name": "a"}
    assert data["__env"] == found.variables["__env"] == {"k": 1}
    assert set(found.variables) == {"__env", "__execution", "__task_execution"}
    assert len(found.variables) == 3 and "__env" in found.variables and "g" not in found.variables


def test_a_place_without_a_task() -> None:
    here = flow()
    found = data_flow.context(here.ports, here.wf_ex, with_input=False)
    assert keys(found) == {"__env", "__execution", "g", "m"}
    assert "i" in keys(data_flow.context(here.ports, here.wf_ex))


def test_layers_are_merged_where_that_is_wanted() -> None:
    here = flow()
    here.ports.limits = dataclasses.replace(here.ports.limits, merge_strategy="merge")
    found = data_flow.context(here.ports, here.wf_ex, branch=Bag({"m": {"b": 1}}))
    assert found.data["m"] == {"b": 1, "g": 1}


def test_a_bag_is_read_like_a_mapping() -> None:
    values = Values(lambda hashes: {})
    view = BagView(values.pack({"small": 1, "big": BIG}), values)
    assert dict(view) == {"small": 1, "big": BIG}
    assert len(view) == 2 and "big" in view and "none" not in view


def test_mappings_over_mappings() -> None:
    values = Values(lambda hashes: {})
    older = Bag({"m": {"a": 1, "n": {"x": 1}}, "s": 1})
    found = data_flow.merged_over(older, {"m": {"n": {"y": 2}}, "s": {"z": 1}, "new": {}}, values)
    assert found == {"m": {"a": 1, "n": {"x": 1, "y": 2}}, "s": {"z": 1}, "new": {}}
    assert data_flow.merged_over(older, {"m": 3}, values) == {"m": 3}
    assert older.inline["m"] == {"a": 1, "n": {"x": 1}}


def test_merged_mappings() -> None:
    first, second = {"a": {"b": 1}, "c": 1, "d": {"e": 1}}, {"a": {"f": 2}, "c": {"g": 3}, "d": 4}
    merged = data_flow.merge_mappings(first, second)
    assert merged == {"a": {"b": 1, "f": 2}, "c": {"g": 3}, "d": 4}
    assert first == {"a": {"b": 1}, "c": 1, "d": {"e": 1}}


def test_nothing_is_merged_of_no_tasks() -> None:
    assert data_flow.merge([], Values(lambda hashes: {})) is EMPTY


def test_large_values_are_loaded_with_one_look() -> None:
    stored = Values(lambda hashes: {})
    here = flow()
    tasks = [
        here.task_ex("a", published=stored.pack({"m": {str(n): BIG}, "same": BIG}))
        for n in range(3)
    ]
    asked: list[list[str]] = []

    def load(hashes: list[str]) -> dict[str, bytes]:
        asked.append(list(hashes))
        return {digest: stored.new[digest] for digest in hashes}

    fresh = Values(load)  # type: ignore[arg-type]
    merged = data_flow.merge(tasks, fresh)
    assert fresh.unpack(merged)["m"] == {"0": BIG, "1": BIG, "2": BIG}
    # what is the same everywhere need not be known to be merged
    assert len(asked[0]) == 3


DECLARED = (InputParam("a"), InputParam("b", True, 2))


def test_declared_input() -> None:
    data_flow.check_input("x=y", DECLARED, {"a": 1})
    data_flow.check_input("x=y", DECLARED, {"a": 1, "b": 1})
    for given, text in (
        ({}, "missing=['a']"),
        ({"a": 1, "c": 1}, "unexpected=['c']"),
        ({"c": 1}, "missing=['a'], unexpected=['c']"),
    ):
        with pytest.raises(exc.InputException) as refused:
            data_flow.check_input("x=y", DECLARED, given)
        assert str(refused.value) == f"Invalid input [x=y, {text}]"


def test_sizes() -> None:
    limits = dataclasses.replace(flow().ports.limits, field_size_kb=1)
    just = Bag({"k": "x" * (2047 - len('{"k":""}'))})
    data_flow.check_size("T", "f", just, limits)
    data_flow.check_size("T", "f", None, limits)
    more = Bag({"k": just.inline["k"] + "x"})
    with pytest.raises(exc.SizeLimitExceededException):
        data_flow.check_size("T", "f", more, limits)
    data_flow.check_size("T", "f", more, dataclasses.replace(limits, field_size_kb=-1))
    with pytest.raises(exc.SizeLimitExceededException):
        data_flow.check_size("T", "f", more, dataclasses.replace(limits, field_size_kb=0))
