"""JSON through orjson, with integers of any size and texts of any content."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple, NoReturn

import orjson

MAX_DEPTH = 200
"""How deep a text of a caller may be nested; what walks over values is recursive."""


class ContainerLimit(NamedTuple):
    """How many lists and mappings a text of a caller may have: each takes many times its text.

    ``option`` is told whose text has more; a negative number lifts the limit.
    """

    number: int = 1_000_000
    option: str = ""

    def check(self, count: int) -> None:
        """Raise ValueError when there are more."""
        if 0 <= self.number < count:
            limit = f"{self.option} = {self.number}" if self.option else str(self.number)
            raise ValueError(f"it has more than {limit} lists and mappings")


NO_CONTAINER_LIMIT = ContainerLimit(-1)
USUAL_CONTAINERS = ContainerLimit()

#: orjson writes 254 containers within each other
_SPARE_DEPTH = 254 - MAX_DEPTH
_OPTIONS = orjson.OPT_NON_STR_KEYS
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    to_dict = getattr(value, "to_dict", None)
    if callable(to_dict):
        return to_dict()
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):
        return dict(value)
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON serializable")


def dumps(value: Any) -> str:
    """Compact JSON text."""
    return dump_bytes(value).decode()


def beginning(value: Any, length: int) -> str:
    """The first characters of the JSON of a plain value; the rest costs nothing."""
    text = ""
    for piece in _ENCODER.iterencode(value):
        text += piece
        if len(text) > length:
            return text[:length] + "..."
    return text


def dump_bytes(value: Any) -> bytes:
    """Compact JSON as UTF-8 bytes."""
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError:
        # integers over 64 bits and lone surrogates: slower, but exact
        return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def dump_value(value: Any) -> bytes:
    """The JSON of a value that is to be kept; raises ValueError for one nested too deeply."""
    try:
        text = orjson.dumps(wrapped(value), default=_plain, option=_OPTIONS)
    except TypeError:
        if is_deep(value):
            raise _too_deep() from None
        return dump_bytes(value)
    return text[_SPARE_DEPTH:-_SPARE_DEPTH]


def wrapped(value: Any) -> Any:
    """A value within so many lists that orjson refuses it when it is too deep to be kept.

    orjson has a limit of its own; to use it costs nothing.
    """
    for _ in range(_SPARE_DEPTH):
        value = [value]
    return value


def spaced(text: str) -> str:
    """The same JSON text with blanks after commas and colons, as people and scripts read it."""
    if "," not in text and ":" not in text:
        return text
    # what came as an escape may be half a surrogate pair, which only an escape can show
    return json.dumps(loads(text), ensure_ascii="\\u" in text)


def canonical(value: Any) -> bytes:
    """JSON with sorted keys: equal values give equal bytes."""
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS | orjson.OPT_SORT_KEYS)
    except TypeError:
        return json.dumps(value, default=_plain, separators=(",", ":"), sort_keys=True).encode()


_DIGITS_AS_ZERO = bytes(0x30 if 0x30 <= byte <= 0x39 else byte for byte in range(256))
_LONG_NUMBER = b"0" * 19


def loads(text: str | bytes) -> Any:
    """Parse JSON; raises ValueError."""
    raw = _raw(text)
    if not _has_long_number(raw):
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
    return json.loads(text)


def _raw(text: str | bytes) -> bytes:
    # half a surrogate pair makes what orjson refuses and json reads
    return text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text


def _has_long_number(raw: bytes) -> bool:
    """Whether there may be an integer of more than 64 bits, which orjson reads as a float.

    A search by a pattern would hold the interpreter ten times as long.
    """
    return _LONG_NUMBER in raw.translate(_DIGITS_AS_ZERO)


def parse(text: str | bytes, limit: ContainerLimit = USUAL_CONTAINERS) -> Any:
    """Parse the JSON text of a caller, who may send anything; raises ValueError.

    Unlike :func:`loads` it takes only what can be kept as it is: no ``NaN``, no number too large
    for a float, nothing nested deeper than ``MAX_DEPTH``; and no more lists and mappings than
    the limit.
    """
    brackets = _brackets(text)
    limit.check(brackets)
    try:
        value = _parse(text)
    except RecursionError:
        raise _too_deep() from None
    if brackets > MAX_DEPTH and is_deep(value):
        raise _too_deep()
    return value


def _parse(text: str | bytes) -> Any:
    raw = _raw(text)
    if not _has_long_number(raw):
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        raise ValueError(
            f"the number {digits[:40]}... has too many digits: {len(digits)}"
        ) from None


def _too_deep() -> ValueError:
    return ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _brackets(text: str | bytes) -> int:
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def is_deep(value: Any) -> bool:
    """Whether a value is nested deeper than ``MAX_DEPTH``."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return any(isinstance(outer, (dict, list)) for outer in level)
