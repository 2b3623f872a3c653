"""The order of those who want to write where only one can."""

from __future__ import annotations

import threading

import processes

from mistral.db.core.database import FairLock

PATIENCE = 10.0


def _order(arrivals: str) -> str:
    """Who is served when, of those who come while somebody else holds the lock."""
    lock, served = FairLock(), []

    def take(name: str) -> None:
        with lock.turn(urgent=name.isupper()):
            served.append(name)

    threads = [threading.Thread(target=take, args=(name,)) for name in arrivals]
    with lock.turn():
        for number, thread in enumerate(threads, 1):
            thread.start()
            processes.wait_until(
                lambda number=number: len(lock._usual) + len(lock._urgent) == number,
                "it waits",
                PATIENCE,
            )
    for thread in threads:
        thread.join(PATIENCE)
    return "".join(served)


def test_in_the_order_of_arrival() -> None:
    assert _order("abc") == "abc"
    assert _order("ABC") == "ABC"


def test_the_urgent_go_before_and_keep_nobody_out() -> None:
    assert _order("abcABCD") == "AaBbCcD"
    assert _order("abA") == "Aab"
