"""Keeping an action's secrets out of error texts and logs (law 9): which values those are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mistral.actions.masking import MASK, Secret
from mistral.actions.masking import mask as mask_secrets
from mistral.actions.secret_names import is_secret, only_speaks
from mistral_lib.actions.secret import Secret as Mark

__all__ = ["MASK", "mask", "sorted_out"]

#: Parameters that may hold secrets between other things.
_CONFIDENTIAL_NAME = re.compile(r"^(body|json|key)$|private", re.I)


def sorted_out(marks: Mapping[str, Mark], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """An action's parameters, those apart that its author has declared secret."""
    declared = {name for name, mark in marks.items() if not mark.by_name}
    return {
        "parameters": {n: value for n, value in parameters.items() if n not in declared},
        "secret": {n: value for n, value in parameters.items() if n in declared},
    }


def mask(text: str, parameters: Mapping[str, Any]) -> str:
    """A text without the values of secret parameters that it may quote."""
    secrets: list[Secret] = []
    open_values: set[str] = set()
    for value, is_sure in _leaves(parameters, None):
        if is_sure is None:
            open_values.add(value)
        else:
            secrets.append(Secret(value, is_sure))
    return mask_secrets(text, secrets, open_values)


def _leaves(value: Any, is_sure: bool | None) -> Iterator[tuple[str, bool | None]]:
    """All values as texts, and whether they are surely secret; None for those that are not."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, _sureness(str(name), is_sure))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _leaves(inner, is_sure)
    elif value is not None and not isinstance(value, bool):
        yield str(value), is_sure


def _sureness(name: str, outer: bool | None) -> bool | None:
    if outer or is_secret(name):
        return True
    is_confidential = _CONFIDENTIAL_NAME.search(name) and not only_speaks(name)
    return False if is_confidential else outer
