"""Budgets, the sandbox, and errors that tell no data."""

from __future__ import annotations

import contextlib
import time
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


NINES = "9" * 400
NOT_JSON = {
    "yaql": [
        f"{NINES}.0",
        f"[1, {{a => {NINES}.0}}]",
        f"{NINES}.0 - {NINES}.0",
        "$.big * 10",
        "[$.big * 10]",
        "-$.big * 10",
        "$.rows.select($.x * 10)",
        "float(inf)",
        "[float(nan)]",
        "yaml_parse('.inf')",
        "json_parse('NaN')",
        "json_parse('[1e999]')",
        "range(300).aggregate([$1], [])",
        "json_parse('[' * 300 + ']' * 300)",
    ],
    "jinja": [
        "1e400",
        "_.big * 10",
        "[_.big * 10]",
        "'inf' | float",
        "{'a': 'nan' | float}",
        "json_parse('Infinity')",
        "yaml_parse('[.nan]')",
    ],
}


@pytest.mark.parametrize("source", NOT_JSON["yaql"])
def test_what_json_can_not_hold_in_yaql(expressions: Expressions, source: str) -> None:
    context = DataContext({"big": 1e308, "rows": [{"x": 1e308}]})
    with pytest.raises(YaqlEvaluationException, match="JSON|too|deeper"):
        expressions.evaluate(f"<% {source} %>", context)


@pytest.mark.parametrize("source", NOT_JSON["jinja"])
def test_what_json_can_not_hold_in_jinja(expressions: Expressions, source: str) -> None:
    with pytest.raises(JinjaEvaluationException, match="JSON|too|deeper"):
        expressions.evaluate(f"{{{{ {source} }}}}", DataContext({"big": 1e308}))


INTEGERS = {
    "yaql": [
        "pow(10, 5000)",
        "pow(7, pow(7, 30))",
        "pow(-2, 20000)",
        "pow(pow(3, 3000), pow(3, 3000), pow(5, 2000) + 1)",
        "shiftBitsLeft(1, 20000)",
        "shiftBitsLeft(1, 1000000000000)",
        "$.long * $.long * $.long",
        "range(1, 100000).aggregate($1 * $2)",
        "range(1, 100000).aggregate($1 * $2, 1).toString()",
        "int('9' * 4000)",
        "int('9' * 100000)",
        "float('9' * 100000)",
        "round(1, -1000000000)",
        "round(1, 1000000000)",
        "-$.long * $.long * $.long",
        "json_parse('9' * 4000) + 1",
    ],
    "jinja": [
        "10 ** 5000",
        "7 ** (7 ** 30)",
        "(-2) ** 20000",
        "_.long * _.long * _.long",
        "('9' * 4000) | int",
        "('f' * 1000000) | int(base=16)",
        "1 | round(-1000000000)",
        "1 | round(1000000000, 'ceil')",
        "0x" + "f" * 5000,
        "[_.long, _.long, _.long] | sum * _.long * _.long",
        "(1).to_bytes(1000000000)",
    ],
}


@pytest.mark.parametrize("source", INTEGERS["yaql"])
def test_integers_in_yaql(expressions: Expressions, source: str) -> None:
    with pytest.raises(YaqlEvaluationException):
        expressions.evaluate(f"<% {source} %>", DataContext({"long": 7**1500}))


@pytest.mark.parametrize("source", INTEGERS["jinja"])
def test_integers_in_jinja(expressions: Expressions, source: str) -> None:
    with pytest.raises(JinjaEvaluationException):
        expressions.evaluate(f"{{{{ {source} }}}}", DataContext({"long": 7**1500}))


def test_long_integers_pass_through(expressions: Expressions) -> None:
    """Only what is computed is limited to the shorter length."""
    context = DataContext({"long": 10**4000})
    for text in ("<% $.long %>", "<% [$.long] %>", "{{ _.long }}", "{{ [_.long] }}"):
        assert str(10**4000) in str(expressions.evaluate(text, context))


WIDE = "'x' * 1000000"
DOUBLED = "{% set a = [1, 2] %}" + "{% set a = [a, a] %}" * 40
MEMORY = [
    f"<% ([{WIDE}] * 2000).join('') %>",
    f"<% ''.join([{WIDE}] * 2000) %>",
    f"<% range(2000).select({WIDE}) %>",
    f"<% let(a => {WIDE}) -> range(2000).select($a) %>",
    f"<% let(a => {WIDE}) -> [{', '.join(['$a'] * 2000)}] %>",
    f"<% let(a => {WIDE}) -> str([{', '.join(['$a'] * 200)}]) %>",
    f"<% let(a => {WIDE}) -> {' + '.join(['$a'] * 200)} %>",
    f"<% let({', '.join([WIDE] * 200)}) -> 1 %>",
    f"<% range(2000).select({WIDE}).sum() %>",
    f"<% range(2000).select({WIDE}).sum('') %>",
    f"<% range(2000).aggregate($1 + ({WIDE}), '') %>",
    f"<% ({WIDE}).replace(x, {WIDE}) %>",
    f"<% ({WIDE}).replace('', {WIDE}) %>",
    f"<% ({WIDE}).replace({{x => ({WIDE})}}) %>",
    "<% [1] * 100000000 %>",
    "<% [1] * 1000000000000 %>",
    "<% 'x' * 1000000000000 %>",
    "<% range(1000000).select([$, $]).toList() %>",
    "<% range(100000).toList() * 100 %>",
    "<% range(1000000).toDict($) %>",
    "<% range(100000).select(range(100000).toList()) %>",
    "<% $.l.flatten().len() %>",
    "<% repeat(1).toList() %>",
    "<% [1].cycle().toList() %>",
    "<% let(range(1000000).unpack()) -> 1 %>",
    "<% range(1000000).unpack() -> 1 %>",
    "<% [1] * -1 + [2] * 10000000 %>",
    "<% ('a,' * 8000000).split(',') %>",
    "<% ('a ' * 8000000).split() %>",
    "<% ('a' * 8000000).toCharArray() %>",
    "<% ('é' * 8000000).toUpper() %>",
    "<% ('ab' * 100000).lastIndexOf('b' + 'ab' * 50000) %>",
    "<% ('ab' * 100000).rightSplit('b' + 'ab' * 50000) %>",
    "<% json_parse('[' + '[],' * 1000000 + '1]') %>",
    "<% " + "let(a => [1, 2]) -> " + "let(a => [$a, $a]) -> " * 40 + "$a %>",
    "<% " + "let(a => [1, 2]) -> " + "let(a => [$a, $a]) -> " * 40 + "str($a) %>",
    "<% " + "let(a => {b => 1}) -> " + "let(a => {b => $a, c => $a}) -> " * 40 + "$a = 1 %>",
    "<% datetime(2020, 1, 1).format('%c' * 1000000) %>",
    f"{{{{ ([{WIDE}] * 2000) | join }}}}",
    f"{{{{ ''.join([{WIDE}] * 2000) }}}}",
    f"{{{{ [{WIDE}] * 2000 }}}}",
    f"{{% set a = {WIDE} %}}{{{{ [{', '.join('a' * 200)}] }}}}",
    f"{{% set a = {WIDE} %}}{{{{ {' ~ '.join('a' * 200)} }}}}",
    f"{{% set a = {WIDE} %}}{{{{ {' + '.join('a' * 200)} }}}}",
    f"{{% set a = {WIDE} %}}{{% set b %}}{{% for x in range(2000) %}}{{{{ a }}}}{{% endfor %}}"
    "{% endset %}{{ b | length }}",
    f"{{% set a = {WIDE} %}}{{% macro m() %}}{'{{ a }}' * 200}{{% endmacro %}}"
    "{{ m() | length }}",
    f"{{{{ [[{WIDE}]] | batch(1000000, {WIDE}) | list }}}}",
    "{{ [1] | batch(1000000000, 2) | list }}",
    "{{ [1] | slice(1000000000) | list }}",
    f"{{{{ [{WIDE}, {WIDE}] | sum(start='') }}}}" * 20,
    "{{ [[1] * 100000] * 100 | sum(start=[]) }}",
    f"{{{{ ({WIDE}) | replace('x', {WIDE}) }}}}",
    f"{{{{ ({WIDE}).replace('x', {WIDE}) }}}}",
    f"{{{{ ({WIDE}).replace('', {WIDE}) }}}}",
    f"{{{{ ('{{0}}' * 2000).format({WIDE}) }}}}",
    f"{{{{ ('%s' * 2000) % ((({WIDE}),) * 2000) }}}}",
    f"{{{{ ('%(a)s' * 2000) % {{'a': {WIDE}}} }}}}",
    f"{{{{ ('%(a)s' * 2000) | format(a={WIDE}) }}}}",
    "{{ ('x\\n' * 100000) | indent(100000) }}",
    "{{ 'x'.ljust(1000000000) }}",
    "{{ 'x'.zfill(1000000000) }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ ('\\t' * 100000).expandtabs(100000) }}",
    "{{ ('<' * 8000000) | e }}",
    "{{ ('x ' * 1000000) | wordwrap(1, wrapstring='x' * 1000) }}",
    "{{ ('<a>' * 100000) | striptags }}",
    "{{ ('a' * 100000) | urlize }}",
    "{{ ('é' * 8000000) | upper }}",
    "{{ 'x'.translate({120: 'y' * 1000000}) }}",
    "{{ {}.fromkeys(range(100000)) }}",
    "{{ ('x' * 8000000) | list }}",
    "{{ ('a,' * 8000000).split(',') }}",
    "{{ ('ab' * 100000).rfind('b' + 'ab' * 50000) }}",
    "{{ ('a' * 1000000).strip('b' * 1000000 + 'a') }}",
    DOUBLED + "{{ a }}",
    DOUBLED + "{{ a == a[0] }}",
    DOUBLED + "{{ a | tojson }}",
    DOUBLED + "{{ a | pprint | length }}",
    "{% set ns = namespace(a=[1]) %}{% for i in range(60) %}"
    "{% set ns.a = ns.a + ns.a %}{% endfor %}",
    "{% set ns = namespace(a={'b': 1}) %}{% for i in range(60) %}"
    "{% set ns.a = dict(b=ns.a, c=ns.a) %}{% endfor %}{{ ns.a }}",
]


@pytest.mark.parametrize("text", MEMORY)
def test_memory_is_counted_before(expressions: Expressions, text: str) -> None:
    started = time.thread_time()
    with pytest.raises(EvaluationException):
        expressions.evaluate(text, DataContext({"l": [[0] * 1000] * 1100}))
    assert time.thread_time() - started < 3


def test_many_comparisons_and_long_formats_take_no_time(expressions: Expressions) -> None:
    """Found by the fuzzer."""
    rows = [{"x": n, "y": n} for n in range(5000)]
    context = DataContext({"rows": rows, "map": {f"k{n}": n for n in range(20_000)}})
    started = time.thread_time()
    for text in (
        "<% $.rows.contains($.map) %>",
        "<% $.map in $.rows %>",
        "<% $.rows.indexOf($.map) %>",
        "<% $.rows.select({x => $.x}).contains($.map) %>",
        "{{ _.map | format(1) }}",
        "{{ ('{:' * 50000).format(1) }}",
        "{{ ('%(' * 50000) % 1 }}",
    ):
        with contextlib.suppress(EvaluationException):
            expressions.evaluate(text, context)
    assert time.thread_time() - started < 5


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
        ("<% $.n.a %>", "null has no attribute 'a'"),
        ("<% $.secret.status %>", "a text has no attribute 'status'"),
        ("<% $.a.b.c %>", "a number has no attribute 'b'"),
        ("<% $.a + $.secret %>", "the operator '+' does not take values of these types"),
        ("<% -$.secret %>", "the operator '-' does not take"),
        ("<% $.a[0] %>", "has no elements"),
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
