"""Regular expressions: Python's answers, in linear time, and what can't be used is refused."""

from __future__ import annotations

import time
import warnings
from typing import Any

import pytest
import yaql

from mistral.exceptions import YaqlEvaluationException, YaqlGrammarException
from mistral.expressions import DataContext, Expressions

ENGINE = yaql.YaqlFactory().create(options={"yaql.convertSetsToLists": True})
LIBRARY = yaql.create_context()


@pytest.mark.parametrize(
    "source",
    [
        "regex('a.c').matches(abc)",
        "regex('a.c').matches(ab)",
        "abc.matches('a.c')",
        "abc =~ 'a.c'",
        "abc !~ 'a.c'",
        "abc =~ regex('A.c', ignoreCase => true)",
        "abc !~ regex('A.c')",
        "regex('a.c').search(abcabc)",
        "regex('a.c').search(x)",
        "regex('a.c').search(cabc, $)",
        "regex('a.c').search(cabc, $.start)",
        "regex('(a)(.)').search(xab, [$, $1, $2, $3])",
        "regex('(a)|b').search(b, [$, $2])",
        "regex('a.c').searchAll(abcadc)",
        "regex('a.c').searchAll(abcadc, $)",
        "regex('a.').split(abcadc)",
        "regex('a.').split(abcadc, maxSplit => 1)",
        "regex('a.').split(abcadc, -1)",
        "abcadc.split(regex('a.'))",
        "regex('(a).').split(abcadc)",
        "regex('(a)|b').split('xay')",
        "regex('').split('ab')",
        "regex('a.').replace(abcadc, xx)",
        "regex('a.').replace(abcadc, xx, 1)",
        "abcadc.replace(regex('a.'), xx)",
        "regex('a(.)').replace(abcadc, '<\\\\1>')",
        "regex('a(?P<n>.)').replace(abcadc, '<\\\\g<n>>\\\\n\\\\\\\\')",
        "regex('a.').replace(abcadc, '\\\\9')",
        "regex('x*').replace('axb', '-')",
        "regex('a.c').replaceBy(abcadc, x)",
        "abcadc.replaceBy(regex('a.c'), x)",
        "escapeRegex('a. b')",
        "isRegex(regex(a))",
        "isRegex(a)",
        "regex(a).matches(1)",
        "'ok\\n' =~ 'ok$'",
        "'ok\\nb\\n' =~ 'ok$'",
        "'ok\\n' =~ 'ok\\n$'",
        "regex('a$').replace('a\\n', b)",
        "regex('^b', multiLine => true).matches('a\\nb')",
        "regex('a$', multiLine => true).matches('a\\nb')",
        "regex('a.b', dotAll => true).matches('a\\nb')",
        "regex('a.b').matches('a\\nb')",
        "regex('\\\\Z').search(a)",
        "regex('(?i)A').matches(a)",
        "'Jörg' =~ '^\\\\w+$'",
        "'a b' =~ '^\\\\S+$'",
        "regex('\\\\d+').searchAll('a1b22')",
        "regex('[\\\\w-]+').search('a-ä')",
        "regex('[^\\\\d]+').search('1ab')",
        "regex('\\\\u00e9').matches('é')",
        "regex('a{,2}').search(aaaa)",
        "regex('[]a]+').search('x]a')",
        "regex('[^]a]+').search(']axy')",
        "regex('[[a]+').search('x[a')",
        "regex('a|ab').search(ab)",
        "regex('\\\\.').split('a.b')",
    ],
)
def test_python_answers(expressions: Expressions, source: str) -> None:
    assert ours(expressions, source) == theirs(source)


def theirs(source: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ENGINE(source).evaluate(data={}, context=LIBRARY.create_child_context())
        except Exception:  # noqa: BLE001 - any failure is an answer here
            return "<failed>"


def ours(expressions: Expressions, source: str, **data: str) -> Any:
    try:
        return expressions.evaluate(f"<% {source} %>", DataContext(data))
    except YaqlEvaluationException:
        return "<failed>"


UNKNOWN = [
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?<!a)",
    "(a)\\\\1",
    "(?P<n>a)(?P=n)",
    "(?>a)",
    "(?(1)a|b)",
    "a{2000}",
    "(?:a{1000}){1000}",
    "(",
    "\\\\N{DIGIT ONE}",
]
FORMS = [
    "regex('{}').matches($.x)",
    "$.x =~ '{}'",
    "$.x !~ '{}'",
    "$.x.matches('{}')",
    "[{{a => $.x.y.matches('{}')}}]",
    "$.l.where($ =~ '{}')",
    "switch(true => regex('{}').split($.x))",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pattern", UNKNOWN)
def test_what_can_not_be_used_is_refused_at_creation(
    expressions: Expressions, form: str, pattern: str
) -> None:
    with pytest.raises(YaqlGrammarException, match="regular expression can't be used"):
        expressions.validate(f"x <% {form.format(pattern)} %>")


def test_texts_are_no_patterns(expressions: Expressions) -> None:
    expressions.validate("<% regex(a).matches('(') %>")
    expressions.validate("<% let(r => regex(a)) -> $r.matches('(') %>")


@pytest.mark.parametrize("pattern", ["(?=hunter2)", "(hunter2)\\1", "hunter2(", "(?P<hunter2"])
def test_a_pattern_of_the_data_fails_when_it_is_used(
    expressions: Expressions, pattern: str
) -> None:
    context = DataContext({"p": pattern})
    for form in ("regex($.p).matches(a)", "a =~ $.p", "a.matches($.p)", "a.replace(regex($.p), b)"):
        with pytest.raises(YaqlEvaluationException, match="can't be used") as caught:
            expressions.evaluate(f"<% {form} %>", context)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        "regex('(a+)+$').matches($.a)",
        "$.a =~ '^(a|a)*$'",
        "$.a !~ '(.*)(.*)(.*)(.*)c'",
        "regex('(x+x+)+y').search($.x)",
        "$.a.matches('(?:a?){500}b')",
        "regex('(a*)*b').replace($.a, c).len()",
        "regex('(a*)*b').replaceBy($.a, c).len()",
        "regex('b.*c|b').searchAll($.b).len()",
        "regex('b.*c|b').split($.b).len()",
        "regex('(?:(a)|(b)|(c)|.)*').search($.a).len()",
        "$.a.split(regex('')).len()",
    ],
)
def test_time_is_linear(expressions: Expressions, source: str) -> None:
    started = time.thread_time()
    ours(expressions, source, a="a" * 100_000 + "b" * 100, x="x" * 100_000, b="b" * 100_000)
    assert time.thread_time() - started < 3
