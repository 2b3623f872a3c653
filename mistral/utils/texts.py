"""Texts that databases can keep."""

from __future__ import annotations


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
