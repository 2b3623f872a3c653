"""YAQL's functions for regular expressions, by :mod:`mistral.expressions.patterns`.

They take the place of the library's, with the same names, parameters and results.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from yaql.language import contexts, specs, yaqltypes
from yaql.language import expressions as ast

from mistral.expressions.budget import Evaluation
from mistral.expressions.options import ExpressionOptions
from mistral.expressions.patterns import Flags, Pattern, PatternError

_GROUP = re.compile(r"\\(\d{1,2})|\\g<(\w+)>|\\(.)", re.S)
_CONTROL = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a", "\\": "\\"}


def register(context: contexts.Context) -> None:
    """Register all of them."""
    for function in (
        _regex,
        _matches,
        _text_matches,
        _search,
        _search_all,
        _split,
        _text_split,
        _replace,
        _text_replace,
        _replace_by,
        _text_replace_by,
        _is_regex,
    ):
        context.register_function(function)
    for name, wanted in (("#operator_=~", True), ("#operator_!~", False)):
        context.register_function(_operator(wanted, str), name=name)
        context.register_function(_operator(wanted, Pattern), name=name)


def _evaluation(context: Any) -> Evaluation:
    evaluation: Evaluation = context.evaluation
    return evaluation


@specs.parameter("pattern", yaqltypes.String())
@specs.name("regex")
def _regex(
    context: Any,
    pattern: str,
    ignore_case: bool = False,
    multi_line: bool = False,
    dot_all: bool = False,
) -> Pattern:
    flags = Flags(ignore_case, multi_line, dot_all)
    return Pattern(pattern, _evaluation(context).options, flags)


@specs.parameter("regexp", Pattern)
@specs.parameter("string", yaqltypes.String())
@specs.method
@specs.name("matches")
def _matches(context: Any, regexp: Pattern, string: str) -> bool:
    return regexp.search(_evaluation(context), string) is not None


@specs.parameter("string", yaqltypes.String())
@specs.parameter("regexp", yaqltypes.String())
@specs.method
@specs.name("matches")
def _text_matches(context: Any, string: str, regexp: str) -> bool:
    evaluation = _evaluation(context)
    return Pattern(regexp, evaluation.options).search(evaluation, string) is not None


def _operator(wanted: bool, kind: type) -> Callable[..., bool]:
    @specs.parameter("regexp", yaqltypes.String() if kind is str else kind)
    @specs.parameter("string", yaqltypes.String())
    def match(context: Any, string: str, regexp: Any) -> bool:
        evaluation = _evaluation(context)
        pattern = Pattern(regexp, evaluation.options) if isinstance(regexp, str) else regexp
        return (pattern.search(evaluation, string) is not None) is wanted

    return match


def _publish(context: Any, match: Any) -> None:
    """``$`` and ``$1`` are the whole match, ``$2`` and so on the groups, ``$name`` a named one."""
    names = {number: name for name, number in match.re.groupindex.items()}
    for number in range(match.re.groups + 1):
        record = {
            "value": match.group(number),
            "start": match.start(number),
            "end": match.end(number),
        }
        context[f"${number + 1}"] = record
        if number in names:
            context[f"${names[number]}"] = record


@specs.parameter("regexp", Pattern)
@specs.parameter("string", yaqltypes.String())
@specs.parameter("selector", yaqltypes.Lambda(with_context=True))
@specs.method
@specs.name("search")
def _search(context: Any, regexp: Pattern, string: str, selector: Any = None) -> Any:
    match = regexp.search(_evaluation(context), string)
    if match is None:
        return None
    return _selected(context, match, selector)


def _selected(context: Any, match: Any, selector: Any) -> Any:
    if selector is None:
        return match.group()
    inner = context.create_child_context()
    _publish(inner, match)
    return selector(inner)


@specs.parameter("regexp", Pattern)
@specs.parameter("string", yaqltypes.String())
@specs.parameter("selector", yaqltypes.Lambda(with_context=True))
@specs.method
@specs.name("searchAll")
def _search_all(context: Any, regexp: Pattern, string: str, selector: Any = None) -> Iterator[Any]:
    for match in regexp.matches(_evaluation(context), string):
        yield _selected(context, match, selector)


@specs.parameter("regexp", Pattern)
@specs.parameter("string", yaqltypes.String())
@specs.parameter("max_split", int)
@specs.method
@specs.name("split")
def _split(context: Any, regexp: Pattern, string: str, max_split: int = 0) -> Any:
    return regexp.split(_evaluation(context), string, max_split)


@specs.parameter("string", yaqltypes.String())
@specs.parameter("regexp", Pattern)
@specs.parameter("max_split", int)
@specs.method
@specs.name("split")
def _text_split(context: Any, string: str, regexp: Pattern, max_split: int = 0) -> Any:
    return regexp.split(_evaluation(context), string, max_split)


@specs.parameter("regexp", Pattern)
@specs.parameter("string", yaqltypes.String())
@specs.parameter("repl", yaqltypes.String())
@specs.parameter("count", int)
@specs.method
@specs.name("replace")
def _replace(context: Any, regexp: Pattern, string: str, repl: str, count: int = 0) -> str:
    return regexp.replace(_evaluation(context), string, lambda match: _filled(repl, match), count)


@specs.parameter("string", yaqltypes.String())
@specs.parameter("regexp", Pattern)
@specs.parameter("repl", yaqltypes.String())
@specs.parameter("count", int)
@specs.method
@specs.name("replace")
def _text_replace(context: Any, string: str, regexp: Pattern, repl: str, count: int = 0) -> str:
    return _replace(context, regexp, string, repl, count)


@specs.parameter("regexp", Pattern)
@specs.parameter("string", yaqltypes.String())
@specs.parameter("repl", yaqltypes.Lambda(with_context=True))
@specs.parameter("count", int)
@specs.method
@specs.name("replaceBy")
def _replace_by(context: Any, regexp: Pattern, string: str, repl: Any, count: int = 0) -> str:
    return regexp.replace(
        _evaluation(context), string, lambda match: _text(_selected(context, match, repl)), count
    )


@specs.parameter("string", yaqltypes.String())
@specs.parameter("regexp", Pattern)
@specs.parameter("repl", yaqltypes.Lambda(with_context=True))
@specs.parameter("count", int)
@specs.method
@specs.name("replaceBy")
def _text_replace_by(context: Any, string: str, regexp: Pattern, repl: Any, count: int = 0) -> str:
    return _replace_by(context, regexp, string, repl, count)


@specs.name("isRegex")
def _is_regex(value: Any) -> bool:
    return isinstance(value, Pattern)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("replaceBy() needs an expression that gives a text")
    return value


def _filled(template: str, match: Any) -> str:
    """A replacement, in which groups are named as Python names them."""
    if "\\" not in template:
        return template

    def part(found: re.Match[str]) -> str:
        number, name, char = found.groups()
        if char is not None:
            if char.isalpha() and char not in _CONTROL:
                raise PatternError("an unknown escape in a replacement")
            return _CONTROL.get(char, "\\" + char)
        key: Any = number or name
        try:
            return match.group(int(key) if key.isdigit() else key) or ""
        except IndexError:
            raise PatternError("a replacement names a group that is not there") from None

    return _GROUP.sub(part, template)


def check_literals(expression: Any, options: ExpressionOptions) -> None:
    """Raise for a pattern that stands in an expression and can't be used."""
    pending = [expression]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Wrap):
            pending.append(node.expr)
        elif isinstance(node, ast.MappingRuleExpression):
            pending += (node.source, node.destination)
        elif isinstance(node, ast.Function):
            pending += node.args
            pattern = _literal(node)
            if pattern is not None:
                Pattern(pattern, options)


def _literal(node: ast.Function) -> str | None:
    """The pattern of a call, when it is a text."""
    place: Any = None
    if node.name == "regex" and node.args:
        place = node.args[0]
    elif isinstance(node, ast.BinaryOperator) and node.operator in ("=~", "!~"):
        place = node.args[1]
    elif isinstance(node, ast.BinaryOperator) and node.operator in (".", "?."):
        receiver, member = node.args
        is_call = isinstance(member, ast.Function) and member.name == "matches" and member.args
        if is_call and _is_data(receiver):
            place = member.args[0]
    is_text = isinstance(place, ast.Constant) and isinstance(place.value, str)
    return place.value if is_text else None


def _is_data(node: Any) -> bool:
    """Whether a receiver is no compiled pattern, which takes the text instead."""
    while isinstance(node, ast.BinaryOperator) and node.operator == ".":
        if not isinstance(node.args[1], ast.KeywordConstant):
            return False
        node = node.args[0]
    if isinstance(node, ast.GetContextValue):
        return bool(node.path.value == "$")
    return isinstance(node, ast.Constant)
