"""Which inbound tasks of a join can't come any more (doc:language/joins#waiting)."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from mistral.lang import WorkflowSpec, spec_from_raw
from mistral.workflow import joins
from mistral.workflow.joins import FAILED, READY, EndedJoin


def spec(**outbound: str) -> WorkflowSpec:
    """Tasks with those that follow them; the names of joins begin with j."""
    tasks = {
        name: {"action": "std.noop", "on-success": names.split()}
        | ({"join": "all"} if name.startswith("j") else {})
        for name, names in outbound.items()
    }
    return spec_from_raw("w", {"tasks": tasks})


NESTED = spec(a="j1", b="j1", c="j1", x="j2", j1="j2", j2="")
LOOP = spec(start="fork", fork="a b", a="j1", b="j1", j1="again j2", again="fork", x="j2", j2="")
CHAIN = spec(a="j1", b="j1", j1="j2", c="j2", j2="j3", x="j3", j3="")
FAILED_BY_B = {"a": READY, "b": FAILED}


def dead(where: WorkflowSpec, join: str, active: str, **ended: EndedJoin) -> list[str]:
    """What can't come any more of the inbound tasks of a join."""
    return sorted(joins.dead_inbound(where, join, where.inbound(join), active.split(), ended))


def closed(decided: Mapping[str, str], tolerated: int = 0, is_settled: bool = False) -> EndedJoin:
    return EndedJoin(decided, tolerated, is_settled)


@pytest.mark.parametrize(
    ("active", "join", "lost"),
    [
        # what comes to a join that stays failed does not lead behind it
        ("c x", closed(FAILED_BY_B), ["j1"]),
        # unless who failed it may come once more
        ("b x", closed(FAILED_BY_B), []),
        # or the join may do without
        ("c x", closed(FAILED_BY_B, tolerated=1), []),
        # which an operator has not decided
        ("c x", closed({"a": READY}, tolerated=1, is_settled=True), ["j1"]),
        ("a x", closed({"a": READY}, tolerated=1, is_settled=True), []),
        # a join that something else chooses to run is none that waits
        ("j1 x", closed(FAILED_BY_B), []),
    ],
)
def test_a_way_through_a_join_that_has_ended(active: str, join: EndedJoin, lost: list[str]) -> None:
    assert dead(NESTED, "j2", active) == []
    assert dead(NESTED, "j2", active, j1=join) == lost


def test_a_loop_brings_back_who_failed_a_join() -> None:
    assert dead(LOOP, "j2", "start x", j1=closed(FAILED_BY_B)) == []
    assert dead(LOOP, "j2", "a x", j1=closed(FAILED_BY_B)) == ["j1"]
    # but not by a way through that very join
    assert dead(LOOP, "j2", "again x", j1=closed(FAILED_BY_B)) == []
    assert dead(LOOP, "j2", "x", j1=closed(FAILED_BY_B)) == ["j1"]


def test_joins_that_failed_one_behind_the_other() -> None:
    ended = {"j1": closed({"b": FAILED}), "j2": closed({"j1": FAILED})}
    assert dead(CHAIN, "j3", "a c x", **ended) == ["j2"]
    assert dead(CHAIN, "j3", "b x", **ended) == []
    assert dead(CHAIN, "j3", "a c x", j1=ended["j1"]) == []
