"""YAQL's operators on plain JSON values, for :mod:`mistral.expressions.yaql_fast`.

Each gives YAQL's answer or raises; see there for the rule.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mistral.expressions.plain import JSON_TYPES

_NUMBERS = frozenset({int, float})
#: beyond these YAQL decides, within its budget
_MAX_BITS = 512
_MAX_TEXT = 65536
_MAX_ITEMS = 65536


class NotSimpleError(ValueError):
    """The closure does not know YAQL's answer for these operands."""


class Mapped(list[Any]):
    """What came out of a list element by element.

    In YAQL this is an iterator, which differs from a list in most operations: they reject this
    type, so it can only be the final result, be walked once more or be made a list.
    """


def simple(value: Any) -> Any:
    """Only plain JSON values pass."""
    if type(value) not in JSON_TYPES:
        raise NotSimpleError(type(value))
    return value


def _number(value: Any) -> Any:
    if type(value) not in _NUMBERS:
        raise NotSimpleError(type(value))
    return value


def _moderate(value: Any) -> Any:
    """A number that is neither too long nor infinite."""
    if type(value) is int:
        if value.bit_length() > _MAX_BITS:
            raise NotSimpleError(int)
    elif not math.isfinite(value):
        raise NotSimpleError(float)
    return value


def _add(left: Any, right: Any) -> Any:
    kind = type(left)
    if kind in _NUMBERS and type(right) in _NUMBERS:
        return _moderate(left + right)
    if kind is not type(right):
        raise NotSimpleError(kind)
    if kind is str and len(left) + len(right) <= _MAX_TEXT:
        return left + right
    if kind is list and len(left) + len(right) <= _MAX_ITEMS:
        return left + right
    if kind is dict and len(left) + len(right) <= _MAX_ITEMS:
        return {**left, **right}
    raise NotSimpleError(kind)


def _divide(left: Any, right: Any) -> Any:
    if type(left) is int and type(right) is int:
        return left // right
    return _moderate(_number(left) / _number(right))


def _arithmetic(apply: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda left, right: _moderate(apply(_number(left), _number(right)))


def _ordering(
    apply: Callable[[Any, Any], Any], null_left: bool, null_right: bool, both_null: bool
) -> Callable[[Any, Any], Any]:
    def compare(left: Any, right: Any) -> Any:
        if left is None:
            simple(right)
            return both_null if right is None else null_left
        if right is None:
            simple(left)
            return null_right
        kind = type(left)
        if kind in _NUMBERS and type(right) in _NUMBERS or kind is str and type(right) is str:
            return apply(left, right)
        raise NotSimpleError(kind)

    return compare


def _contains(left: Any, right: Any) -> bool:
    if type(right) is list or type(right) is str and type(left) is str:
        return simple(left) in right
    raise NotSimpleError(type(right))


def _length(value: Any) -> int:
    if type(value) in (str, list) or isinstance(value, Mapping):
        return len(value)
    raise NotSimpleError(type(value))


def _get(value: Any, key: Any, default: Any = None) -> Any:
    if isinstance(value, Mapping) and type(key) is str:
        return value.get(key, default)
    raise NotSimpleError(type(value))


def _contains_key(value: Any, key: Any) -> bool:
    if isinstance(value, Mapping) and type(key) is str:
        return key in value
    raise NotSimpleError(type(value))


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    return str(_moderate(_number(value)))


def _where(values: list[Any], results: list[Any]) -> Mapped:
    return Mapped(item for item, keep in zip(values, results, strict=True) if simple(keep))


def _order_by(values: list[Any], keys: list[Any]) -> Mapped:
    """Only texts or only numbers: for these YAQL's order is Python's, and both are stable."""
    kinds = {type(key) for key in keys}
    if not (kinds <= _NUMBERS or kinds == {str}) or any(key != key for key in keys):
        raise NotSimpleError("order")
    order = sorted(range(len(values)), key=keys.__getitem__)
    return Mapped(values[index] for index in order)


def _to_list(value: Any) -> list[Any]:
    if type(value) is list:
        return value
    if type(value) is Mapped:
        return [simple(item) for item in value]
    raise NotSimpleError(type(value))


def _first(value: Any) -> Any:
    if type(value) is list or type(value) is Mapped:
        return value[0]
    raise NotSimpleError(type(value))


BINARY: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "=": lambda left, right: simple(left) == simple(right),
        "!=": lambda left, right: simple(left) != simple(right),
        "<": _ordering(operator.lt, null_left=True, null_right=False, both_null=False),
        "<=": _ordering(operator.le, null_left=True, null_right=False, both_null=True),
        ">": _ordering(operator.gt, null_left=False, null_right=True, both_null=False),
        ">=": _ordering(operator.ge, null_left=False, null_right=True, both_null=True),
        "+": _add,
        "-": _arithmetic(operator.sub),
        "*": _arithmetic(operator.mul),
        "/": _divide,
        "mod": _arithmetic(operator.mod),
        "in": _contains,
    }
)

UNARY: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "not": lambda value: not simple(value),
        "-": lambda value: -_number(value),
        "+": lambda value: +_number(value),
    }
)

#: by name and number of arguments
METHODS: Mapping[tuple[str, int], Callable[..., Any]] = MappingProxyType(
    {
        ("get", 1): _get,
        ("get", 2): _get,
        ("containsKey", 1): _contains_key,
        ("len", 0): _length,
        ("toList", 0): _to_list,
        ("first", 0): _first,
    }
)

#: methods that evaluate their argument for every element: what they make of the values
LOOPS: Mapping[str, Callable[[list[Any], list[Any]], Mapped]] = MappingProxyType(
    {
        "select": lambda values, results: Mapped(results),
        "where": _where,
        "orderBy": _order_by,
    }
)

ORDINARY_FUNCTIONS: Mapping[tuple[str, int], Callable[[Any], Any]] = MappingProxyType(
    {("len", 1): _length, ("str", 1): _text}
)
