"""Layers, laziness, and input that stays as it was."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from mistral.expressions import DataContext, Expressions, LayeredData, LazyLayer


class Loads:
    """A layer that notes which values were loaded."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.loaded: list[str] = []
        self._values = values
        self.layer = LazyLayer({name: name for name in values}, self._load)

    def _load(self, name: str) -> Any:
        self.loaded.append(name)
        return self._values[name]


def test_first_layer_wins() -> None:
    data = LayeredData({"a": 1}, {"a": 2, "b": {"x": 1}}, {"b": {"y": 2}, "c": 3})
    assert dict(data) == {"a": 1, "b": {"x": 1}, "c": 3}
    assert len(data) == 3
    assert "c" in data
    assert data.get("d") is None


def test_merging_layers() -> None:
    data = LayeredData({"b": {"x": {"p": 1}}}, {"b": {"x": {"p": 2, "q": 2}, "y": 2}}, merge=True)
    assert data["b"] == {"x": {"p": 1, "q": 2}, "y": 2}


@pytest.mark.parametrize(
    "text",
    [
        "<% $.a %>",
        "<% $.get(a) %>",
        "<% str($.a).toUpper() %>",
        "<% [$.a].select($) %>",
        "{{ _.a }}",
    ],
)
def test_only_what_is_asked_for_is_loaded(expressions: Expressions, text: str) -> None:
    loads = Loads({"a": 1, "big": [1] * 1000})
    expressions.evaluate(text, DataContext(LayeredData({}, loads.layer)))
    assert loads.loaded == ["a"]


@pytest.mark.parametrize("text", ["<% $.big %>", "<% task().result %>", "{{ _.big }}"])
def test_large_values_are_not_copied(expressions: Expressions, facts: Any, text: str) -> None:
    big = [{"n": n} for n in range(5000)]
    facts.records["t1"]["result"] = big
    assert expressions.evaluate(text, DataContext({"big": big}, facts)) is big


def test_yaql_gives_back_originals(expressions: Expressions, ctx: DataContext) -> None:
    result = expressions.evaluate("<% $.rows.where($.x > 1) %>", ctx)
    assert result[0] is ctx.data["rows"][1]


@pytest.mark.parametrize(
    "text",
    [
        "<% $.l + [4] %>",
        "<% $.m + {a => 5} %>",
        "<% $.m.set(a, 5) %>",
        "<% $.l.append(4) %>",
        "{{ _.l + [4] }}",
        "{{ dict(_.m, a=5) }}",
        "{{ _.l | sort(reverse=true) }}",
    ],
)
def test_input_stays_as_it_was(expressions: Expressions, ctx: DataContext, text: str) -> None:
    before = copy.deepcopy(ctx.data)
    expressions.evaluate(text, ctx)
    assert ctx.data == before


def test_yaql_values_are_hashable_and_equal(expressions: Expressions) -> None:
    context = DataContext({"l": [{"a": [1]}, {"a": [1]}, {"a": [2]}]})
    assert expressions.evaluate("<% $.l.distinct() %>", context) == [{"a": [1]}, {"a": [2]}]
    assert expressions.evaluate("<% {a => [1]} in $.l %>", context) is True


def test_threads_share_the_parser(expressions: Expressions) -> None:
    failures: list[Any] = []

    def work(number: int) -> None:
        for step in range(40):
            text = f"<% $.a + {number * 1000 + step} %>"
            result = expressions.evaluate(text, DataContext({"a": 1}))
            if result != number * 1000 + step + 1:
                failures.append((text, result))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
