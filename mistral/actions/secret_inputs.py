"""Taking the secrets out of an action's input (law 9): what may be shown, and what is encrypted."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

from mistral.actions.masking import MASK
from mistral.actions.secret_names import is_secret
from mistral_lib.actions.secret import Secret

#: The password in the address of a server.
_USERINFO = re.compile(r"(//[^/?#\s:@]{0,256}:)[^/?#\s@]+(?=@)")
#: ``name=value`` in a query or in a form.
_PAIR = re.compile(r"(?<![^?&])([\w.\[\]-]{1,128})=([^&\s#]+)")
#: ``"name": "value"`` in the text of a JSON document.
_MEMBER = re.compile(r'"([^"\\]{1,128})"(\s{0,8}:\s{0,8})("(?:[^"\\]|\\.)*"|[0-9.eE+-]+)')
MIN_PART = 4
"""A shorter text that is part of a secret is no secret by itself."""


@dataclasses.dataclass(frozen=True)
class Hidden:
    """An input without its secrets, and the values of those parameters that have some."""

    shown: Mapping[str, Any]
    secrets: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)


def hide(marks: Mapping[str, Secret], given: Mapping[str, Any]) -> Hidden:
    """Take the secrets out of an input.

    Parameters without a mark count by their names. What holds no secret stays the same object.
    """
    shown: dict[str, Any] = {}
    secrets: dict[str, Any] = {}
    for name, value in given.items():
        mark = marks.get(name)
        if mark is not None and mark.by_name:
            shown[name] = by_name(value)
        elif mark is not None or is_secret(name):
            shown[name] = masked(value)
        else:
            shown[name] = value
        if shown[name] is not value:
            secrets[name] = value
    return Hidden(shown, secrets)


def masked(value: Any) -> Any:
    """What is shown instead of a secret; nothing at all is none."""
    return value if value is None or isinstance(value, bool) or value in ("", [], {}) else MASK


def by_name(value: Any) -> Any:
    """A value without the parts whose names say that they are secret; itself if there are none."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        parts = {
            name: masked(part) if isinstance(name, str) and is_secret(name) else by_name(part)
            for name, part in value.items()
        }
        return parts if any(parts[name] is not value[name] for name in parts) else value
    if isinstance(value, (list, tuple)):
        items = [by_name(item) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    return value


def _text(text: str) -> str:
    changed = _USERINFO.sub(rf"\1{MASK}", text)
    if "=" in changed:
        changed = _PAIR.sub(lambda m: f"{m[1]}={MASK}" if is_secret(m[1]) else m[0], changed)
    if '"' in changed:
        changed = _MEMBER.sub(
            lambda m: f'"{m[1]}"{m[2]}"{MASK}"' if is_secret(m[1]) else m[0], changed
        )
    return text if changed == text else changed


def without(value: Any, secrets: frozenset[str]) -> Any:
    """A value without what is, or is part of, one of some secret texts; itself if there is none."""
    if isinstance(value, Mapping):
        parts = {name: without(part, secrets) for name, part in value.items()}
        return parts if any(parts[name] is not value[name] for name in parts) else value
    if isinstance(value, (list, tuple)):
        items = [without(item, secrets) for item in value]
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if value is None or isinstance(value, bool):
        return value
    text = str(value)
    is_part = len(text) >= MIN_PART and any(text in secret for secret in secrets)
    return MASK if is_part or text in secrets else value


def hidden_texts(clear: Any, shown: Any) -> Iterator[str]:
    """The secret texts of a value, told by what is shown instead of it."""
    if clear is shown:
        return
    if isinstance(clear, Mapping) and isinstance(shown, Mapping):
        for name, part in clear.items():
            yield from hidden_texts(part, shown.get(name))
    elif isinstance(clear, (list, tuple)) and isinstance(shown, (list, tuple)):
        for part, other in zip(clear, shown, strict=True):
            yield from hidden_texts(part, other)
    else:
        yield from _leaves(clear)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _leaves(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _leaves(part)
    elif value is not None and not isinstance(value, bool) and value != "":
        yield str(value)
