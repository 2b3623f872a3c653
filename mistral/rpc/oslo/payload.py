"""The body of a message: our own JSON inside one text.

oslo.messaging encodes a message as JSON twice, slowly, and escapes every quote each time. One text
made by orjson passes that cheaply; a long one is compressed first.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

from mistral.utils import json

_COMPRESS_FROM = 8 * 1024
_PACKED = "z"


def pack(value: Any) -> str:
    """A JSON-able value as a text."""
    body = json.dump_bytes(value)
    if len(body) < _COMPRESS_FROM:
        return body.decode()
    return _PACKED + base64.b64encode(zlib.compress(body, 1)).decode()


def unpack(text: str) -> Any:
    """The opposite of :func:`pack`; no JSON text begins with the mark of a compressed one."""
    if text.startswith(_PACKED):
        return json.loads(zlib.decompress(base64.b64decode(text[len(_PACKED) :])))
    return json.loads(text)
