"""`std.js`."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from mistral.actions import js_engines
from mistral.actions.js_actions import JavaScriptAction
from mistral.exceptions import ConfigurationError
from mistral_lib.actions import ActionContext, ActionException


def run(script: str, context: Any = None) -> Any:
    pytest.importorskip("py_mini_racer")
    return JavaScriptAction(script, context).run(ActionContext())


@pytest.mark.parametrize(
    ("script", "context", "expected"),
    [
        ("return 1 + 1;", None, 2),
        ("return $.a * 2", {"a": 21}, 42),
        ("return $", None, None),
        ("var x = 1;", {}, None),
        ("return {a: [1, null, 'x']}", None, {"a": [1, None, "x"]}),
        ("return $.t // a comment at the end", {"t": "ü\u2028"}, "ü\u2028"),
    ],
)
def test_a_script_returns_plain_data(script: str, context: Any, expected: Any) -> None:
    assert run(script, context) == expected


@pytest.mark.parametrize("script", ['throw "up";', "return no.such", "this is not a script"])
def test_failures_say_so(script: str) -> None:
    with pytest.raises(ActionException, match="^JavaScriptAction failed: "):
        run(script, {})


def test_an_endless_script_ends() -> None:
    pytest.importorskip("py_mini_racer")
    engine = js_engines.MiniRacerEngine(timeout=0.2)
    with pytest.raises(ActionException, match="^JavaScriptAction failed: "):
        engine.evaluate("while (true) {}", None)


def test_without_an_engine_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ActionException, match="install the extra 'javascript'"):
        JavaScriptAction("return 1").run(ActionContext())


def test_engines_by_name() -> None:
    assert isinstance(js_engines.load_engine("py_mini_racer"), js_engines.MiniRacerEngine)
    with pytest.raises(ConfigurationError, match="no JavaScript engine 'none'"):
        js_engines.load_engine("none")
