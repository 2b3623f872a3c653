"""Texts that databases can keep, and what of a text people see in a list."""

from __future__ import annotations

from typing import Final

RAISED: Final = "The action raised an exception"
"""What the error of an action that raised says behind the cause."""

_LONGEST_CAUSE: Final = 200


def cause_of(text: str) -> str:
    """The beginning of an error's text, one short line: why it happened."""
    line = text.lstrip().partition("\n")[0].partition(f" ({RAISED} [")[0]
    return line if len(line) <= _LONGEST_CAUSE else f"{line[: _LONGEST_CAUSE - 3]}..."


def is_storable(text: str) -> bool:
    """Whether every database can keep a text, and be asked for it.

    PostgreSQL refuses NUL, and all of them half a surrogate pair.
    """
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
