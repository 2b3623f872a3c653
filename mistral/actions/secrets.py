"""Keeping an action's secrets out of error texts and logs (law 9)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"
#: Parameters whose values are nobody else's business: contract language §23.7.
_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|auth|credential|private|api_?key|cookie|^body$|^json$|^key$",
    re.I,
)


def mask(text: str, parameters: Mapping[str, Any]) -> str:
    """A text without the values of secret parameters that it may quote."""
    values = {value for value in _secret_values(parameters, False) if len(value) > 2}
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def mask_all(text: str, parameters: Mapping[str, Any]) -> str:
    """A text without the values of any parameter; very short ones count where they stand alone."""
    for value in sorted(set(_secret_values(parameters, True)), key=len, reverse=True):
        if len(value) > 2:
            text = text.replace(value, MASK)
        elif value:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text)
    return text


def _secret_values(value: Any, secret: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secret_values(inner, secret or bool(_SECRET_NAME.search(str(name))))
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _secret_values(inner, secret)
    elif secret and value is not None and not isinstance(value, bool):
        text = str(value)
        yield text
        if ":" in text:
            # "user:password"
            yield text.split(":", 1)[1]
