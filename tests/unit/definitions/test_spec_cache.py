"""The cache of parsed workflows: bounded, and safe between threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from mistral.definitions.specs import SpecCache


class Loader:
    """Makes a workflow of any hash; counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, spec_hash: str) -> Mapping[str, Any]:
        self.asked.append(spec_hash)
        return {"name": f"wf-{spec_hash}", "tasks": {"t": {"action": "std.noop"}}}


def test_each_is_built_once() -> None:
    cache, load = SpecCache(10), Loader()
    first = cache.get("a", load)
    assert first.name == "wf-a"
    assert cache.get("a", load) is first
    assert load.asked == ["a"]


def test_the_one_not_used_for_longest_goes() -> None:
    cache, load = SpecCache(2), Loader()
    for spec_hash in ("a", "b", "a", "c", "a", "b"):
        cache.get(spec_hash, load)
    assert load.asked == ["a", "b", "c", "b"]
    assert cache.size == 2


def test_threads_get_the_same_specification() -> None:
    cache, load = SpecCache(3), Loader()
    barrier = threading.Barrier(8)
    found: list[list[object]] = []

    def run() -> None:
        barrier.wait(10)
        found.append([cache.get(name, load) for name in ("a", "b", "a", "b")])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert all(a is b for each in found for a, b in zip(each, found[0], strict=True))
    assert cache.size == 2
