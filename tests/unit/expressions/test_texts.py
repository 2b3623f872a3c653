"""What counts as an expression, what keeps its type, what is pasted into text."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest

from mistral.exceptions import (
    EvaluationException,
    ExpressionGrammarException,
    JinjaGrammarException,
    MistralException,
    YaqlGrammarException,
)
from mistral.expressions import DataContext, Expressions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("<% not closed", "<% not closed"),
        ("<% $.a\n %>", "<% $.a\n %>"),
        ("<% $.a %>", 2),
        ("<%$.l%>", [1, 2, 3]),
        (" <% $.a %>", " 2"),
        ("<% $.a %> ", "2 "),
        ("<% 1 %><% 2 %>", "12"),
        ("b=<% true %> n=<% null %> l=<% [1, 2] %> m=<% $.m %>", None),
        ("{{ _.a }}", 2),
        ("{{ _.l }}", [1, 2, 3]),
        ("{{ none }}", None),
        (" {{ _.a }}", " 2"),
        ("{{ _.a }}{{ _.a }}", "22"),
        ("{{ {'a': {'b': 1}} }}", {"a": {"b": 1}}),
        ("{{- _.a -}}", 2),
        ("n={{ none }} {{ [1, 2] }}", "n=None [1, 2]"),
        ("{% for x in _.l %}{{ x * 2 }};{% endfor %}", "2;4;6;"),
        ("{% if _.a == 2 %}two{% endif %}", "two"),
        ("{% set x = _.l %}{{ x | length }}", "3"),
        ("{{ _.rows | map(attribute='x') }}", [1, 2]),
        ("{{ _.m.items() }}", [["a", 1], ["k", "v"]]),
        ("{{ _ }}", ...),
        ("<% $ %>", ...),
        ("<% $__env.a %>{# not jinja #}", "1{# not jinja #}"),
        ("{{ __env.a }}", 1),
        ("{{ _.get('zip', 9) }}", 9),
        ("{{ {'b': [1, 'é'], 'a': _.l} | tojson }}", '{"a": [1, 2, 3], "b": [1, "\\u00e9"]}'),
        ("{{ [1] | tojson(indent=99) }}", "[\n" + " " * 16 + "1\n]"),
    ],
)
def test_evaluate(expressions: Expressions, ctx: DataContext, text: str, expected: Any) -> None:
    if expected is ...:
        expected = ctx.data
    elif expected is None and text != "{{ none }}":
        expected = "b=True n=None l=[1, 2] m={'a': 1, 'k': 'v'}"
    result = expressions.evaluate(text, ctx)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("text", "is_expression", "is_whole"),
    [
        ("plain", False, False),
        (5, False, False),
        ("<% 1 %>", True, True),
        (" <% 1 %>", True, False),
        ("<% 1 %><% 2 %>", True, False),
        ("{{ 1 }}", True, True),
        ("{{ 1 }} ", True, False),
        ("{{ 1 }}{{ 2 }}", True, False),
        ("{% if x %}{% endif %}", True, False),
    ],
)
def test_recognition(
    expressions: Expressions, text: Any, is_expression: bool, is_whole: bool
) -> None:
    assert expressions.is_expression(text) is is_expression
    assert expressions.is_whole(text) is is_whole


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("<% $.( %>", YaqlGrammarException),
        ("<% $.a. %>", YaqlGrammarException),
        ("a <% $. %> b", YaqlGrammarException),
        ("<% %>", YaqlGrammarException),
        ("<% $.__env %>", YaqlGrammarException),
        ("{{ 1 + }}", JinjaGrammarException),
        ("{% for x in y %}", JinjaGrammarException),
        ("<% 1 %>{{ 2 }}", ExpressionGrammarException),
        ("<% not closed", ExpressionGrammarException),
        ("a <% 1 %> b <% 2", ExpressionGrammarException),
        ("{{ not closed", ExpressionGrammarException),
        ("{% not closed", ExpressionGrammarException),
        ("{{ 1 }} {{ 2", ExpressionGrammarException),
        ("{{ 1 }} <% 2", ExpressionGrammarException),
        ("<% 1\n%>", ExpressionGrammarException),
        ("{{ 1\n}}", ExpressionGrammarException),
        ("<% " + "1" * 2500 + "a %>", ExpressionGrammarException),
        ("<% " + "1 + " * 20_000 + "1 %>", ExpressionGrammarException),
        ("{{ 1 }}" + "a" * 70_000, ExpressionGrammarException),
        ("<% " + "(" * 5000 + " %>", ExpressionGrammarException),
        ("{{ " + "(" * 5000 + " }}", ExpressionGrammarException),
    ],
)
def test_validate(expressions: Expressions, text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        expressions.validate(text)


@pytest.mark.parametrize(
    "text",
    [
        "<% {a => {b => 1}} %>",
        "<% '{{' %>",
        "<% '{%' %>",
        "{{ '<%' }}",
        "{{ '{%' }}",
        "{{ 1 }}{# {{ #}",
        "{{ 1 }}{{\n2 }}",
        "}} %> %}",
        "a" * 70_000 + "<% 1 %>" + "a" * 70_000,
    ],
)
def test_marks_that_need_no_other(expressions: Expressions, text: str) -> None:
    expressions.validate(text)


HOSTILE = [
    "{{",
    "{%",
    "<%",
    "{{ ",
    "{{<%",
    "<%{{{%",
    "{{%",
    "{{ '",
    "<%\n",
    "{{{%}}",
    "<% 1",
    "{#{{",
    "=<%",
    " x=[{{",
]


@pytest.mark.parametrize("end", ["", " %>", " }}", " %}", "}} %} %>"])
@pytest.mark.parametrize("piece", HOSTILE)
def test_no_text_takes_long(expressions: Expressions, piece: str, end: str) -> None:
    """80 kB of marks in any mix, with closing ones or without."""
    text = piece * (80_000 // len(piece)) + end
    started = time.process_time()
    for look in (expressions.is_expression, expressions.is_whole, expressions.validate):
        with contextlib.suppress(MistralException):
            look(text)
    with contextlib.suppress(MistralException):
        expressions.evaluate(text, DataContext({}))
    assert time.process_time() - started < 2


@pytest.mark.parametrize("text", ["<% nobody(1) %>", "{{ 1 | nobody }}", "{{ nobody() }}"])
def test_unknown_functions_fail_at_run_time(
    expressions: Expressions, ctx: DataContext, text: str
) -> None:
    expressions.validate(text)
    with pytest.raises(EvaluationException, match="nobody"):
        expressions.evaluate(text, ctx)


def test_recursion(expressions: Expressions, ctx: DataContext) -> None:
    value = {"<% 1 + 1 %>": "<% 1 + 1 %>", "l": ["{{ _.a }}", {"x": 5}], "t": None}
    assert expressions.evaluate_recursively(value, ctx) == {
        "<% 1 + 1 %>": 2,
        "l": [2, {"x": 5}],
        "t": None,
    }


def test_nesting_is_limited(expressions: Expressions, ctx: DataContext) -> None:
    value: Any = "x"
    for _ in range(5000):
        value = [value]
    with pytest.raises(EvaluationException):
        expressions.evaluate_recursively(value, ctx)


@pytest.mark.parametrize("text", ["<% $.x %>", "{{ _.x }}"])
def test_results_are_not_evaluated_again(expressions: Expressions, text: str) -> None:
    context = DataContext({"x": "<% 1 + 1 %>"})
    assert expressions.evaluate(text, context) == "<% 1 + 1 %>"


def test_data_may_be_anything(expressions: Expressions) -> None:
    assert expressions.evaluate("<% $ * 10 %>", DataContext(4)) == 40
    assert expressions.evaluate("{{ _ * 10 }}", DataContext(4)) == 40
