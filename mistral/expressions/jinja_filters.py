"""Jinja's filters within the budget.

Each filter is wrapped: it looks at the clock, what it yields does so, too, and what it returns is
counted. Those that could build much or compute long within one call are measured before
(:data:`BEFORE`), replaced (:data:`INSTEAD`), or take short texts only
(:data:`FILTER_LENGTHS`).
"""

from __future__ import annotations

import json as python_json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from types import MappingProxyType
from typing import Any

import jinja2
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context
from jinja2.utils import _PassArg

from mistral.expressions import jinja_methods, measures
from mistral.expressions.budget import BudgetExceededError, Evaluation
from mistral.expressions.functions import write_json
from mistral.expressions.options import FILTER_LENGTHS, ExpressionOptions
from mistral.utils import json

#: not an identifier, so that no template can name it
EVALUATION = "the evaluation"

_MAX_INDENT = 16
_ESCAPED = 6
#: what only hands on a part of what it was given
_PASSING = frozenset(
    {"attr", "d", "default", "first", "last", "length", "count", "max", "min", "random"}
)

Before = Callable[..., None]


def evaluation_of(context: Context) -> Evaluation:
    """The evaluation that a template runs in."""
    evaluation: Evaluation = context.parent[EVALUATION]
    return evaluation


def guarded(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of the library that keeps to the budget."""
    before, instead = BEFORE.get(name), INSTEAD.get(name)
    wants, is_short = _PassArg.from_obj(original), name in FILTER_LENGTHS

    def lead(context: Context) -> tuple[Any, ...]:
        if wants is _PassArg.context:
            return (context,)
        if wants is _PassArg.eval_context:
            return (context.eval_ctx,)
        return (context.environment,) if wants is _PassArg.environment else ()

    @jinja2.pass_context
    def call(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        evaluation = evaluation_of(context)
        evaluation.check_time()
        if isinstance(value, (str, bytes)) and name in _ITERATING:
            evaluation.check_elements(len(value))
        if is_short:
            _check_length(evaluation, name, value)
        if before is not None:
            before(evaluation, value, *args, **kwargs)
        if instead is not None:
            result = instead(context, value, *args, **kwargs)
        else:
            result = original(*lead(context), value, *args, **kwargs)
        if name in _PASSING:
            return result
        return (
            evaluation.counted(result) if isinstance(result, Iterator) else evaluation.built(result)
        )

    return call


# What is measured before.


def _check_length(evaluation: Evaluation, name: str, value: Any) -> None:
    limit = evaluation.options.max_filter_length.get(name, FILTER_LENGTHS[name])
    if limit >= 0 and evaluation.size_of(value) > 2 * limit:
        raise BudgetExceededError(
            f"the filter '{name}' takes at most {limit} characters ([expressions] "
            "max_filter_length)"
        )


def _batch(evaluation: Evaluation, value: Any, linecount: int, fill_with: Any = None) -> None:
    evaluation.check_elements(linecount)
    evaluation.check_bytes(evaluation.size_of(fill_with) * linecount)


def _slice(evaluation: Evaluation, value: Any, slices: int, fill_with: Any = None) -> None:
    evaluation.check_elements(slices)


def _center(evaluation: Evaluation, value: Any, width: int = 80) -> None:
    evaluation.check_bytes(4 * width)


def _escape(evaluation: Evaluation, value: Any) -> None:
    evaluation.check_bytes(_ESCAPED * evaluation.size_of(value))


def _xmlattr(evaluation: Evaluation, value: Any, autospace: bool = True) -> None:
    _escape(evaluation, value)


def _indent(
    evaluation: Evaluation,
    value: str,
    width: int | str = 4,
    first: bool = False,
    blank: bool = False,
) -> None:
    columns = len(width) if isinstance(width, str) else width
    lines = len(value.splitlines()) + 1
    evaluation.check_bytes(4 * (len(value) + lines * columns))


def _truncate(
    evaluation: Evaluation,
    value: str,
    length: int = 255,
    killwords: bool = False,
    *rest: Any,
    **others: Any,
) -> None:
    evaluation.check_bytes(length)


def _wordwrap(
    evaluation: Evaluation, value: str, width: int = 79, *args: Any, **kwargs: Any
) -> None:
    wrapstring = kwargs.get("wrapstring") or (args[1] if len(args) > 1 else None) or "\n"
    lines = len(value) // max(width, 1) + value.count("\n") + len(value) // 2 + 1
    evaluation.check_bytes(lines * len(wrapstring))


def _replace(
    evaluation: Evaluation, value: Any, old: Any, new: Any, count: int | None = None
) -> None:
    measures.as_text(evaluation, value)
    measures.replaced(evaluation, str(value), str(old), str(new), count)


def _trim(evaluation: Evaluation, value: Any, chars: str | None = None) -> None:
    measures.trimmed(evaluation, str(value) if isinstance(value, str) else "", chars)


def _case(evaluation: Evaluation, value: Any) -> None:
    measures.as_text(evaluation, value)
    if isinstance(value, str):
        measures.change_of_case(evaluation, value)


def _number(evaluation: Evaluation, value: Any, *args: Any, **kwargs: Any) -> None:
    measures.number_text(evaluation, value)


def _round(evaluation: Evaluation, value: Any, precision: int = 0, method: str = "common") -> None:
    measures.rounded(evaluation, value, precision)


def _by_attribute(place: int | None) -> Before:
    """Filters that look up a path, or several, in each element."""

    def before(evaluation: Evaluation, value: Any, *args: Any, **kwargs: Any) -> None:
        path = kwargs.get("attribute")
        if place is not None and len(args) > place:
            path = args[place]
        parts = 1 + path.count(".") + path.count(",") if isinstance(path, str) else 1
        limit = evaluation.options.max_attribute_parts
        if 0 <= limit < parts:
            raise BudgetExceededError(
                f"an attribute has at most [expressions] max_attribute_parts = {limit} parts"
            )
        if isinstance(value, Sized):
            evaluation.check_elements(len(value) * parts)

    return before


def _tojson(evaluation: Evaluation, value: Any, indent: int | None = None) -> None:
    evaluation.check_bytes(_ESCAPED * evaluation.size_of(value))


BEFORE: Mapping[str, Before] = MappingProxyType(
    {
        "batch": _batch,
        "capitalize": _case,
        "center": _center,
        "e": _escape,
        "escape": _escape,
        "float": _number,
        "forceescape": _escape,
        "groupby": _by_attribute(0),
        "indent": _indent,
        "int": _number,
        "join": _by_attribute(1),
        "lower": _case,
        "map": _by_attribute(None),
        "max": _by_attribute(1),
        "min": _by_attribute(1),
        "rejectattr": _by_attribute(0),
        "replace": _replace,
        "round": _round,
        "selectattr": _by_attribute(0),
        "slice": _slice,
        "sort": _by_attribute(2),
        "string": measures.as_text,
        "sum": _by_attribute(0),
        "title": _case,
        "tojson": _tojson,
        "trim": _trim,
        "truncate": _truncate,
        "unique": _by_attribute(1),
        "upper": _case,
        "wordwrap": _wordwrap,
        "xmlattr": _xmlattr,
    }
)

_ITERATING = frozenset(
    {
        "batch",
        "groupby",
        "join",
        "list",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "select",
        "selectattr",
        "slice",
        "sort",
        "sum",
        "unique",
    }
)


# What is done otherwise.


def _format(context: Context, value: Any, *args: Any, **kwargs: Any) -> str:
    if args and kwargs:
        raise TypeError("format takes positional or keyword arguments, not both")
    text = str(value)
    jinja_methods.formatted_by_percent(evaluation_of(context), text, *args, **kwargs)
    return text % (kwargs or args)


def _join(
    context: Context, value: Iterable[Any], d: Any = "", attribute: str | int | None = None
) -> str:
    evaluation, separator = evaluation_of(context), str(d)
    if attribute is not None:
        value = map(make_attrgetter(context.environment, attribute), value)
    size = 0
    pieces = []
    for item in value:
        measures.as_text(evaluation, item)
        piece = str(item)
        size += evaluation.size_of(piece) + len(separator)
        evaluation.check_bytes(size)
        pieces.append(piece)
    return separator.join(pieces)


def _sum(
    context: Context, value: Iterable[Any], attribute: str | int | None = None, start: Any = 0
) -> Any:
    add = context.environment.call_binop  # type: ignore[attr-defined]
    if attribute is not None:
        value = map(make_attrgetter(context.environment, attribute), value)
    for item in value:
        evaluation_of(context).check_time()
        start = add(context, "+", start, item)
    return start


def json_text(
    options: ExpressionOptions, value: Any, sort_keys: bool = True, indent: int | str | None = None
) -> str:
    """What ``tojson`` writes: the layout of Python's encoder, over lazy mappings, too."""
    if isinstance(indent, str):
        indent = indent[:_MAX_INDENT]
    elif indent is not None:
        indent = min(indent, _MAX_INDENT)
    encoder = python_json.JSONEncoder(sort_keys=sort_keys, indent=indent)
    return write_json(encoder, json.loads(json.dumps(value)), "tojson", options)


INSTEAD: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"format": _format, "join": _join, "sum": _sum}
)
