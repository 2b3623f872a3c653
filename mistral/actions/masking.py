"""Taking secrets out of a text that may quote them, and nothing else.

A value is replaced where the text can only have it from there. A short one counts where it stands
alone; a plain word ("small", "admin") and a short number only when it is surely a secret and no
open parameter has the same value; what is shorter than four characters says nothing to anybody
and stays. Which values are secret is decided in :mod:`mistral.actions.secrets`.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
_SHORTEST = 4
_SHORTEST_NUMBER = 6
#: From here on a value is recognised within other text, too.
_DISTINCTIVE = 8
_LONGEST_WORD = 20


@dataclasses.dataclass(frozen=True)
class Secret:
    """A value nobody else may see; ``is_sure`` unless only its place made it one."""

    value: str
    is_sure: bool = True


def mask(text: str, secrets: Iterable[Secret], open_values: Collection[str] = ()) -> str:
    """A text without the secrets that it quotes."""
    # most values of a large body are not quoted at all, and to search for each takes seconds
    pieces = frozenset(_pieces(text, 1))
    hidden = {
        spelling
        for secret in secrets
        if _is_telling(secret, open_values)
        for spelling in _spellings(secret.value)
        if len(spelling) >= _SHORTEST and pieces.issuperset(_pieces(spelling, _SHORTEST))
    }
    for spelling in sorted(hidden, key=len, reverse=True):
        if len(spelling) < _DISTINCTIVE or _is_word(spelling):
            text = re.sub(rf"(?<!\w){re.escape(spelling)}(?!\w)", MASK, text)
        else:
            text = text.replace(spelling, MASK)
    return text


def _is_telling(secret: Secret, open_values: Collection[str]) -> bool:
    value = secret.value
    if len(value) < _SHORTEST:
        return False
    return not _is_word(value) or (secret.is_sure and value not in open_values)


def _pieces(text: str, step: int) -> list[str]:
    last = len(text) - _SHORTEST
    return [text[at : at + _SHORTEST] for at in (*range(0, last, step), max(last, 0))]


def _is_word(value: str) -> bool:
    if value.isdecimal():
        return len(value) < _SHORTEST_NUMBER
    of_one_case = value.islower() or value.isupper() or value.istitle()
    return value.isalpha() and of_one_case and len(value) <= _LONGEST_WORD


def _spellings(value: str) -> Iterator[str]:
    """The forms in which libraries quote a value."""
    yield value
    if value.isalnum() and value.isascii():
        return
    yield from (quote(value, safe="", errors="replace"), quote_plus(value, errors="replace"))
    yield json.dumps(value)[1:-1]
    yield repr(value)[1:-1]
    yield from (line for line in value.splitlines() if len(line) >= _DISTINCTIVE)
    if ":" in value:
        # "user:password", also as a header has it
        yield value.split(":", 1)[1]
        yield base64.b64encode(value.encode("utf-8", "replace")).decode()
