"""Languages and functions come from entry points."""

from __future__ import annotations

from typing import Any

import pytest
from stevedore import extension

from mistral.exceptions import ConfigurationError
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
