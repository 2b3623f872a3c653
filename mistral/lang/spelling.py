"""What somebody may have meant: the nearest known word, and texts that YAML has cut."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LONGEST: Final = 64
_ALIKE: Final = 0.75
#: comparing takes its time: where there are more words, nobody is asked
_MOST_KNOWN: Final = 1000
QUOTE: Final = (
    "YAML ends a text at ': ' and ' #', and within {} or [] at ',': quote the whole value, as in "
    "action: 'std.echo output=\"a: b, c\"'"
)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like another one, whatever its case, ``_`` being a hyphen."""
    folded = {_folded(each): each for each in known}
    if len(word) > _LONGEST or len(folded) > _MOST_KNOWN:
        return None
    found = difflib.get_close_matches(_folded(word), folded, n=1, cutoff=_ALIKE)
    return folded[found[0]] if found else None


def _folded(word: str) -> str:
    return word.lower().replace("_", "-")


def question(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing."""
    found = nearest(word, known)
    return f"; did you mean '{found}'?" if found else ""


def is_cut(text: str) -> bool:
    """Whether a quotation begins or ends in a text and not both."""
    return text.count('"') % 2 == 1


def hint(text: str) -> str:
    """What to do about a text that is cut within a quotation, or nothing."""
    return f". {QUOTE}" if is_cut(text) else ""
