"""Languages and functions come from entry points."""

from __future__ import annotations

import re
import time
from typing import Any, ClassVar

import pytest
from stevedore import extension

from mistral.exceptions import (
    ConfigurationError,
    EvaluationException,
    ExpressionGrammarException,
)
from mistral.expressions import (
    BUILTIN,
    DataContext,
    ExpressionOptions,
    Expressions,
    JinjaEvaluator,
    YaqlEvaluator,
    facade,
)


def shout(context: DataContext, text: str, times_more: int = 1) -> str:
    """A custom function."""
    return text.upper() + "!" * times_more


GROUPS: dict[str, dict[str, Any]] = {
    facade.EVALUATORS_GROUP: {"yaql": YaqlEvaluator, "jinja": JinjaEvaluator},
    facade.FUNCTIONS_GROUP: {**BUILTIN, "shout": shout},
}


class FakeManager:
    """Stands in for installed entry points."""

    def __init__(self, namespace: str, on_load_failure_callback: Any) -> None:
        self._plugins = GROUPS[namespace]
        if "broken" in self._plugins:
            entry = extension.Extension("broken", None, None, None)
            on_load_failure_callback(self, entry, ImportError("no such module"))

    def __iter__(self) -> Any:
        for name, plugin in self._plugins.items():
            yield extension.Extension(name, None, plugin, None)


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facade, "ExtensionManager", FakeManager)


@pytest.mark.usefixtures("entry_points")
def test_custom_function_in_both_languages() -> None:
    expressions = Expressions.from_plugins(ExpressionOptions())
    context = DataContext({"t": "hey"})
    assert expressions.evaluate("<% shout($.t) %>", context) == "HEY!"
    assert expressions.evaluate("<% shout($.t, timesMore => 2) %>", context) == "HEY!!"
    assert expressions.evaluate("{{ shout(_.t, times_more=2) }}", context) == "HEY!!"
    assert expressions.evaluate("{{ _.t | shout }}", context) == "HEY!"


@pytest.mark.usefixtures("entry_points")
def test_broken_plugin_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUPS, facade.FUNCTIONS_GROUP, {"broken": None})
    with pytest.raises(ConfigurationError, match="broken"):
        Expressions.from_plugins(ExpressionOptions())


@pytest.mark.usefixtures("entry_points")
def test_allowed_language_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUPS, facade.EVALUATORS_GROUP, {"yaql": YaqlEvaluator})
    with pytest.raises(ConfigurationError, match="jinja"):
        Expressions.from_plugins(ExpressionOptions())
    Expressions.from_plugins(ExpressionOptions(allowed_languages=("yaql",)))
    with pytest.raises(ConfigurationError, match="perl"):
        Expressions.from_plugins(ExpressionOptions(allowed_languages=("yaql", "perl")))


class Percent:
    """A custom language that knows nothing of this service: ``%name%``."""

    search_pattern: ClassVar[Any] = r"%[a-z]+%"

    @classmethod
    def is_expression(cls, text: str) -> bool:
        return text != "%no%"

    @classmethod
    def validate(cls, text: str) -> None:
        if "bad" in text:
            raise ValueError("bad")

    @classmethod
    def evaluate(cls, text: str, context: Any) -> Any:
        return {context.data[text.strip("%")]} if text.startswith("%") else text.upper()


def _with_percent(monkeypatch: pytest.MonkeyPatch, plugin: Any) -> Expressions:
    usual = {"yaql": YaqlEvaluator, "jinja": JinjaEvaluator}
    monkeypatch.setitem(GROUPS, facade.EVALUATORS_GROUP, {**usual, "percent": plugin})
    options = ExpressionOptions(allowed_languages=("yaql", "jinja", "percent"), time_limit=1.0)
    return Expressions.from_plugins(options)


@pytest.mark.usefixtures("entry_points")
@pytest.mark.parametrize("plugin", [Percent, Percent()])
def test_a_language_with_a_search_pattern(monkeypatch: pytest.MonkeyPatch, plugin: Any) -> None:
    expressions = _with_percent(monkeypatch, plugin)
    context = DataContext({"a": 1})
    assert expressions.evaluate("%a%", context) == [1]
    assert expressions.evaluate("so %a%", context) == "SO %A%"
    assert expressions.evaluate("<% $.a %>", context) == 1
    assert expressions.evaluate("%A%", context) == "%A%"
    assert expressions.is_whole("%a%")
    assert not expressions.is_whole("so %a%")
    assert expressions.is_expression("so %a%")
    assert not expressions.is_expression("%no%")
    expressions.validate("%a%")
    with pytest.raises(ExpressionGrammarException, match="percent"):
        expressions.validate("%bad%")
    with pytest.raises(ExpressionGrammarException, match="Mixing"):
        expressions.validate("%a% <% 1 %>")
    with pytest.raises(EvaluationException, match="percent expression.*%b%"):
        expressions.evaluate("%b%", context)


@pytest.mark.usefixtures("entry_points")
def test_flags_of_a_search_pattern_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Percent, "search_pattern", re.compile("%[a-z]+%", re.IGNORECASE))
    assert _with_percent(monkeypatch, Percent).is_expression("%A%")


@pytest.mark.usefixtures("entry_points")
@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("search_pattern", r"%(?!%)a%", "look-around"),
        ("search_pattern", re.compile(r"%a%", re.VERBOSE), "flags"),
        ("search_pattern", r"[a-z]*", "empty text"),
        ("search_pattern", None, "search_pattern"),
        ("search_pattern", b"%a%", "search_pattern"),
        ("validate", None, "validate"),
    ],
)
def test_a_language_that_cannot_be_used_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: Any, problem: str
) -> None:
    monkeypatch.setattr(Percent, name, value)
    with pytest.raises(ConfigurationError, match=rf"'percent' can't be used.*{problem}"):
        _with_percent(monkeypatch, Percent)


@pytest.mark.usefixtures("entry_points")
@pytest.mark.parametrize("pattern", [r"\$\{(a|a)*?.*?\}", r"\$.*\}|\$", r"(\$+)+\}"])
def test_hostile_texts_take_linear_time(monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    """Python's own patterns would take hours, or minutes, for them."""
    monkeypatch.setattr(Percent, "search_pattern", pattern)
    expressions = _with_percent(monkeypatch, Percent)
    for text in ("${" * 30_000, "$" * 60_000):
        began = time.monotonic()
        try:
            expressions.validate(text)
            expressions.is_whole(text)
        except ExpressionGrammarException as error:
            assert "time_limit" in str(error)
        assert time.monotonic() - began < 5
