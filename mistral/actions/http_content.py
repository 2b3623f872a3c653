"""The content of an HTTP answer: JSON where it is that, else text.

Which of the two it is must not depend on the letters in it: bytes are decoded by the declared
charset, and what doesn't fit in it is replaced.
"""

from __future__ import annotations

import codecs
import email.message
import encodings
import encodings.aliases
import functools
import pkgutil
from collections.abc import Iterator
from typing import Any

from mistral.utils import json

_UTF8 = ("utf-8", "utf8", "us-ascii", "ascii")
#: No charsets of documents; decoding takes quadratic time.
_NOT_CHARSETS = frozenset(("idna", "punycode", "undefined"))


def decoded(body: bytes, content_type: str, containers: int = 1_000_000) -> Any:
    """The body as data. Its charset is never guessed from its bytes: that takes seconds."""
    declared = _declared(content_type)
    # what HTTP says of texts without a charset
    usual = "iso-8859-1" if content_type.lower().startswith("text/") else "utf-8"
    for text in _texts(body, declared, usual):
        try:
            # only what can be kept as it is: no NaN, and nothing nested too deeply
            return json.parse(text, json.ContainerLimit(containers))
        except ValueError:
            continue
    return body.decode(declared or usual, "replace")


def _texts(body: bytes, declared: str | None, usual: str) -> Iterator[str | bytes]:
    """What may be JSON, the likeliest first."""
    if declared and declared not in _UTF8:
        yield body.decode(declared, "replace").removeprefix("\ufeff")
    # also when another charset is declared wrongly
    yield body
    yield body.decode(usual, "replace").removeprefix("\ufeff")


def _declared(content_type: str) -> str | None:
    """The charset, where one is named that can be used."""
    header = email.message.Message()
    header["Content-Type"] = content_type
    charset = header.get_content_charset()
    known = charset and encodings.normalize_encoding(charset) in _charsets()
    return charset if known else None


@functools.cache
def _charsets() -> frozenset[str]:
    """Names of encodings of text. Others are not looked up: each look leaves an entry behind."""
    names = {module.name for module in pkgutil.iter_modules(encodings.__path__)}
    names |= {*encodings.aliases.aliases, *encodings.aliases.aliases.values()}
    return frozenset(name for name in names - _NOT_CHARSETS if _is_of_text(name))


def _is_of_text(name: str) -> bool:
    try:
        return bool(vars(codecs.lookup(name)).get("_is_text_encoding", True))
    except (LookupError, ImportError):
        # modules that are no encodings, and those of other systems
        return False
