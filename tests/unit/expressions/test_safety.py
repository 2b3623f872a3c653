"""Budgets, the sandbox, and errors that tell no data."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mistral.exceptions import (
    ConfigurationError,
    EvaluationException,
    ExpressionGrammarException,
    JinjaEvaluationException,
    YaqlEvaluationException,
)
from mistral.expressions import DataContext, Expressions

Assemble = Callable[..., Expressions]


@pytest.fixture(scope="module")
def tight(assemble: Assemble) -> Expressions:
    return assemble(limit_iterators=100, memory_quota=10_000, time_limit=0.3)


@pytest.mark.parametrize(
    "text",
    [
        "<% range(1000).toList() %>",
        "<% range(1000) %>",
        "<% sequence().len() %>",
        "<% repeat(1).toList() %>",
        "<% 'a' * 100000 %>",
        "<% pow(10, 1000000) %>",
        "<% shiftBitsLeft(1, 1000000) %>",
        "<% 'aaaaaaaaaaaaaaaaaaaaa'.replace(a, $.wide) %>",
        "<% def(f, f($)) -> f(1) %>",
        "<% def(f, switch($ > 0 => f($ - 1) + f($ - 1), true => 1)) -> f(40) %>",
        "{{ range(1000) | list }}",
        "{% for x in range(1000) %}{% endfor %}",
        "{% for x in range(99) %}" * 5 + "{% endfor %}" * 5,
        "{{ 'a' * 100000 }}",
        "{{ [0] * 100000 }}",
        "{{ 10 ** 1000000 }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '{:99999999}'.format(1) }}",
        "{{ '{:{}}'.format(1, 99999999) }}",
        "{{ '%99999999d' | format(1) }}",
        "{{ 'a'.ljust(99999999) }}",
        "{{ 'a' | center(99999999) }}",
        "{{ 'aaaaaaaaaaaaaaaaaaaaa'.replace('a', _.wide) }}",
        "{% set ns = namespace(x='aa') %}{% for i in range(60) %}"
        "{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% for i in range(60) %}{{ _.wide }}{% endfor %}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
        "{{ m(50) }}",
    ],
)
def test_budget(tight: Expressions, text: str) -> None:
    with pytest.raises(EvaluationException):
        tight.evaluate(text, DataContext({"wide": "x" * 1000}))


def test_limits_can_be_lifted(assemble: Assemble) -> None:
    free = assemble(limit_iterators=-1, memory_quota=-1, time_limit=-1)
    assert len(free.evaluate("<% range(2000) %>", DataContext({}))) == 2000
    assert len(free.evaluate("{{ 'a' * 20000 }}", DataContext({}))) == 20000


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ _.__class__ }}",
        "{{ _['__class__'] }}",
        "{{ task.__globals__ }}",
        "{{ _.l.append(1) }}",
        "{{ _.m.update({'a': 1}) }}",
        "{{ cycler.__init__ }}",
        "{{ _.absent }}",
        "a {{ _.absent }}",
        "{{ absent }}",
        "{% if _.absent %}x{% endif %}",
        "{{ [_.absent] }}",
        "{{ json_dump(_.absent) }}",
        "{{ _.n.x }}",
        "{{ namespace() }}",
        "{{ range }}",
        "{{ self }}",
        "{% include 'x' %}",
    ],
)
def test_jinja_sandbox_and_strictness(
    expressions: Expressions, ctx: DataContext, text: str
) -> None:
    with pytest.raises(JinjaEvaluationException):
        expressions.evaluate(text, ctx)
    assert ctx.data["l"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<% $.absent %>", "absent"),
        ("<% $.secret.foo() %>", "foo"),
        ("<% $.secret.get(a) %>", "get"),
        ("<% int($.secret) %>", "invalid literal"),
        ("<% float($.secret) %>", "could not convert"),
        ("<% $.m[$.secret] %>", "no key"),
        ("<% $.assert(false, $.secret) %>", "assertion"),
        ("<% $.a.assert(false, told) %>", "told"),
        ("<% 1 / 0 %>", "zero"),
        ("<% 1.0 / 0 %>", "zero"),
        ("<% $.n.a %>", "#property#a"),
        ("<% $.l[9] %>", "out of range"),
        ("<% [].first() %>", "no such element"),
        ("<% json_parse($.secret) %>", "not JSON"),
        ("<% yaml_parse('[' + $.secret) %>", "not YAML"),
        ("<% datetime($.secret, x) %>", "invalid"),
        ("<% let(x => 1) %>", "not JSON"),
        ("<% {[1] => 2} %>", "not JSON"),
        ("{{ _.absent }}", "absent"),
        ("{{ _[_.secret] }}", "no such attribute"),
        ("{{ _.secret.foo() }}", "foo"),
        ("{{ _.secret | int + _.secret }}", "unsupported operand"),
        ("{{ {}.pop(_.secret) }}", "unsafe"),
        ("{{ [].index(_.secret) }}", "invalid"),
    ],
)
def test_errors_tell_the_expression_but_no_data(
    expressions: Expressions, ctx: DataContext, text: str, told: str
) -> None:
    with pytest.raises((YaqlEvaluationException, JinjaEvaluationException)) as caught:
        expressions.evaluate(text, ctx)
    message = str(caught.value)
    assert told in message.partition("error=")[2]
    assert "hunter2" not in message
    assert text[3:-3] in message
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_nothing_shows_in_repr(ctx: DataContext) -> None:
    assert "hunter2" not in repr(ctx)


def test_disabled_language(assemble: Assemble) -> None:
    only_yaql = assemble(allowed_languages=("yaql",))
    assert only_yaql.evaluate("<% 1 %>", DataContext({})) == 1
    with pytest.raises(ExpressionGrammarException, match="jinja"):
        only_yaql.validate("{{ 1 }}")
    with pytest.raises(EvaluationException, match="jinja"):
        only_yaql.evaluate("{{ 1 }}", DataContext({}))


def test_unknown_language(assemble: Assemble) -> None:
    with pytest.raises(ConfigurationError, match="cobol"):
        assemble(allowed_languages=("yaql", "cobol"))
