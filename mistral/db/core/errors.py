"""What an error of the database means for the transaction that met it.

Drivers and servers each have codes of their own; everybody else asks here.
"""

from __future__ import annotations

import enum
import sqlite3
from typing import Any, TypeAlias

import sqlalchemy as sa

from mistral import exceptions as exc


class Failure(enum.Enum):
    """Failures that are about the moment, not about the transaction."""

    CONFLICT = "another transaction was in the way; this one is rolled back"
    LOST = "the server is away; at a COMMIT nobody knows how it ended"
    FULL = "there is no room left; this transaction is rolled back"


_CONFLICT_STATES = frozenset({"40001", "40P01", "55P03"})
_LOST_STATES = frozenset(
    {
        "57P01",  # the server shuts down
        "57P02",  # it crashed
        "57P03",  # it starts
        "53300",  # all its connections are taken
        "25006",  # it became a standby
        "25P03",  # this process slept in the middle of a transaction
    }
)
_FULL_STATES = frozenset({"53100"})
# lock wait, deadlock (in a Galera cluster also a failed certification), changed since it was read
_CONFLICT_CODES = frozenset({1205, 1213, 1020})
_LOST_CODES = frozenset(
    {
        1040,  # all connections are taken
        1047,  # this node of a cluster has no quorum or is still joining
        1053,  # the server shuts down
        1077,
        1079,
        1203,  # all connections of this user are taken
        1290,  # it became a read-only replica
        1927,  # the connection was killed
        2002,
        2003,
        2006,
        2013,
    }
)
_FULL_CODES = frozenset({1021, 1114})
_USELESS_STATES = frozenset({"25006"})
_USELESS_CODES = frozenset({1047, 1290})
_SQLITE_FULL = "database or disk is full"
_SQLITE_BUSY = "database is locked"

_REFUSALS = (
    "authentication failed",
    "does not exist",
    "no pg_hba.conf entry",
    "unable to open database file",
    "file is not a database",
)
_REFUSAL_CODES = frozenset({1044, 1045, 1049, 1130, 1698})


DatabaseError: TypeAlias = sa.exc.SQLAlchemyError
"""Whatever the database's library raises."""


class DuplicateRowError(Exception):
    """A row was to be inserted that is there already."""


def classify(error: BaseException) -> Failure | None:
    """What kind of failure an error is; None when it would come again, too."""
    if isinstance(error, sa.exc.TimeoutError):
        return Failure.LOST
    if not isinstance(error, sa.exc.DBAPIError):
        return None
    kind = _by_code(error)
    if kind is not None:
        return kind
    if error.connection_invalidated:
        return Failure.LOST
    # connecting or committing failed: the server is away, perhaps it only starts again
    is_about_server = isinstance(error, sa.exc.OperationalError) and error.statement is None
    return Failure.LOST if is_about_server else None


def _by_code(error: sa.exc.DBAPIError) -> Failure | None:
    original: Any = error.orig
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return _of(state, _CONFLICT_STATES, _LOST_STATES, _FULL_STATES) or (
            Failure.LOST if state.startswith("08") else None
        )
    if isinstance(original, sqlite3.Error):
        text = str(original)
        return _of(text, {_SQLITE_BUSY}, (), {_SQLITE_FULL})
    arguments = getattr(original, "args", ())
    if arguments and isinstance(error, sa.exc.OperationalError | sa.exc.InternalError):
        return _of(arguments[0], _CONFLICT_CODES, _LOST_CODES, _FULL_CODES)
    return None


def _of(code: Any, conflict: Any, lost: Any, full: Any) -> Failure | None:
    for codes, kind in ((conflict, Failure.CONFLICT), (lost, Failure.LOST), (full, Failure.FULL)):
        if code in codes:
            return kind
    return None


def is_transient(error: BaseException) -> bool:
    """Whether an error is about the moment: the same transaction may succeed a little later."""
    return isinstance(error, exc.UnavailableException) or classify(error) is not None


def is_useless(original: BaseException | None) -> bool:
    """Whether a driver's error means that its connection works on, to a server that does not.

    A primary that became a standby, or a node without quorum, stays as it is; whoever is asked for
    a new connection, a proxy or the next of several hosts, may know a better one.
    """
    if getattr(original, "sqlstate", None) in _USELESS_STATES:
        return True
    arguments: tuple[Any, ...] = getattr(original, "args", ())
    return bool(arguments) and arguments[0] in _USELESS_CODES


def is_refusal(error: sa.exc.DBAPIError) -> bool:
    """Whether a server will never accept this address, user or password."""
    arguments = getattr(error.orig, "args", ())
    if arguments and arguments[0] in _REFUSAL_CODES:
        return True
    return any(text in str(error.orig) for text in _REFUSALS)


def is_duplicate(error: sa.exc.IntegrityError) -> bool:
    """Whether an integrity error is a violated unique constraint."""
    original = error.orig
    if getattr(original, "sqlstate", None) == "23505":
        return True
    arguments: tuple[Any, ...] = getattr(original, "args", ())
    return bool(arguments) and (arguments[0] == 1062 or "UNIQUE" in str(arguments[0]))


def brief(error: BaseException) -> str:
    """The cause in one line, for logs: a caller must not see addresses and names of users."""
    original = getattr(error, "orig", None)
    return str(original or error).strip().split("\n")[0]
