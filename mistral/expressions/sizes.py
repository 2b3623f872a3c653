"""How large the values of a running expression are.

A part counts as often as it appears: ``[x, x]`` is twice as large as ``x``, as its text is, and as
a comparison takes. What can hold a value many times over can hold it exponentially often, and
whatever walks over it in C then never comes back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any

import orjson

from mistral.expressions.plain import Converted

#: null, a boolean, a small number: the place in its container counts, not the shared object
_SCALAR = 8
_SMALL = 2**63
_ENTRY = 48
#: values below this are measured anew each time, which is cheaper than to remember them
_WORTH_KNOWING = 256
#: containers take several times the bytes of their JSON text
_JSON_FACTOR = 2
_CONTAINERS = (tuple, list, Mapping, Set)


class Sizes:
    """Measures values; remembers the containers that it has measured, and so keeps them alive.

    ``check`` raises when a size is too large, so that nothing is measured further than that.
    """

    __slots__ = ("_check", "_known")

    def __init__(self, check: Callable[[float], None]) -> None:
        self._check = check
        self._known: dict[int, tuple[Any, int]] = {}

    def of(self, value: Any) -> int:
        """About the bytes of a value, which is a part of the data, or was measured when built."""
        if isinstance(value, (str, bytes)):
            return sys.getsizeof(value)
        if isinstance(value, int):
            return _SCALAR if -_SMALL < value < _SMALL else sys.getsizeof(value)
        if not isinstance(value, _CONTAINERS):
            return _SCALAR
        known = self._known.get(id(value))
        return known[1] if known is not None else self._remember(value, self._new(value))

    def of_built(self, value: Any) -> int:
        """The same for what was just put together of such values."""
        if not isinstance(value, _CONTAINERS) or id(value) in self._known:
            return self.of(value)
        return self._remember(value, self._sum(value))

    def _remember(self, value: Any, size: int) -> int:
        if size > _WORTH_KNOWING:
            self._known[id(value)] = (value, size)
        return size

    def _new(self, value: Any) -> int:
        """What is not known is data, or small: its text is soon written."""
        source = value.source if isinstance(value, Converted) else value
        if type(source) is not list and type(source) is not dict:
            return self._sum(source)
        try:
            return _JSON_FACTOR * len(orjson.dumps(source, option=orjson.OPT_NON_STR_KEYS))
        except TypeError:
            return self._sum(source)

    def _sum(self, value: Any) -> int:
        size = sys.getsizeof(value)
        parts: Iterable[Any] = value
        if isinstance(value, Mapping):
            size += _ENTRY * len(value)
            parts = (part for item in value.items() for part in item)
        for part in parts:
            kind = type(part)
            if kind is str:
                size += sys.getsizeof(part)
            elif kind is int:
                size += 0 if -_SMALL < part < _SMALL else sys.getsizeof(part)
            elif kind is not float and kind is not bool:
                size += self.of(part)
        self._check(size)
        return size
