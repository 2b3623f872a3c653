"""The audit after a round sees each kind of broken promise."""

from __future__ import annotations

import time

from load import Start
from load_round import Round

MISSING = "00000000-0000-4000-8000-000000000001"


def test_what_is_lost_or_done_twice_is_told(under_load: Round) -> None:
    with under_load:
        asked = under_load.load.start("load_ask")
        under_load.load.start("load_chain")
    ledger, party = under_load.load.ledger, under_load.party
    assert under_load.load.wait_ended(60.0)
    assert party.callbacks.wait_idle(60.0)
    under_load.site.installation.require_alive()
    assert under_load.finish().problems == []

    (action_id,) = [
        id_ for id_, value in party.callbacks.acknowledged.items() if asked in value["answer"]
    ]
    ledger.starts[MISSING] = Start("load_ask", 0.0, time.monotonic(), time.monotonic())
    ledger.starts[asked].workflow = "load_chain"
    party.callbacks.acknowledged[action_id] = "never delivered"
    party.callbacks.acknowledged[MISSING] = 1
    party.starts["unsafe"]["some.key"] = 2
    ledger.surprises.append("POST /executions: 500")

    found = under_load.finish()
    assert found.counts.lost == 4
    assert found.counts.unsafe_starts_most_per_key == 2
    told = "\n".join(found.problems)
    for part in (
        f"load_ask {MISSING}: the start was answered, but there is no such execution",
        f"load_chain {asked}: its tasks are",
        f"callback {action_id} was answered 200, but it is SUCCESS with",
        f"callback {MISSING} was answered 200, but there is no such action",
        "some.key must not run twice, but was started 2 times",
        "POST /executions: 500",
    ):
        assert part in told
    assert len(found.problems) == 6
