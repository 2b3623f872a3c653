"""Filters of list requests: one grammar, used on rows by SQL and on plain values in memory.

``<attribute>=<op>:<value>`` (doc:rest/lists#filters). A filter is parsed once into a
:class:`Condition`; :func:`to_sql` and :meth:`Condition.matches` say the same in two languages.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mistral import exceptions as exc
from mistral.utils import ids, json
from mistral.workflow.values import Values


class Kind(enum.Enum):
    """What a column holds, as far as filtering and sorting care."""

    TEXT = "text"
    UUID = "uuid"
    MOMENT = "moment"
    FLAG = "flag"
    NUMBER = "number"
    OBJECT = "object"
    """JSON text of an object, compared as a whole."""
    BAG = "bag"
    """Text of a :class:`~mistral.workflow.values.Bag`."""
    TAGS = "tags"
    TAGS_FOLDED = "tags, whatever their case"


_OPERATORS = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "in", "nin", "has"})
_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


@dataclasses.dataclass(frozen=True)
class Condition:
    """A parsed filter; ``values`` has one element except for sets, tags and JSON spellings."""

    name: str
    kind: Kind
    op: str
    values: tuple[Any, ...]
    text: str
    """The filter in a form that a ``next`` link may repeat."""

    def matches(self, value: Any) -> bool:
        """Whether a plain value (not of a row) passes; moments are texts, as the API shows them."""
        if self.kind is Kind.MOMENT and self.op != "has":
            return value is not None and _moment_matches(self, dt.datetime.fromisoformat(value))
        return _IN_MEMORY[self.op](value, self.values)


def parse(name: str, kind: Kind, text: str) -> Condition:
    """A filter as given in a query.

    :raises InputException: the value doesn't suit the attribute.
    """
    return _PARSERS[kind](name, kind, text)


def parse_flag(name: str, text: str) -> bool:
    """A boolean of a query: words; empty is false (doc:rest/conventions#rest-bodies)."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if not word or word in _FALSE:
        return False
    raise exc.InputException(f"Invalid value for '{name}': {text!r} is not a boolean.")


def is_flag_word(text: str) -> bool:
    """Whether a text is one of the words for true and false."""
    return text.strip().lower() in _TRUE | _FALSE


def _split(text: str) -> tuple[str, str]:
    op, colon, rest = text.partition(":")
    return (op, rest) if colon and op in _OPERATORS else ("eq", text)


def _parse_text(name: str, kind: Kind, text: str) -> Condition:
    op, value = _split(text)
    values = tuple(value.split(",")) if op in ("in", "nin") else (value,)
    if kind is Kind.UUID and op != "has":
        for each in values:
            if not ids.looks_like_uuid(each):
                raise exc.InputException(f"Invalid value for '{name}': {each!r} is not a UUID.")
    return Condition(name, kind, op, values, f"{op}:{value}")


_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?Z?)?)?)?$"
)


_LAST_SECOND = dt.datetime.max - dt.timedelta(seconds=1)


@dataclasses.dataclass(frozen=True)
class Second:
    """A moment as the API shows it; ``exact`` unless the text named a longer period."""

    start: dt.datetime
    exact: bool

    @property
    def end(self) -> dt.datetime:
        """Where the second ends; a longer period is only a point before its first second."""
        if not self.exact:
            return self.start
        return min(self.start, _LAST_SECOND) + dt.timedelta(seconds=1)


def _second(name: str, text: str) -> Second:
    found = _DATE.match(text.strip())
    if found:
        parts = [int(part) if part else None for part in found.groups()]
        year, month, day = [1 if part is None else part for part in parts[:3]]
        hour, minute, second = [part or 0 for part in parts[3:]]
        try:
            start = dt.datetime(year, month, day, hour, minute, second)
        except ValueError:
            pass
        else:
            return Second(start, parts[5] is not None)
    raise exc.InputException(
        f"Invalid value for '{name}': {text!r} is not a date (YYYY-MM-DD[ HH:MM:SS])."
    )


def _parse_moment(name: str, kind: Kind, text: str) -> Condition:
    op, value = _split(text)
    if op == "has":
        return Condition(name, kind, op, (value,), f"{op}:{value}")
    parts = value.split(",") if op in ("in", "nin") else [value]
    return Condition(name, kind, op, tuple(_second(name, p) for p in parts), f"{op}:{value}")


def _parse_flag(name: str, kind: Kind, text: str) -> Condition:
    op, value = _split(text)
    if op not in ("eq", "neq"):
        raise exc.InputException(f"Invalid operator for '{name}': {op}.")
    return Condition(name, kind, op, (parse_flag(name, value),), text)


def _parse_number(name: str, kind: Kind, text: str) -> Condition:
    op, value = _split(text)
    if op == "has":
        raise exc.InputException(f"Invalid operator for '{name}': {op}.")
    try:
        values = tuple(int(v) for v in (value.split(",") if op in ("in", "nin") else [value]))
    except ValueError:
        raise exc.InputException(
            f"Invalid value for '{name}': {value!r} is not an integer."
        ) from None
    return Condition(name, kind, op, values, f"{op}:{value}")


def _parse_object(name: str, kind: Kind, text: str) -> Condition:
    try:
        value = json.parse(text)
    except ValueError:
        raise exc.InputException(f"Invalid value for '{name}': {text!r} is not JSON.") from None
    if not isinstance(value, dict):
        raise exc.InputException(f"Invalid value for '{name}': a JSON object is expected.")
    return Condition(name, kind, "object", (value,), text)


def _parse_tags(name: str, kind: Kind, text: str) -> Condition:
    op, rest = _split(text)
    wanted = [tag.strip() for tag in (rest if op in ("has", "eq") else text).split(",")]
    if kind is Kind.TAGS_FOLDED:
        wanted = [tag.lower() for tag in wanted]
    op = "tags" if kind is Kind.TAGS else "folded tags"
    return Condition(name, kind, op, tuple(dict.fromkeys(t for t in wanted if t)), text)


_PARSERS: Mapping[Kind, Callable[[str, Kind, str], Condition]] = {
    Kind.TEXT: _parse_text,
    Kind.UUID: _parse_text,
    Kind.MOMENT: _parse_moment,
    Kind.FLAG: _parse_flag,
    Kind.NUMBER: _parse_number,
    Kind.OBJECT: _parse_object,
    Kind.BAG: _parse_object,
    Kind.TAGS: _parse_tags,
    Kind.TAGS_FOLDED: _parse_tags,
}

_IN_MEMORY: Mapping[str, Callable[[Any, tuple[Any, ...]], bool]] = {
    "eq": lambda value, wanted: value == wanted[0],
    "neq": lambda value, wanted: value is not None and value != wanted[0],
    "gt": lambda value, wanted: value is not None and value > wanted[0],
    "gte": lambda value, wanted: value is not None and value >= wanted[0],
    "lt": lambda value, wanted: value is not None and value < wanted[0],
    "lte": lambda value, wanted: value is not None and value <= wanted[0],
    "in": lambda value, wanted: value in wanted,
    "nin": lambda value, wanted: value is not None and value not in wanted,
    "has": lambda value, wanted: value is not None and wanted[0] in value,
    "object": lambda value, wanted: value == wanted[0],
    "tags": lambda value, wanted: set(wanted) <= set(value or ()),
    "folded tags": lambda value, wanted: set(wanted) <= {tag.lower() for tag in value or ()},
}


def _moment_matches(condition: Condition, moment: dt.datetime) -> bool:
    op, first = condition.op, condition.values[0]
    if op in ("gte", "lt"):
        return (moment >= first.start) == (op == "gte")
    if op in ("gt", "lte"):
        return (moment >= first.end) == (op == "gt")
    within = any(s.start <= moment < s.end for s in condition.values)
    return within == (op in ("eq", "in"))


# SQL ------------------------------------------------------------------------


class _position(FunctionElement[int]):
    """Where a text lies in a column, 1-based, 0 when nowhere; unlike LIKE it minds the case."""

    type = sa.Integer()
    name = "position"
    inherit_cache = True


@compiles(_position)
def _instr(element: _position, compiler: Any, **kw: Any) -> str:
    return f"instr({compiler.process(element.clauses, **kw)})"


@compiles(_position, "postgresql")
def _strpos(element: _position, compiler: Any, **kw: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **kw)})"


def raw_text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """A column of a JSON type as the text that is stored."""
    return sa.type_coerce(column, sa.Text)


def to_sql(condition: Condition, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """The condition on a column."""
    if condition.kind in (Kind.TAGS, Kind.TAGS_FOLDED):
        return _tags_sql(condition, column)
    if condition.kind in (Kind.OBJECT, Kind.BAG):
        return raw_text(column).in_(_spellings(condition))
    if condition.kind is Kind.MOMENT:
        return _moment_sql(condition, column)
    if condition.op == "has":
        return _position(column, condition.values[0]) > 0
    return _compare(condition.op, column, condition.values)


def _compare(
    op: str, column: sa.ColumnElement[Any], values: tuple[Any, ...]
) -> sa.ColumnElement[bool]:
    if op == "in":
        return column.in_(values)
    if op == "nin":
        return column.not_in(values)
    comparisons: dict[str, Callable[[Any], Any]] = {
        "eq": column.__eq__,
        "neq": column.__ne__,
        "gt": column.__gt__,
        "gte": column.__ge__,
        "lt": column.__lt__,
        "lte": column.__le__,
    }
    result: sa.ColumnElement[bool] = comparisons[op](values[0])
    return result


def _moment_sql(condition: Condition, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    # rows keep microseconds, callers see whole seconds
    op, first = condition.op, condition.values[0]
    if op == "has":
        return _position(sa.cast(column, sa.String(32)), first) > 0
    if op in ("gte", "lt"):
        return _compare(op, column, (first.start,))
    if op == "gt":
        return column >= first.end
    if op == "lte":
        return column < first.end
    within = sa.or_(
        sa.false(), *[sa.and_(column >= s.start, column < s.end) for s in condition.values]
    )
    return within if op in ("eq", "in") else sa.and_(sa.not_(within), column.is_not(None))


def _tags_sql(condition: Condition, column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    text: sa.ColumnElement[Any] = raw_text(column)
    if condition.kind is Kind.TAGS_FOLDED:
        text = sa.func.lower(text)
    # the quotes of the JSON text make it the whole tag
    return sa.and_(sa.true(), *[_position(text, json.dumps(t)) > 0 for t in condition.values])


def _spellings(condition: Condition) -> list[str]:
    value = condition.values[0]
    ordered = json.loads(json.canonical(value))
    if condition.kind is Kind.OBJECT:
        return list(dict.fromkeys((json.dumps(value), json.dumps(ordered))))
    pack = Values(lambda _: {}).pack
    return list(dict.fromkeys((pack(value).encode(), pack(ordered).encode())))
