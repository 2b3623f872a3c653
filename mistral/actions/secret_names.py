"""Which names say that what they name is secret: parameters, headers, keys of mappings."""

from __future__ import annotations

import functools
import re

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
#: A word that ends like this makes a secret, wherever it stands: ``db_password_2``, ``authtoken``.
_ENDS = ("password", "passwords", "passwd", "passphrase", "secret", "token", "credential") + (
    "credentials",
    "cookie",
    "cookies",
    "authorization",
    "apikey",
)
#: One of these only as it is ...
_SECRETS = frozenset(("pwd", "passcode", "jwt"))
#: ... and one of these as the last.
_LAST = frozenset(("auth", "authentication", "signature", "sig", "otp"))
#: What is a key of something secret: ``private_key``.
_KEYS = frozenset(
    ("api", "private", "secret", "access", "auth", "signing", "encryption", "ssh", "master")
    + ("shared", "subscription")
)
#: What only speaks of a secret has one of these at its end: ``token_url``, ``password_policy``.
_DESCRIPTIONS = frozenset(
    ("url", "uri", "type", "kind", "name", "policy", "length", "ttl", "expiry", "expires")
    + ("expiration", "count", "limit", "method", "file", "filename", "path", "endpoint")
)


@functools.lru_cache(maxsize=4096)
def is_secret(name: str) -> bool:
    """Whether a name says that its value is secret; ``max_tokens`` and ``author`` do not."""
    words = _words(name)
    if not words or words[-1] in _DESCRIPTIONS:
        return False
    if words[-1] in _LAST or any(word in _SECRETS or word.endswith(_ENDS) for word in words):
        return True
    return any(a in _KEYS and b == "key" for a, b in zip(words, words[1:], strict=False))


def only_speaks(name: str) -> bool:
    """Whether a name says something about a thing instead of being it."""
    words = _words(name)
    return bool(words) and words[-1] in _DESCRIPTIONS


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name[-128:])]
