"""Identifiers: UUIDs that sort by the time they were made.

The layout is that of RFC 9562 version 7 (48 bits of milliseconds first), so rows inserted one
after the other lie next to each other in an index and lists sorted by ``created_at, id`` keep
the order of creation within one second.
"""

from __future__ import annotations

import os
import re
import threading
import time

_UUID = re.compile(
    r"^\{?(urn:uuid:)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?$", re.I
)


class IdSource:
    """Makes identifiers that never go backwards within one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def new(self) -> str:
        """A new identifier: 36 characters, hexadecimal digits and hyphens."""
        # 48 bits of milliseconds and 12 bits of a fraction of one: one tick is about 244 ns
        tick = time.time_ns() * 4096 // 1_000_000
        with self._lock:
            self._last = tick = max(tick, self._last + 1)
        rest = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
        value = (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | rest
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


_source = IdSource()
new_id = _source.new


def looks_like_uuid(text: str) -> bool:
    """Whether a text is a UUID in one of its usual spellings."""
    return bool(_UUID.match(text))
