"""Whatever an expression computed becomes plain JSON data."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Set
from typing import Any, Protocol

from mistral.utils.json import MAX_DEPTH

#: exact types that are JSON as they are
SCALARS = frozenset({str, int, float, bool, type(None)})
JSON_TYPES = SCALARS | {dict, list}
#: Python writes and reads no integer of more than 4300 digits
_MAX_BITS = 14_280
_CONTAINER = 56
_SCALAR = 8
_SMALL = 2**63


class NotJsonError(TypeError):
    """A result has no JSON form."""


class Converted:
    """Mixin of evaluators' own forms of input: remembers what it was made of."""

    __slots__ = ()

    source: Any


class Bounded(Protocol):
    """What a conversion asks of the evaluation that it belongs to; each check raises beyond."""

    def check_time(self) -> None:
        """Raise when the time is over."""

    def check_elements(self, count: float) -> None:
        """Raise when a collection has too many elements."""

    def check_bytes(self, size: float) -> None:
        """Raise when a value is too large."""

    def size_of(self, value: Any) -> int:
        """How many bytes a value of the input counts."""


def to_plain(value: Any, evaluation: Bounded) -> Any:
    """A JSON form of any result; parts of the input come back as they were, not copied.

    Generators and sets become lists, mappings dictionaries, times texts.
    """
    if isinstance(value, Converted):
        return json_shallow(value.source)
    if type(value) in SCALARS:
        return _exact(value)
    return _Plain(evaluation).of(value, 0)


class _Plain:
    """One conversion: knows how large the result is by now."""

    def __init__(self, evaluation: Bounded) -> None:
        self._evaluation = evaluation
        self._size = 0

    def of(self, value: Any, depth: int) -> Any:
        """The JSON form of a part at some depth."""
        kind = type(value)
        if kind is str:
            self._size += len(value)
            return value
        if kind is int and -_SMALL < value < _SMALL:
            self._size += _SCALAR
            return value
        if kind in SCALARS:
            self._size += _SCALAR
            return _exact(value)
        if isinstance(value, Converted):
            self._count(self._evaluation.size_of(value))
            return json_shallow(value.source)
        if isinstance(value, (Mapping, Iterable)) and not isinstance(value, (str, bytes)):
            return self._container(value, depth + 1)
        return _exact(_scalar(value))

    def _container(self, value: Any, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise NotJsonError(f"a result is nested deeper than {MAX_DEPTH} levels")
        self._evaluation.check_time()
        self._count(_CONTAINER)
        if isinstance(value, Mapping):
            self._evaluation.check_elements(len(value))
            return {self._key(k): self.of(v, depth) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            self._evaluation.check_elements(len(value))
            return [self.of(item, depth) for item in value]
        result = []
        for count, item in enumerate(value, 1):
            self._evaluation.check_elements(count)
            result.append(self.of(item, depth))
            self._count(0)
        return _ordered(result) if isinstance(value, Set) else result

    def _count(self, size: int) -> None:
        self._size += size
        self._evaluation.check_bytes(self._size)

    def _key(self, key: Any) -> str:
        text = _key(key)
        self._size += len(text)
        return text


def json_shallow(value: Any) -> Any:
    """The JSON form of input data: only lazy mappings have to be read out."""
    if type(value) in JSON_TYPES:
        return value
    if isinstance(value, Mapping):
        return {key: json_shallow(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_shallow(item) for item in value]
    return value


def _exact(value: Any) -> Any:
    """The same scalar, if JSON can hold it."""
    if type(value) is float and not math.isfinite(value):
        raise NotJsonError("a result is infinite or no number, which JSON can't hold")
    if type(value) is int and value.bit_length() > _MAX_BITS:
        raise NotJsonError("a result is an integer with too many digits for JSON")
    return value


def _ordered(items: list[Any]) -> list[Any]:
    """Sets have no order: give texts and numbers one that is the same in every process."""
    kinds = {type(item) for item in items}
    if kinds <= {int, float} or kinds == {str}:
        return sorted(items)
    return items


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, (dt.datetime, dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return str(value)
    if isinstance(value, (int, float)):
        return int(value) if isinstance(value, int) else float(value)
    raise NotJsonError(f"a result of type {type(value).__name__} is not JSON data")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    if isinstance(key, bool) or key is None:
        return {True: "true", False: "false", None: "null"}[key]
    if isinstance(key, (int, float, dt.date)):
        return str(key)
    raise NotJsonError(f"a mapping key of type {type(key).__name__} is not JSON data")
