"""Bags, and the large values behind them: in memory and in the table."""

from __future__ import annotations

import string
from collections.abc import Iterable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from mistral.db.core import tables
from mistral.db.core.column_types import FreeText
from mistral.db.core.database import Database
from mistral.db.execution import large_values
from mistral.utils import json
from mistral.workflow.entities import TaskExecution
from mistral.workflow.values import EMPTY, INLINE_LIMIT, Bag, Ref, Values

LARGE = "x" * (INLINE_LIMIT + 1)

# a busy machine is no reason to fail
patient = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
names = st.text(string.ascii_lowercase, min_size=1, max_size=3)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('aü"\\ ', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
refs = st.builds(Ref, st.sampled_from(["a" * 64, "b" * 64, "c" * 64]), st.integers(1025, 9999))
bags = st.builds(
    lambda inline, big: Bag({k: v for k, v in inline.items() if k not in big}, big),
    st.dictionaries(names, plain, max_size=4),
    st.dictionaries(names, refs, max_size=3),
)


class Stored:
    """Loads from a dictionary and remembers what was asked for."""

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.asked: list[list[str]] = []

    def __call__(self, hashes: Iterable[str]) -> dict[str, bytes]:
        self.asked.append(list(hashes))
        return {digest: self.texts[digest] for digest in self.asked[-1] if digest in self.texts}


@pytest.fixture
def stored() -> Stored:
    return Stored()


@patient
@given(bags)
def test_decode_is_the_opposite_of_encode(bag: Bag) -> None:
    assert Bag.decode(bag.encode()) == bag


@patient
@given(bags, bags)
def test_updated_replaces_whole_values(below: Bag, above: Bag) -> None:
    both = below.updated(above)
    assert set(both) == set(below) | set(above)
    for name in both:
        source = above if name in above else below
        assert both.inline.get(name) == source.inline.get(name)
        assert both.refs.get(name) == source.refs.get(name)


@patient
@given(bags, bags)
def test_updated_changes_neither(below: Bag, above: Bag) -> None:
    before = below.encode(), above.encode()
    below.updated(above).inline["new"] = 1
    below.without(["a"]).inline["new"] = 1
    if below and above:
        assert (below.encode(), above.encode()) == before


@patient
@given(bags, st.sets(names, max_size=3))
def test_without(bag: Bag, dropped: set[str]) -> None:
    assert set(bag.without(dropped)) == set(bag) - dropped


def test_an_empty_bag() -> None:
    assert not EMPTY
    assert len(EMPTY) == 0
    assert EMPTY.encode() == "{}"
    assert Bag.decode(None) == Bag.decode("") == Bag.decode("{}") == EMPTY


def test_a_bag_of_small_values_is_plain_json() -> None:
    assert json.loads(Bag({"a": [1, "ü"]}).encode()) == {"a": [1, "ü"]}


def test_size_counts_what_is_stored_apart() -> None:
    assert Bag({"a": 1}, {"b": Ref("0" * 64, 5000)}).size == len('{"a":1}') + 5000


def test_a_bag_never_shows_its_content() -> None:
    assert "secret" not in repr(Bag({"a": "secret"}))


@pytest.mark.parametrize("value", [None, True, 10**6, "x" * 100, [1, 2], {"a": "b"}])
def test_small_values_stay_inline(stored: Stored, value: Any) -> None:
    values = Values(stored)
    bag = values.pack({"v": value})
    assert bag.inline == {"v": value}
    assert values.new == {}
    assert values.get(bag, "v") == value


@pytest.mark.parametrize("value", [LARGE, [LARGE], {"a": LARGE}, ["ü" * INLINE_LIMIT]])
def test_large_values_are_stored_once(stored: Stored, value: Any) -> None:
    values = Values(stored)
    first, second = values.pack({"v": value}), values.pack({"w": value})
    assert first.refs["v"] == second.refs["w"]
    assert list(values.new.values()) == [json.dump_bytes(value)]
    assert values.unpack(first) == {"v": value}
    assert stored.asked == []


def test_equal_values_have_one_name(stored: Stored) -> None:
    values = Values(stored)
    one, other = values.pack({"v": [LARGE]}), values.pack({"v": [LARGE]})
    assert one == other
    assert len(values.new) == 1


def test_the_limit_is_in_bytes(stored: Stored) -> None:
    values = Values(stored)
    assert values.pack({"v": "x" * (INLINE_LIMIT - 2)}).inline
    assert values.pack({"v": "x" * (INLINE_LIMIT - 1)}).refs
    assert values.pack({"v": "ü" * (INLINE_LIMIT // 2)}).refs


def test_values_are_loaded_when_asked_for_and_once(stored: Stored) -> None:
    writer = Values(stored)
    bag = writer.pack({"a": LARGE, "b": [LARGE], "c": 1})
    stored.texts = dict(writer.new)
    reader = Values(stored)
    assert reader.get(bag, "c") == 1
    assert stored.asked == []
    assert reader.get(bag, "a") == LARGE
    assert reader.get(bag, "a") == LARGE
    assert stored.asked == [[bag.refs["a"].hash]]
    assert reader.unpack(bag) == {"a": LARGE, "b": [LARGE], "c": 1}
    assert len(stored.asked) == 2


def test_prefetch_asks_once_for_several_bags(stored: Stored) -> None:
    writer = Values(stored)
    bags = [writer.pack({"v": [LARGE, n]}) for n in range(3)]
    stored.texts = dict(writer.new)
    reader = Values(stored)
    reader.prefetch(bags)
    assert [reader.get(bag, "v")[1] for bag in bags] == [0, 1, 2]
    assert len(stored.asked) == 1


def test_a_value_that_was_loaded_is_not_stored_again(stored: Stored) -> None:
    writer = Values(stored)
    bag = writer.pack({"v": [LARGE]})
    stored.texts = dict(writer.new)
    reader = Values(stored)
    passed_on = reader.pack({"w": reader.get(bag, "v")})
    assert passed_on.refs["w"] == bag.refs["v"]
    assert reader.new == {}


def test_unknown_names(stored: Stored) -> None:
    with pytest.raises(KeyError):
        Values(stored).get(Bag({"a": 1}), "b")


def store(conn: sa.Connection, root_id: str, value: Any) -> Bag:
    values = large_values.loader(conn, root_id)
    bag = values.pack({"v": value})
    large_values.store(conn, root_id, values.new)
    return bag


def test_the_table_keeps_one_copy_per_root(database: Database) -> None:
    value = {"text": LARGE, "emoji": "\U0001f600", "number": 2**80}
    bags = [database.write(lambda c, r=root: store(c, r, value)) for root in ("r1", "r1", "r2")]
    assert bags[0] == bags[1] == bags[2]
    rows = database.read(lambda c: c.execute(sa.select(tables.execution_values)).all())
    assert sorted(row.root_execution_id for row in rows) == ["r1", "r2"]
    loaded = database.read(lambda c: large_values.loader(c, "r2").unpack(bags[0]))
    assert loaded == {"v": value}


def test_values_of_another_root_are_invisible(database: Database) -> None:
    bag = database.write(lambda c: store(c, "r1", LARGE))
    with pytest.raises(KeyError):
        database.read(lambda c: large_values.loader(c, "r2").get(bag, "v"))


def test_storing_nothing_asks_nothing(database: Database) -> None:
    database.read(lambda conn: large_values.store(conn, "r1", {}))


@pytest.mark.parametrize(
    ("old", "new"), [(1, True), (False, 0), (1, 1.0), ({"a": [0]}, {"a": [False]})]
)
def test_values_that_only_python_takes_for_equal_are_changes(old: Any, new: Any) -> None:
    task_ex = TaskExecution(id="1", name="t", workflow_execution_id="2", published=Bag({"x": old}))

    task_ex.published = Bag({"x": new})

    assert task_ex.changed == {"published"}


def test_a_bag_set_again_is_no_change() -> None:
    task_ex = TaskExecution(id="1", name="t", workflow_execution_id="2", published=Bag({"x": [1]}))

    task_ex.published = Bag({"x": [1]})

    assert task_ex.changed == set()


@pytest.mark.parametrize(
    ("text", "kept"),
    [(None, None), ("", ""), ("plain ü", "plain ü"), ("a\0b", "a\ufffdb"), ("\ud800x", "\ufffdx")],
)
def test_free_texts_are_shown_with_substitutes(text: str | None, kept: str | None) -> None:
    assert FreeText().process_bind_param(text, sqlite.dialect()) == kept
