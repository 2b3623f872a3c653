"""States of executions and the one table of their legal transitions (doc:language/states)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

IDLE: Final = "IDLE"
WAITING: Final = "WAITING"
RUNNING: Final = "RUNNING"
DELAYED: Final = "DELAYED"
PAUSED: Final = "PAUSED"
SUCCESS: Final = "SUCCESS"
ERROR: Final = "ERROR"
CANCELLED: Final = "CANCELLED"
SKIPPED: Final = "SKIPPED"

COMPLETED: Final = frozenset({SUCCESS, ERROR, CANCELLED, SKIPPED})
UNFINISHED: Final = frozenset({IDLE, WAITING, RUNNING, DELAYED, PAUSED})
ENV_CHANGEABLE: Final = (IDLE, PAUSED, ERROR)
"""Of a workflow execution: nothing runs that has read the environment already."""

TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    IDLE: frozenset({RUNNING, ERROR, CANCELLED}),
    WAITING: frozenset({RUNNING}),
    RUNNING: frozenset({PAUSED, DELAYED, SUCCESS, ERROR, CANCELLED}),
    DELAYED: frozenset({RUNNING, ERROR, CANCELLED}),
    PAUSED: frozenset({RUNNING, ERROR, CANCELLED}),
    SUCCESS: frozenset(),
    ERROR: frozenset({RUNNING, SKIPPED}),
    CANCELLED: frozenset({RUNNING}),
    SKIPPED: frozenset(),
}


def is_completed(state: str) -> bool:
    """Whether a state is final."""
    return state in COMPLETED


def is_valid_transition(old: str, new: str) -> bool:
    """Whether an execution may go from one state to the other; staying is always legal."""
    return old == new or new in TRANSITIONS.get(old, frozenset())
