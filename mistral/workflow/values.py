"""Values of a workflow: small ones lie in their row, large ones once per root execution.

A :class:`Bag` is a mapping of variable names in which large values are only named, by the hash of
their content. Whoever needs the content asks :class:`Values`, which loads what is stored and keeps
what is new until the transaction writes it (law 8).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from mistral import exceptions as exc
from mistral.utils import json

INLINE_LIMIT = 1024
"""Values whose JSON text has more bytes than this are stored apart."""


class Ref(NamedTuple):
    """Names a stored value: SHA-256 of its JSON text (hex) and the size of that text in bytes."""

    hash: str
    size: int


def same(left: Any, right: Any) -> bool:
    """Whether two values are the same in JSON: ``true``, ``1`` and ``1.0`` are three of them."""
    return left is right or (left == right and json.canonical(left) == json.canonical(right))


_NO_VERSIONS: Final[Mapping[str, int]] = MappingProxyType({})
_NO_LINES: Final[Mapping[str, str]] = MappingProxyType({})


class Bag:
    """An immutable mapping from names to values, some of them only referred to.

    ``versions`` and ``lines`` are no entries: they tell of publications unless the operator does
    not want that (see :mod:`mistral.workflow.versions`), and are empty otherwise.
    """

    __slots__ = ("inline", "lines", "refs", "versions")

    def __init__(
        self,
        inline: Mapping[str, Any] | None = None,
        refs: Mapping[str, Ref] | None = None,
        versions: Mapping[str, int] = _NO_VERSIONS,
        lines: Mapping[str, str] = _NO_LINES,
    ) -> None:
        self.inline: dict[str, Any] = dict(inline or {})
        self.refs: dict[str, Ref] = dict(refs or {})
        self.versions = versions
        self.lines = lines

    def __contains__(self, name: object) -> bool:
        return name in self.inline or name in self.refs

    def __iter__(self) -> Iterator[str]:
        yield from self.inline
        yield from self.refs

    def __len__(self) -> int:
        return len(self.inline) + len(self.refs)

    def __bool__(self) -> bool:
        return bool(self.inline or self.refs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bag):
            return NotImplemented
        return (
            self.refs == other.refs
            and self.versions == other.versions
            and self.lines == other.lines
            and same(self.inline, other.inline)
        )

    def __hash__(self) -> int:
        return hash(frozenset(self))

    def __repr__(self) -> str:
        return f"Bag({sorted(self)})"

    def updated(self, other: Bag) -> Bag:
        """This bag with the other's entries on top (doc:language/publishing#where-variables-go)."""
        if not other:
            return self
        if not self:
            return other
        inline = {k: v for k, v in self.inline.items() if k not in other.refs}
        refs = {k: v for k, v in self.refs.items() if k not in other.inline}
        inline.update(other.inline)
        refs.update(other.refs)
        return Bag(inline, refs, self.versions or other.versions, self.lines or other.lines)

    def without(self, names: Iterable[str]) -> Bag:
        """This bag less some names."""
        drop = set(names)
        return Bag(
            {k: v for k, v in self.inline.items() if k not in drop},
            {k: v for k, v in self.refs.items() if k not in drop},
            self.versions,
            self.lines,
        )

    def only(self, name: str) -> Bag:
        """The entry of one name."""
        if name in self.refs:
            return Bag(refs={name: self.refs[name]})
        return Bag({name: self.inline[name]})

    def versioned(
        self,
        versions: Mapping[str, int] = _NO_VERSIONS,
        lines: Mapping[str, str] = _NO_LINES,
    ) -> Bag:
        """The same entries with something else known of their publications, or nothing."""
        if versions == self.versions and lines == self.lines:
            return self
        return Bag(self.inline, self.refs, versions, lines)

    def encode(self) -> str:
        """Text for a column: plain JSON, or ``@`` and a JSON object with inline and refs."""
        if not (self.refs or self.versions or self.lines):
            return json.dumps(self.inline)
        parts: dict[str, Any] = {"v": self.inline, "r": self.refs}
        if self.versions:
            parts["n"] = dict(self.versions)
        if self.lines:
            parts["l"] = dict(self.lines)
        return "@" + json.dumps(parts)

    @classmethod
    def decode(cls, text: str | None) -> Bag:
        """The opposite of :meth:`encode`; no text gives an empty bag."""
        if not text or text == "{}":
            return cls()
        if text[0] != "@":
            return cls(json.loads(text))
        parts = json.loads(text[1:])
        refs = {k: Ref(*v) for k, v in parts["r"].items()}
        return cls(parts["v"], refs, parts.get("n", _NO_VERSIONS), parts.get("l", _NO_LINES))

    @property
    def size(self) -> int:
        """Bytes of the whole content as JSON text, closely enough for limits."""
        return len(json.dump_bytes(self.inline)) + sum(r.size for r in self.refs.values())


EMPTY = Bag()

_SCALARS = (int, float, bool, type(None))


def _kept(value: Any) -> bytes:
    try:
        return json.dump_value(value)
    except ValueError as error:
        raise exc.UnencodableValueException(f"A value can't be kept as JSON: {error}") from None


class Values:
    """The large values of one root execution, as one transaction sees them.

    ``load`` gets hashes and answers with the JSON texts found for them; ``most_at_once`` is how
    many bytes may be asked for together (negative: any number).
    """

    def __init__(self, load: Callable[[Iterable[str]], Mapping[str, str | bytes]]) -> None:
        self._load = load
        self.most_at_once = -1
        self._loaded: dict[str, Any] = {}
        self._by_identity: dict[int, Ref] = {}
        self.new: dict[str, bytes] = {}
        self.new_size = 0
        """Bytes of all that was new."""

    def pack(self, values: Mapping[str, Any]) -> Bag:
        """A bag of plain values; the large ones are kept in :attr:`new` to be stored."""
        inline: dict[str, Any] = {}
        refs: dict[str, Ref] = {}
        for name, value in values.items():
            ref = self._ref(value)
            if ref is None:
                inline[name] = value
            else:
                refs[name] = ref
        return Bag(inline, refs)

    def _ref(self, value: Any) -> Ref | None:
        if isinstance(value, _SCALARS):
            return None
        if isinstance(value, str) and len(value) * 4 <= INLINE_LIMIT:
            return None
        known = self._by_identity.get(id(value))
        if known is not None:
            return known
        text = _kept(value)
        if len(text) <= INLINE_LIMIT:
            return None
        ref = Ref(hashlib.sha256(text).hexdigest(), len(text))
        if ref.hash not in self._loaded:
            self.new[ref.hash] = text
            self.new_size += ref.size
            self._remember(ref, value)
        return ref

    def _remember(self, ref: Ref, value: Any) -> None:
        self._loaded[ref.hash] = value
        self._by_identity[id(value)] = ref

    def prefetch(self, bags: Iterable[Bag]) -> None:
        """Load what several bags refer to with one look.

        :raises BoundExceededException: that is too much.
        """
        missing = {
            ref.hash: ref
            for bag in bags
            for ref in bag.refs.values()
            if ref.hash not in self._loaded
        }
        size = sum(ref.size for ref in missing.values())
        if 0 <= self.most_at_once < size:
            raise exc.BoundExceededException(
                f"Values of {size >> 20} MiB are asked for together, [engine] values_loaded_mb "
                f"allows {self.most_at_once >> 20}"
            )
        if missing:
            for digest, text in self._load(sorted(missing)).items():
                self._remember(missing[digest], json.loads(text))

    def get(self, bag: Bag, name: str) -> Any:
        """The value of a name; KeyError when the bag has no such name."""
        if name in bag.inline:
            return bag.inline[name]
        ref = bag.refs[name]
        if ref.hash not in self._loaded:
            self.prefetch([Bag(refs={name: ref})])
        return self._loaded[ref.hash]

    def unpack(self, bag: Bag) -> dict[str, Any]:
        """The whole content of a bag."""
        if not bag.refs:
            return dict(bag.inline)
        self.prefetch([bag])
        return {name: self.get(bag, name) for name in bag}
