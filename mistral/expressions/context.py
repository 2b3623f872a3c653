"""The data an expression sees: layers of variables, looked up lazily."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mistral.expressions.facts import Facts


@dataclasses.dataclass(frozen=True, eq=False)
class DataContext:
    """Everything one evaluation may look at.

    ``data`` is ``$`` in YAQL and ``_`` in Jinja: usually a mapping, but the output of an ad-hoc
    action sees whatever its base returned. ``variables`` are reached as ``$__env`` or ``__env``.
    Nothing of it appears in ``repr``: contexts are never logged.
    """

    data: Any = dataclasses.field(repr=False)
    facts: Facts | None = dataclasses.field(default=None, repr=False)
    variables: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    #: forms of ``data`` that evaluators made once and use again for the next expression
    memo: dict[str, Any] = dataclasses.field(default_factory=dict, init=False, repr=False)


class LazyLayer(Mapping[str, Any]):
    """A layer of references, each loaded when it is first accessed."""

    def __init__(self, references: Mapping[str, Any], load: Callable[[Any], Any]) -> None:
        self._references = references
        self._load = load
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        if key not in self._loaded:
            self._loaded[key] = self._load(self._references[key])
        return self._loaded[key]

    def __contains__(self, key: object) -> bool:
        return key in self._references

    def __iter__(self) -> Iterator[str]:
        return iter(self._references)

    def __len__(self) -> int:
        return len(self._references)

    def __repr__(self) -> str:
        return f"<LazyLayer of {len(self)}>"


class LayeredData(Mapping[str, Any]):
    """Several mappings seen as one: the first layer that has a key gives its value.

    No layer is copied and only the values asked for are loaded. With ``merge``, mappings found
    under one key in several layers are merged deeply, earlier layers winning
    (doc:language/expressions#which-data-a-place-sees).
    """

    def __init__(self, *layers: Mapping[str, Any], merge: bool = False) -> None:
        self._layers = tuple(layer for layer in layers if layer is not None)
        self._merge = merge

    def __getitem__(self, key: str) -> Any:
        for number, layer in enumerate(self._layers):
            if key in layer:
                value = layer[key]
                if self._merge and isinstance(value, Mapping):
                    return self._merged(value, key, number + 1)
                return value
        raise KeyError(key)

    def _merged(self, value: Mapping[str, Any], key: str, start: int) -> Mapping[str, Any]:
        for layer in self._layers[start:]:
            below = layer.get(key)
            if isinstance(below, Mapping):
                value = _merge(value, below)
        return value

    def __contains__(self, key: object) -> bool:
        return any(key in layer for layer in self._layers)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(key for layer in self._layers for key in layer))

    def __len__(self) -> int:
        return len({key for layer in self._layers for key in layer})

    def __repr__(self) -> str:
        return f"<LayeredData of {len(self._layers)} layers>"

    def __str__(self) -> str:
        """The text form that mixed texts paste in."""
        return str(dict(self))


def _merge(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(first)
    for key, value in second.items():
        have = result.get(key)
        if key not in result:
            result[key] = value
        elif isinstance(have, Mapping) and isinstance(value, Mapping):
            result[key] = _merge(have, value)
    return result
