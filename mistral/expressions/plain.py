"""Whatever an expression computed becomes plain JSON data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Set
from typing import Any

from mistral.expressions.budget import Evaluation

#: exact types that are JSON as they are
SCALARS = frozenset({str, int, float, bool, type(None)})
JSON_TYPES = SCALARS | {dict, list}


class NotJsonError(TypeError):
    """A result has no JSON form."""


class Converted:
    """Mixin of evaluators' own forms of input: remembers what it was made of."""

    __slots__ = ()

    source: Any


def to_plain(value: Any, evaluation: Evaluation) -> Any:
    """A JSON form of any result; parts of the input come back as they were, not copied.

    Generators and sets become lists, mappings dictionaries, times texts.
    """
    kind = type(value)
    if kind in SCALARS:
        return value
    if isinstance(value, Converted):
        return json_shallow(value.source)
    if isinstance(value, Mapping):
        evaluation.check_elements(len(value))
        evaluation.check_time()
        return {_key(k): to_plain(v, evaluation) for k, v in value.items()}
    if isinstance(value, Set):
        evaluation.check_elements(len(value))
        return _ordered([to_plain(item, evaluation) for item in value])
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return _listed(value, evaluation)
    return _scalar(value)


def json_shallow(value: Any) -> Any:
    """The JSON form of input data: only lazy mappings have to be read out."""
    if type(value) in JSON_TYPES:
        return value
    if isinstance(value, Mapping):
        return {key: json_shallow(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_shallow(item) for item in value]
    return value


def _listed(values: Iterable[Any], evaluation: Evaluation) -> list[Any]:
    evaluation.check_time()
    result = []
    for count, item in enumerate(values, 1):
        evaluation.check_elements(count)
        result.append(to_plain(item, evaluation))
    return result


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
