"""The common subset of YAQL as closures.

Nearly all expressions in workflows are paths, comparisons and a little arithmetic. Here they are
compiled into Python closures that walk the data without converting it. The rule that keeps them
equal to YAQL: a closure answers only where its answer is certainly YAQL's. At compile time an
unknown form gives None; at run time any doubt or failure raises, and the caller asks YAQL, which
then also produces the error. Property tests hold both equal.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from yaql.language import expressions as ast

from mistral.expressions.base import Compiled
from mistral.expressions.budget import or_infinite
from mistral.expressions.context import DataContext
from mistral.expressions.functions import Function, answers_json
from mistral.expressions.options import ExpressionOptions
from mistral.expressions.plain import JSON_TYPES, json_shallow
from mistral.expressions.yaql_operators import (
    BINARY,
    LOOPS,
    METHODS,
    ORDINARY_FUNCTIONS,
    UNARY,
    Mapped,
    NotSimpleError,
    simple,
)

#: parts of the data that one expression may put together
_MAX_REFERENCES = 64
_MAX_LOOP_SECONDS = 0.25
#: length of what a loop may hold once for each element
_MAX_REPEATED = 100
_SIZED = (str, list, dict)
#: names of what a loop goes through, or of the data
_ELEMENT = ("", "1")


class _UnsupportedError(Exception):
    """The expression is outside the subset."""


def compile_fast(
    expression: Any, functions: Mapping[str, Function], options: ExpressionOptions
) -> Compiled | None:
    """A closure for a parsed expression, or None when YAQL has to do it."""
    try:
        inner = _Compiler(functions, options).compile(expression)
    except (_UnsupportedError, RecursionError):
        return None

    def run(context: DataContext) -> Any:
        value = inner(context)
        kind = type(value)
        if kind in JSON_TYPES:
            return value
        if kind is Mapped:
            return [json_shallow(item) for item in value]
        if isinstance(value, Mapping):
            return json_shallow(value)
        raise NotSimpleError(kind)

    return run


class _Compiler:
    """Walks YAQL's syntax tree."""

    def __init__(self, functions: Mapping[str, Function], options: ExpressionOptions) -> None:
        self._functions = functions
        self._limit = or_infinite(options.limit_iterators)
        self._loop_limit = min(or_infinite(options.time_limit) / 8, _MAX_LOOP_SECONDS)
        self._references = 0
        self._loops = 0
        self._forms: dict[type, Callable[[Any], Compiled]] = {
            ast.Wrap: lambda node: self.compile(node.expr),
            ast.Constant: self._constant,
            ast.KeywordConstant: self._constant,
            ast.GetContextValue: self._variable,
            ast.IndexExpression: self._index,
            ast.ListExpression: self._list,
            ast.MapExpression: self._map,
            ast.BinaryOperator: self._binary,
            ast.UnaryOperator: self._unary,
            ast.Function: self._function,
        }

    def compile(self, node: Any) -> Compiled:
        """A closure for one node."""
        form = self._forms.get(type(node))
        if form is None:
            raise _UnsupportedError(type(node))
        return form(node)

    def _constant(self, node: Any) -> Compiled:
        value = node.value
        if self._loops and type(value) is str and len(value) > _MAX_REPEATED:
            raise _UnsupportedError("a long text")
        if type(value) is float and not math.isfinite(value):
            raise _UnsupportedError("an infinite number")
        return lambda context: value

    def _variable(self, node: Any) -> Compiled:
        return self._repeated(node, self._data(node))

    def _data(self, node: Any) -> Compiled:
        """The data or a variable; what is built holds no part of them more than a few times."""
        self._references += 1
        if self._references > _MAX_REFERENCES:
            raise _UnsupportedError("too many parts")
        name = node.path.value[1:]
        if name in _ELEMENT:
            return lambda context: context.data
        return lambda context: context.variables.get(name)

    def _repeated(self, root: Any, inner: Compiled) -> Compiled:
        """In a loop, what does not come from the element comes each time: it must be small."""
        if not self._loops or root.path.value[1:] in _ELEMENT:
            return inner
        return lambda context: _small(inner(context))

    def _index(self, node: Any) -> Compiled:
        if len(node.args) != 2:
            raise _UnsupportedError(node.name)
        inner, index = self.compile(node.args[0]), self.compile(node.args[1])

        def run(context: DataContext) -> Any:
            value, key = inner(context), index(context)
            if type(value) is list and type(key) is int:
                return value[key]
            if isinstance(value, Mapping) and type(key) is str:
                return value[key]
            raise NotSimpleError(type(value))

        return run

    def _list(self, node: Any) -> Compiled:
        items = [self.compile(item) for item in node.args]
        return lambda context: [simple(item(context)) for item in items]

    def _map(self, node: Any) -> Compiled:
        pairs = []
        for rule in node.args:
            if not isinstance(rule, ast.MappingRuleExpression):
                raise _UnsupportedError(type(rule))
            pairs.append((self.compile(rule.source), self.compile(rule.destination)))

        def run(context: DataContext) -> Any:
            result = {}
            for source, destination in pairs:
                key = source(context)
                if type(key) is not str:
                    raise NotSimpleError(type(key))
                result[key] = simple(destination(context))
            return result

        return run

    def _unary(self, node: Any) -> Compiled:
        operation = UNARY.get(node.operator)
        if operation is None:
            raise _UnsupportedError(node.operator)
        apply, inner = operation, self.compile(node.args[0])
        return lambda context: apply(inner(context))

    def _binary(self, node: Any) -> Compiled:
        if node.operator in (".", "?."):
            return self._dot(node)
        left, right = self.compile(node.args[0]), self.compile(node.args[1])
        if node.operator == "and":
            return lambda context: simple(left(context)) and right(context)
        if node.operator == "or":
            return lambda context: simple(left(context)) or right(context)
        operation = BINARY.get(node.operator)
        if operation is None:
            raise _UnsupportedError(node.operator)
        apply, limit = operation, _MAX_REPEATED if self._loops else self._limit

        def run(context: DataContext) -> Any:
            result = apply(left(context), right(context))
            if type(result) in _SIZED and len(result) > limit:
                raise NotSimpleError("limit")
            return result

        return run

    def _dot(self, node: Any) -> Compiled:
        member = node.args[1]
        if type(member) is ast.KeywordConstant:
            return self._path(node)
        if type(member) is not ast.Function:
            raise _UnsupportedError(type(member))
        inner = self.compile(node.args[0])
        call = self._loop(member) if member.name in LOOPS else self._method(member)
        if node.operator == ".":
            return lambda context: call(inner(context), context)

        def run(context: DataContext) -> Any:
            value = inner(context)
            return None if value is None else call(value, context)

        return run

    def _path(self, node: Any) -> Compiled:
        """``$.a.b.c`` in one loop instead of three closures."""
        names: list[str] = []
        while (
            type(node) is ast.BinaryOperator
            and node.operator == "."
            and type(node.args[1]) is ast.KeywordConstant
        ):
            names.insert(0, node.args[1].value)
            node = node.args[0]
        if not names:
            return self._optional(node)
        is_data = type(node) is ast.GetContextValue
        root, limit = self._data(node) if is_data else self.compile(node), self._limit

        def run(context: DataContext) -> Any:
            value = root(context)
            for name in names:
                value = value[name] if type(value) is dict else _attribute(value, name, limit)
            return value

        return self._repeated(node, run) if is_data else run

    def _optional(self, node: Any) -> Compiled:
        root, name, limit = self.compile(node.args[0]), node.args[1].value, self._limit

        def run(context: DataContext) -> Any:
            value = root(context)
            return None if value is None else _attribute(value, name, limit)

        return run

    def _method(self, node: Any) -> Callable[[Any, DataContext], Any]:
        found = METHODS.get((node.name, len(node.args)))
        if found is None:
            raise _UnsupportedError(node.name)
        apply, args = found, [self.compile(arg) for arg in node.args]
        return lambda value, context: apply(value, *(arg(context) for arg in args))

    def _loop(self, node: Any) -> Callable[[Any, DataContext], Any]:
        """``select`` and its like: the argument is evaluated with each element as ``$``."""
        if len(node.args) != 1:
            raise _UnsupportedError(node.name)
        self._loops += 1
        body, finish, limit = self.compile(node.args[0]), LOOPS[node.name], self._limit
        self._loops -= 1

        def call(values: Any, context: DataContext) -> Any:
            if type(values) not in (list, Mapped) or len(values) > limit:
                raise NotSimpleError(type(values))
            deadline = time.monotonic() + self._loop_limit
            results = []
            for item in values:
                results.append(body(DataContext(item, context.facts, context.variables)))
                if time.monotonic() > deadline:
                    raise NotSimpleError("time")
            return finish(values, results)

        return call

    def _function(self, node: Any) -> Compiled:
        args = [self.compile(arg) for arg in node.args]
        if node.name in self._functions:
            return self._ours(self._functions[node.name], args)
        ordinary = ORDINARY_FUNCTIONS.get((node.name, len(args)))
        if ordinary is None:
            raise _UnsupportedError(node.name)
        apply, argument = ordinary, args[0]
        return lambda context: apply(argument(context))

    def _ours(self, function: Function, args: list[Compiled]) -> Compiled:
        if not answers_json(function) or self._loops:
            raise _UnsupportedError("a function with free results")
        parameters = list(inspect.signature(function).parameters.values())[1:]
        given, missing = parameters[: len(args)], parameters[len(args) :]
        if len(args) > len(given) or any(p.default is p.empty for p in missing):
            raise _UnsupportedError("wrong number of arguments")
        pairs = [(arg, _expected_type(p)) for arg, p in zip(args, given, strict=True)]

        def run(context: DataContext) -> Any:
            values = []
            for arg, expected in pairs:
                value = simple(arg(context))
                if expected is not None and value is not None and type(value) is not expected:
                    raise NotSimpleError(expected)
                values.append(value)
            return function(context, *values)

        return run


def _small(value: Any) -> Any:
    """What a loop may hold once for each element."""
    if type(value) in _SIZED and len(value) > (_MAX_REPEATED if type(value) is str else 0):
        raise NotSimpleError(type(value))
    return simple(value)


def _expected_type(parameter: inspect.Parameter) -> type | None:
    """YAQL takes the type of a parameter from its default."""
    default = parameter.default
    return None if default is None or default is parameter.empty else type(default)


def _attribute(value: Any, name: str, limit: float) -> Any:
    if isinstance(value, Mapping):
        return value[name]
    if type(value) is list or type(value) is Mapped:
        if len(value) > limit:
            raise NotSimpleError("limit")
        return Mapped(_member(item, name) for item in value)
    raise NotSimpleError(type(value))


def _member(item: Any, name: str) -> Any:
    if not isinstance(item, Mapping):
        raise NotSimpleError(type(item))
    return item[name]
