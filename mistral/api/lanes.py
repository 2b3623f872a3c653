"""Kinds of requests, each with workers of its own in the built-in server.

A start waits for an engine, a run of a single action for its end, a document for its check. None of
them may hold up the results that third parties deliver, nor those who only look. A route tells the
kind of its requests.
"""

from __future__ import annotations

from typing import Final

RESULTS: Final = "results"
STARTS: Final = "starts"
ACTIONS: Final = "actions"
COMMANDS: Final = "commands"
DOCUMENTS: Final = "documents"
QUICK: Final = "quick"


def workers(threads: int) -> dict[str, int]:
    """How many workers each kind has.

    Those that wait for others cost nothing meanwhile; of those that compute, more would only be
    in each other's way, and in that of results. Starts do both: a few are as fast as many.
    """
    few, fewer = max(1, threads // 4), max(1, threads // 8)
    return {
        RESULTS: few,
        STARTS: fewer,
        ACTIONS: threads,
        COMMANDS: max(1, threads // 2),
        DOCUMENTS: fewer,
        QUICK: few,
    }
