"""All processes are restarted one by one, as for an upgrade: nobody notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from load import Client
from load_round import Round


def _errors(ended: Round) -> set[str]:
    client = Client(ended.site.urls, ended.load.ledger)
    return {row["id"] for row in client.all("/tasks?fields=id&state=ERROR")}


@pytest.mark.timeout(600)
def test_restart_one_by_one(under_load: Round, nothing_lost: Callable[[Round], None]) -> None:
    """A client that repeats what was refused or answered 503 sees nothing else.

    What runs in an executor may end: no action is lost, not even one that must not run twice.
    """
    before = _errors(under_load)
    with under_load:
        for name in under_load.site.names:
            under_load.wait_progress()
            under_load.site.restart(name)
        under_load.wait_progress()
    nothing_lost(under_load)
    assert under_load.load.ledger.broken == []
    assert under_load.party.callbacks.broken == []
    assert _errors(under_load) == before
