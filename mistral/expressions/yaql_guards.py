"""YAQL's library within the budget.

Every function of the library is wrapped when it is registered: each call looks at the clock, what
it is given to call and what it yields does so, too, and what it returns is counted. Functions that
could build much or compute long within one call are measured before they run (:data:`BEFORE`), or
replaced (:data:`INSTEAD`). See :mod:`mistral.expressions.budget` for the rule.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType, MappingProxyType
from typing import Any

from yaql.language import contexts, specs, yaqltypes
from yaql.language import exceptions as yaql_exceptions
from yaql.standard_library import (
    boolean,
    branching,
    collections,
    date_time,
    math,
    queries,
    strings,
    system,
)

from mistral.exceptions import EvaluationException
from mistral.expressions import measures
from mistral.expressions.budget import BudgetExceededError, Evaluation
from mistral.expressions.plain import Converted

_HIDDEN = "evaluation_context"

#: What only hands on a part of what it was given: nothing is built, nothing is counted.
PASSING = frozenset(
    {
        boolean.and_,
        boolean.or_,
        branching.coalesce,
        branching.switch,
        branching.switch_case,
        collections.dict_get,
        collections.dict_indexer,
        collections.dict_indexer_with_default,
        collections.dict_keyword_access,
        collections.list_indexer,
        math.max_,
        math.min_,
        queries.aggregate,
        queries.default_if_empty,
        queries.first,
        queries.last,
        queries.max_,
        queries.memorize,
        queries.min_,
        queries.single,
        queries.sum_,
        system.assert__,
        system.call,
        system.call_func,
        system.def_,
        system.elvis_operator,
        system.get_property,
        system.get_context_data,
        system.lambda_,
        system.let,
        system.op_dot,
        system.send_context,
        system.unpack,
        system.with_,
    }
)

Before = Callable[..., None]


class GuardedContext(contexts.Context):
    """A context whose functions keep to the budget of the evaluation that calls them."""

    def register_function(self, spec: Any, *args: Any, **kwargs: Any) -> None:
        """Register a function wrapped."""
        exclusive = kwargs.pop("exclusive", False)
        if not isinstance(spec, specs.FunctionDefinition):
            spec = specs.get_function_definition(spec, *args, convention=self.convention, **kwargs)
        super().register_function(_guarded(spec), exclusive=exclusive)


def _guarded(definition: specs.FunctionDefinition) -> specs.FunctionDefinition:
    found = definition.clone()
    found.payload = _wrapped(definition.payload)
    found.parameters[_HIDDEN] = specs.ParameterDefinition(_HIDDEN, yaqltypes.Context())
    return found


def _wrapped(original: Callable[..., Any]) -> Callable[..., Any]:
    before = BEFORE.get(original)
    passing = original in PASSING
    instead = INSTEAD.get(original)

    def call(*args: Any, evaluation_context: Any, **kwargs: Any) -> Any:
        evaluation: Evaluation = evaluation_context.evaluation
        given = [_timed(arg, evaluation) if type(arg) is FunctionType else arg for arg in args]
        if before is not None:
            before(evaluation, *given)
        result = instead(evaluation, *given) if instead else original(*given, **kwargs)
        if passing or isinstance(result, Converted):
            return result
        return evaluation.returned(result)

    return call


def _timed(function: Callable[..., Any], evaluation: Evaluation) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        evaluation.check_time()
        return function(*args, **kwargs)

    return call


# What is measured before.


def _concat(evaluation: Evaluation, *texts: str) -> None:
    evaluation.check_bytes(sum(map(sys.getsizeof, texts)))


def _trim(evaluation: Evaluation, text: str | None, chars: str | None = None) -> None:
    measures.trimmed(evaluation, text or "", chars)


def _is_empty(
    evaluation: Evaluation, text: str | None, trim_spaces: bool = True, chars: str | None = None
) -> None:
    _trim(evaluation, text, chars)


def _text_times(evaluation: Evaluation, text: str, times: int, engine: Any) -> None:
    measures.repeated_text(evaluation, text, times)


def _times_text(evaluation: Evaluation, times: int, text: str, engine: Any) -> None:
    measures.repeated_text(evaluation, text, times)


def _list_times(evaluation: Evaluation, items: Any, times: int, engine: Any) -> None:
    measures.repeated_list(evaluation, items, times)


def _times_list(evaluation: Evaluation, times: int, items: Any, engine: Any) -> None:
    measures.repeated_list(evaluation, items, times)


def _time_text(evaluation: Evaluation, text: Any, format__: str | None = None) -> None:
    limit = evaluation.options.max_time_length
    if 0 <= limit < max(len(text), len(format__ or "")):
        raise BudgetExceededError(
            f"a time, or its format, has at most [expressions] max_time_length = {limit} characters"
        )


def _time_format(evaluation: Evaluation, time: Any, format__: str) -> None:
    _time_text(evaluation, "", format__)


def _sum_of_lists(evaluation: Evaluation, left: Any, right: Any, engine: Any = None) -> None:
    if isinstance(left, tuple) and isinstance(right, tuple):
        evaluation.check_elements(len(left) + len(right))


def _inserted(evaluation: Evaluation, collection: Any, *rest: Any) -> None:
    evaluation.check_elements(len(collection) + 1)


# What is done otherwise.


def _join(evaluation: Evaluation, items: Any, separator: str, text_of: Callable[[Any], str]) -> str:
    size = 0
    pieces = []
    for item in items:
        piece = text_of(item)
        size += sys.getsizeof(piece) + len(separator)
        evaluation.check_bytes(size)
        pieces.append(piece)
    return separator.join(pieces)


def _join_by(
    evaluation: Evaluation, separator: str, items: Any, text_of: Callable[[Any], str]
) -> str:
    return _join(evaluation, items, separator, text_of)


def _replace_all(
    evaluation: Evaluation,
    text: str,
    text_of: Callable[[Any], str],
    replacements: Mapping[Any, Any],
    count: int = -1,
) -> str:
    for key, value in replacements.items():
        old, new = text_of(key), text_of(value)
        measures.replaced(evaluation, text, old, new, count)
        evaluation.check_time()
        text = text.replace(old, new, count)
    return text


def _unpack(evaluation: Evaluation, sequence: Any, context: Any, *names: str) -> Any:
    limit = evaluation.options.max_unpacked
    values = tuple(itertools.islice(sequence, limit + 1 if limit >= 0 else None))
    if 0 <= limit < len(values):
        raise BudgetExceededError(
            f"unpack() takes at most [expressions] max_unpacked = {limit} elements"
        )
    return system.unpack(values, context, *names)


def _contains(evaluation: Evaluation, collection: Iterable[Any], value: Any) -> bool:
    return _index_of(evaluation, collection, value) >= 0


def _is_in(evaluation: Evaluation, value: Any, collection: Iterable[Any]) -> bool:
    return _contains(evaluation, collection, value)


def _contains_value(evaluation: Evaluation, mapping: Mapping[Any, Any], value: Any) -> bool:
    return _contains(evaluation, mapping.values(), value)


def _index_of(evaluation: Evaluation, collection: Iterable[Any], value: Any) -> int:
    return next(_indexes(evaluation, collection, value), -1)


def _last_index_of(evaluation: Evaluation, collection: Iterable[Any], value: Any) -> int:
    return max(_indexes(evaluation, collection, value), default=-1)


def _indexes(evaluation: Evaluation, collection: Iterable[Any], value: Any) -> Iterator[int]:
    """Where a value is; each comparison may take its time."""
    for index, item in enumerate(collection):
        if not index & 15:
            evaluation.check_time()
        if item is value or item == value:
            yield index


def _to_set(evaluation: Evaluation, collection: Iterable[Any]) -> frozenset[Any]:
    """Each element may have to be compared with many others."""
    return frozenset(evaluation.counted(iter(collection)))


def _to_dict(evaluation: Evaluation, pairs: Iterable[Any], engine: Any) -> Any:
    return collections.dict__(evaluation.counted(iter(pairs)), engine)


def _property(evaluation: Evaluation, get: Callable[..., Any], value: Any, name: str) -> Any:
    """Times and the like have properties; of everything else YAQL would name a function."""
    try:
        return get(f"#property#{name}", value)
    except yaql_exceptions.ResolutionError:
        kind = _KINDS.get(type(value), "a value of this type")
    raise EvaluationException(f"{kind} has no attribute '{name}'")


_KINDS: Mapping[type, str] = MappingProxyType(
    {
        type(None): "null",
        bool: "a boolean",
        float: "a number",
        int: "a number",
        str: "a text",
    }
)

INSTEAD: Mapping[Any, Callable[..., Any]] = MappingProxyType(
    {
        collections.contains: _contains,
        collections.contains_value: _contains_value,
        collections.dict__: _to_dict,
        collections.in_: _is_in,
        collections.to_set: _to_set,
        queries.index_of: _index_of,
        queries.last_index_of: _last_index_of,
        strings.join: _join,
        strings.join_: _join_by,
        strings.replace_with_dict: _replace_all,
        system.get_property: _property,
        system.unpack: _unpack,
    }
)

BEFORE: Mapping[Any, Before] = MappingProxyType(
    {
        collections.combine_lists: _sum_of_lists,
        collections.int_by_list: _times_list,
        collections.list_by_int: _list_times,
        collections.list_insert: _inserted,
        date_time.datetime_from_string: _time_text,
        date_time.format_: _time_format,
        math.float_: measures.number_text,
        math.int_: measures.number_text,
        math.multiplication: measures.product,
        math.pow_: measures.power,
        math.round_: measures.rounded,
        math.shift_bits_left: measures.shifted,
        strings.concat: _concat,
        strings.int_by_string: _times_text,
        strings.is_empty: _is_empty,
        strings.last_index_of: measures.search_from_the_end,
        strings.last_index_of_: measures.search_from_the_end,
        strings.norm: _trim,
        strings.replace: measures.replaced,
        strings.right_split: measures.pieces_from_the_end,
        strings.split: measures.pieces,
        strings.str_: measures.as_text,
        strings.string_by_int: _text_times,
        strings.to_char_array: measures.characters,
        strings.to_lower: measures.change_of_case,
        strings.to_upper: measures.change_of_case,
        strings.trim: _trim,
        strings.trim_left: _trim,
        strings.trim_right: _trim,
    }
)
