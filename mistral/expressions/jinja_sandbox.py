"""Jinja's environment: sandboxed, strict about undefined names, within a budget.

Templates see data they may not change, no private attributes, and no more time, elements and
memory than the operator allows: loops and calls look at the clock, operations that multiply the
size of a text are checked before they run.
"""

from __future__ import annotations

import json as python_json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from mistral.expressions.budget import Evaluation
from mistral.expressions.functions import ANSWERS_JSON, Function
from mistral.expressions.plain import to_plain
from mistral.utils import json

#: not an identifier, so that no template can name it
EVALUATION = "the evaluation"

_LIMITED = "limited loop"
_SIZED = "sized text"
#: widths of seven digits, and widths that come from elsewhere
_WIDE = re.compile(r"\d{7,}|%[-+ #0]*\*|\.\*|[:!][^{}]*\{")
_MAX_INDENT = 16
_NUMERIC_FILTERS = ("center", "indent", "batch", "slice", "wordwrap", "truncate")


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

    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(self, functions: Mapping[str, Function]) -> None:
        super().__init__(
            undefined=Undefined,
            optimized=False,  # constants are folded at compile time, outside any budget
            trim_blocks=True,
            lstrip_blocks=True,
            cache_size=0,
        )
        del self.globals["lipsum"]
        self.policies["json.dumps_function"] = _json_text
        for name in _NUMERIC_FILTERS:
            self.filters[name] = _guarded_filter(self.filters[name])
        self.filters["format"] = _format
        self.filters[_LIMITED] = _limited
        self.filters[_SIZED] = _sized
        for name, function in functions.items():
            self.globals[name] = self.filters[name] = _adapt(function)

    def budgeted(self, template: nodes.Template) -> nodes.Template:
        """Put the checks into a parsed template."""
        return _Budgeting().visit(template)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Calls look at the clock; methods of texts at what they would produce."""
        evaluation = _evaluation(context)
        evaluation.check_time()
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps str.format
        text = getattr(method, "__self__", None)
        if isinstance(text, str):
            _check_method(evaluation, method.__name__, text, args)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Operators that can multiply the size of a value."""
        _check_operands(_evaluation(context), operator, left, right)
        return super().call_binop(context, operator, left, right)


class _Budgeting(NodeTransformer):
    """Wraps what loops walk over and what ``~`` glues together."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        node = self.generic_visit(node)  # type: ignore[assignment]
        node.iter = _filter(node.iter, _LIMITED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        return _filter(self.generic_visit(node), _SIZED)


def _json_text(value: Any, sort_keys: bool = True, indent: int | str | None = None) -> str:
    """What ``tojson`` writes: the layout of Python's encoder, over lazy mappings, too."""
    if isinstance(indent, str):
        indent = indent[:_MAX_INDENT]
    elif indent is not None:
        indent = min(indent, _MAX_INDENT)
    return python_json.dumps(json.loads(json.dumps(value)), sort_keys=sort_keys, indent=indent)


def _filter(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _evaluation(context: Context) -> Evaluation:
    evaluation: Evaluation = context.parent[EVALUATION]
    return evaluation


@jinja2.pass_context
def _limited(context: Context, items: Iterable[Any]) -> Iterator[Any]:
    evaluation = _evaluation(context)
    for count, item in enumerate(items, 1):
        evaluation.check_elements(count)
        evaluation.check_time()
        yield item


@jinja2.pass_context
def _sized(context: Context, text: str) -> str:
    _evaluation(context).check_bytes(len(text))
    return text


@jinja2.pass_context
def _format(context: Context, text: Any, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TypeError("format takes positional or keyword arguments, not both")
    _check_format(_evaluation(context), str(text))
    return str(text) % (kwargs or args)


def _adapt(function: Function) -> Callable[..., Any]:
    """A function as Jinja calls it, as a global or as a filter."""
    is_json = function in ANSWERS_JSON

    @jinja2.pass_context
    def adapter(context: Context, *args: Any, **kwargs: Any) -> Any:
        evaluation = _evaluation(context)
        result = function(
            evaluation.context,
            *(to_plain(arg, evaluation) for arg in args),
            **{name: to_plain(arg, evaluation) for name, arg in kwargs.items()},
        )
        return result if is_json else to_plain(result, evaluation)

    return adapter


def _guarded_filter(original: Callable[..., Any]) -> Callable[..., Any]:
    """A library filter whose numbers are checked: it would build texts as wide as told.

    Flags that tell Jinja what else to hand over are carried by the original's attributes.
    """

    def guarded(*args: Any, **kwargs: Any) -> Any:
        for value in (*args, *kwargs.values()):
            if isinstance(value, int) and abs(value) > 1_000_000:
                raise ValueError("the number is too large")
        return original(*args, **kwargs)

    guarded.__dict__.update(original.__dict__)
    return guarded


def _check_operands(evaluation: Evaluation, operator: str, left: Any, right: Any) -> None:
    if operator == "*":
        for one, other in ((left, right), (right, left)):
            if isinstance(one, int) and isinstance(other, (str, list, tuple)):
                evaluation.check_bytes(one * len(other))
    elif operator == "+" and isinstance(left, str) and isinstance(right, str):
        evaluation.check_bytes(len(left) + len(right))
    elif operator == "**" and isinstance(left, int) and isinstance(right, int):
        evaluation.check_bytes(left.bit_length() * right // 8)
    elif operator == "%" and isinstance(left, str):
        _check_format(evaluation, left)


def _check_format(evaluation: Evaluation, text: str) -> None:
    if _WIDE.search(text):
        evaluation.check_bytes(float("inf"))


def _check_method(evaluation: Evaluation, method: str, text: str, args: tuple[Any, ...]) -> None:
    if method in ("format", "format_map"):
        _check_format(evaluation, text)
    elif method == "replace" and len(args) >= 2 and isinstance(args[1], str):
        evaluation.check_bytes(text.count(str(args[0])) * len(args[1]))
    elif method in ("center", "ljust", "rjust", "zfill", "expandtabs"):
        for arg in args:
            if isinstance(arg, int):
                evaluation.check_bytes(arg)
