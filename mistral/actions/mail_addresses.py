"""Addresses of mail as people write them: ``a@x.org``, ``Zoë Ops <b@x.org>``, several in a text.

What can't be read is refused with a sentence that names the parameter; nothing is dropped.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from email.headerregistry import Address
from typing import Any

_MAX_NAME, _MAX_LOCAL, _MAX_DOMAIN = 256, 64, 253
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
#: Pieces between which a comma separates addresses: quoted texts, comments, angles, others.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|\([^()]*\)|<[^<>]*>|,|[^",(<]+|.', re.S)
_ANGLED = re.compile(r"^(?P<name>.*)<(?P<address>[^<>]*)>$", re.S)
_COMMENTED = re.compile(r"^(?P<address>[^\s()]+)\s*\((?P<name>[^()]*)\)$")
_ESCAPED = re.compile(r"\\(.)", re.S)


@dataclasses.dataclass(frozen=True)
class Mailbox:
    """An address with the name of its owner, which may be empty."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """What the server is told."""
        return f"{self.local}@{self.domain}"

    def for_header(self) -> Address:
        """What the message says."""
        return Address(self.name, self.local, self.domain)


def mailboxes(parameter: str, value: Any) -> list[Mailbox]:
    """The addresses of a text, or of a list of texts; ValueError with a sentence."""
    if value is None:
        return []
    elements = value if isinstance(value, (list, tuple)) else [value]
    return [box for element in elements for box in _of_text(parameter, element)]


def has_control(text: str) -> bool:
    """Whether a text has characters that would begin a line of their own, or worse."""
    return bool(_CONTROL.search(text))


def _of_text(parameter: str, text: Any) -> Iterator[Mailbox]:
    if not isinstance(text, str):
        raise ValueError(f"the parameter '{parameter}' must be an address or a list of addresses")
    if has_control(text):
        raise ValueError(f"an address in the parameter '{parameter}' has a line break or the like")
    for piece in _split(text):
        yield _mailbox(parameter, piece)


def _split(text: str) -> Iterator[str]:
    """The parts between commas; empty ones count for nothing."""
    part: list[str] = []
    for token in [*_TOKEN.findall(text), ","]:
        if token != ",":
            part.append(token)
            continue
        piece = "".join(part).strip()
        part = []
        if piece:
            yield piece


def _mailbox(parameter: str, piece: str) -> Mailbox:
    found = _ANGLED.match(piece) or _COMMENTED.match(piece)
    name, address = (found["name"], found["address"].strip()) if found else ("", piece)
    local, _, domain = address.rpartition("@")
    name = _unquoted(name.strip())
    is_good = (
        0 < len(local) <= _MAX_LOCAL
        and 0 < len(domain) <= _MAX_DOMAIN
        and len(name) <= _MAX_NAME
        and not re.search(r'[\s<>()\[\]:;@\\,"]', local)
        and not re.search(r'[\s<>()@\\,;"]', domain)
    )
    if not is_good:
        raise ValueError(
            f"'{piece[:100]}' in the parameter '{parameter}' is no email address; a name with a "
            'comma needs quotes: "Doe, John" <john@example.org>'
        )
    return Mailbox(name, local, domain if domain.isascii() else _in_ascii(parameter, domain))


def _unquoted(name: str) -> str:
    if len(name) >= 2 and name[0] == name[-1] == '"':
        return _ESCAPED.sub(r"\1", name[1:-1])
    return name


def _in_ascii(parameter: str, domain: str) -> str:
    """The form of an international domain that every server understands."""
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        raise ValueError(
            f"'{domain[:100]}' in the parameter '{parameter}' is no domain of email addresses"
        ) from None
