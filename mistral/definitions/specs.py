"""Parsed workflows in memory: each is built once and kept while it is used."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import cachetools

from mistral.lang import WorkflowSpec, spec_from_raw


class SpecCache:
    """The last used specifications by the hash of their content, so they never grow old."""

    def __init__(self, max_size: int) -> None:
        self._lock = threading.Lock()
        self._specs: cachetools.LRUCache[str, WorkflowSpec] = cachetools.LRUCache(max_size)

    def get(self, spec_hash: str, loader: Callable[[str], Mapping[str, Any]]) -> WorkflowSpec:
        """The specification of a hash; ``loader`` reads it where it is stored.

        Two threads that miss at once both load: waiting for each other would make a thread in a
        transaction wait for another one's.
        """
        with self._lock:
            spec = self._specs.get(spec_hash)
        if spec is None:
            raw = dict(loader(spec_hash))
            spec = spec_from_raw(raw["name"], raw)
            with self._lock:
                spec = self._specs.setdefault(spec_hash, spec)
        return spec

    @property
    def size(self) -> int:
        """How many are kept now."""
        return len(self._specs)
