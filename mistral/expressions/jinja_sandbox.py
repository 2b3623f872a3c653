"""Jinja's environment: sandboxed, strict about undefined names, within a budget.

Templates see data they may not change, no private attributes, and no more time, elements and
memory than the operator allows: loops, calls, filters and operators look at the clock and measure
what they build; a literal list counts what it puts together.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import BlockReference, Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, missing
from jinja2.visitor import NodeTransformer

from mistral.expressions import jinja_methods, measures
from mistral.expressions.budget import BudgetExceededError, Evaluation, or_infinite
from mistral.expressions.functions import ANSWERS_LAZILY, Function, answers_json
from mistral.expressions.jinja_filters import evaluation_of, guarded, json_text
from mistral.expressions.options import ExpressionOptions
from mistral.expressions.plain import to_plain

_LIMITED = "limited loop"
_GLUED = "glued text"
_BUILT = "built container"
#: what the template itself has made, or was made of it
_OWN = (Macro, BlockReference, LoopContext, Joiner, jinja2.Undefined)
#: what Jinja hands through to functions that take the context
_JINJAS = ("_loop_vars", "_block_vars")
_TEXTS = (str, bytes)
#: tuples and mappings that Jinja makes of the arguments of macros
_GATHERED = ("varargs", "kwargs")


class Undefined(jinja2.StrictUndefined):
    """Any use raises, with a text that names only what the template wrote."""

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        if self._undefined_obj is missing:
            return f"{self._undefined_name!r} is undefined"
        return f"there is no attribute {self._undefined_name!r}"


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment that all expressions share."""

    intercepted_binops = frozenset({"*", "**", "%", "+", "-", "//", "/"})

    def __init__(self, functions: Mapping[str, Function], options: ExpressionOptions) -> None:
        super().__init__(
            undefined=Undefined,
            optimized=False,  # constants are folded at compile time, outside any budget
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
            finalize=_shown,
        )
        del self.globals["lipsum"]
        self.policies["json.dumps_function"] = functools.partial(json_text, options)
        self.concat = _concat(or_infinite(options.memory_quota))  # type: ignore[method-assign]
        for name, original in self.filters.items():
            self.filters[name] = guarded(name, original)
        self.filters[_LIMITED] = _limited
        self.filters[_GLUED] = _glued
        self.filters[_BUILT] = _built
        self.globals["dict"] = _dict
        for name, function in functions.items():
            self.globals[name] = self.filters[name] = _adapt(function)
        self._open = frozenset(self.globals.values())
        self._lazy = frozenset(
            self.globals[name] for name, function in functions.items() if function in ANSWERS_LAZILY
        )

    def budgeted(self, template: nodes.Template) -> nodes.Template:
        """Put the checks into a parsed template."""
        return _Budgeting().visit(template)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls look at the clock; methods of values at what they would build."""
        evaluation = evaluation_of(context)
        evaluation.check_time()
        self._check_call(evaluation, obj, args, kwargs)
        result = super().call(context, obj, *args, **kwargs)
        if isinstance(obj, FunctionType) and obj in self._lazy:
            return result
        if isinstance(result, Cycler):
            evaluation.built(result.items)
        return evaluation.returned(result)

    def _check_call(self, evaluation: Evaluation, obj: Any, args: Any, kwargs: Any) -> None:
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps str.format
        if isinstance(method, (BuiltinFunctionType, MethodType)):
            owner = method.__self__
            if not isinstance(owner, (LoopContext, Cycler)):
                given = {name: value for name, value in kwargs.items() if name not in _JINJAS}
                jinja_methods.check(evaluation, owner, method.__name__, args, given)
            return
        is_open = isinstance(obj, (FunctionType, type)) and obj in self._open
        if not is_open and not isinstance(obj, _OWN):
            raise SecurityError("a value of this type can't be called")

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Operators measure what they would build."""
        evaluation = evaluation_of(context)
        _check_operands(evaluation, operator, left, right)
        return evaluation.built(super().call_binop(context, operator, left, right))


class _Budgeting(NodeTransformer):
    """Wraps what loops walk over, what ``~`` glues together, and what literals build."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        node = self.generic_visit(node)  # type: ignore[assignment]
        node.iter = _filter(node.iter, _LIMITED)
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Const:
        """Jinja writes numbers into Python code, where ``inf`` is a name."""
        if isinstance(node.value, float) and not math.isfinite(node.value):
            raise OverflowError("a number is too large")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        node = self.generic_visit(node)  # type: ignore[assignment]
        return _filter(nodes.List(node.nodes, lineno=node.lineno), _GLUED)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        """A slice is a copy."""
        is_slice = isinstance(node.arg, nodes.Slice)
        node = self.generic_visit(node)  # type: ignore[assignment]
        return _filter(node, _BUILT) if is_slice else node

    def visit_Name(self, node: nodes.Name) -> nodes.Expr:
        is_gathered = node.name in _GATHERED and node.ctx == "load"
        return _filter(node, _BUILT) if is_gathered else node

    def visit_List(self, node: nodes.List) -> nodes.Expr:
        return self._literal(node, node.items)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        return self._literal(node, node.items, node.ctx == "load")

    def visit_Dict(self, node: nodes.Dict) -> nodes.Expr:
        return self._literal(node, [pair.value for pair in node.items])

    def _literal(self, node: Any, parts: list[nodes.Expr], is_value: bool = True) -> nodes.Expr:
        """A literal of constants is no larger than its text."""
        is_constant = all(isinstance(part, nodes.Const) for part in parts)
        node = self.generic_visit(node)
        return node if is_constant or not is_value else _filter(node, _BUILT)


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


@jinja2.pass_context
def _shown(context: Context, value: Any) -> Any:
    """A value of which the output makes a text."""
    measures.as_text(evaluation_of(context), value)
    return value


@jinja2.pass_context
def _built(context: Context, value: Any) -> Any:
    return evaluation_of(context).built(value)


@jinja2.pass_context
def _dict(context: Context, pairs: Any = (), /, **named: Any) -> dict[Any, Any]:
    """Python's own takes all pairs at once, and has methods that change data."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return dict(evaluation_of(context).counted(iter(items)), **named)


@jinja2.pass_context
def _limited(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    evaluation = evaluation_of(context)
    for count, item in enumerate(items, 1):
        evaluation.check_elements(count)
        evaluation.check_time()
        yield item


@jinja2.pass_context
def _glued(context: Context, pieces: list[Any]) -> str:
    evaluation = evaluation_of(context)
    evaluation.check_bytes(sum(map(evaluation.size_of, pieces)))
    text = "".join(map(str, pieces))
    evaluation.charge(evaluation.size_of(text))
    return text


def _concat(limit: float) -> Callable[[Iterable[str]], str]:
    """What puts the output of blocks and macros together; it is not told for whom."""

    def concat(pieces: Iterable[str]) -> str:
        found = list(pieces)
        if sum(map(sys.getsizeof, found)) > limit + sys.getsizeof("") * len(found):
            raise BudgetExceededError(
                f"the expression needs too much memory: [yaql] memory_quota = {limit} bytes"
            )
        return "".join(found)

    return concat


def _adapt(function: Function) -> Callable[..., Any]:
    """A function as Jinja calls it, as a global or as a filter."""
    is_json = answers_json(function)

    @jinja2.pass_context
    def adapter(context: Context, *args: Any, **kwargs: Any) -> Any:
        evaluation = evaluation_of(context)
        result = function(
            evaluation.context,
            *(to_plain(arg, evaluation) for arg in args),
            **{name: to_plain(arg, evaluation) for name, arg in kwargs.items()},
        )
        return result if is_json else to_plain(result, evaluation)

    return adapter


def _check_operands(evaluation: Evaluation, operator: str, left: Any, right: Any) -> None:
    if operator == "*":
        measures.product(evaluation, left, right)
        for times, value in ((left, right), (right, left)):
            if isinstance(times, int) and isinstance(value, _TEXTS):
                measures.repeated_text(evaluation, value, times)
            elif isinstance(times, int) and isinstance(value, (list, tuple)):
                measures.repeated_list(evaluation, value, times)
    elif operator == "+" and isinstance(left, _TEXTS) and isinstance(right, _TEXTS):
        evaluation.check_bytes(evaluation.size_of(left) + evaluation.size_of(right))
    elif operator == "+" and isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        evaluation.check_elements(len(left) + len(right))
    elif operator == "**":
        measures.power(evaluation, left, right)
    elif operator == "%" and isinstance(left, str):
        jinja_methods.formatted_by_percent(evaluation, left, right)
    elif operator == "%" and isinstance(left, bytes):
        raise TypeError("only texts can be formatted")
