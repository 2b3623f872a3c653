"""How sessions of database servers are set up: what ends the wait for those that vanish.

For :mod:`mistral.db.core.database` alone.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

IDLE_LIMIT = 10.0
"""Seconds that a transaction may ask nothing. A process that is stopped in the middle of one, or
whose host vanishes, would hold its rows, and with them all who wait for these, for hours; here the
server ends the transaction. The process, should it wake up, runs it again."""
_IDLE_OPTION = "idle_in_transaction_session_timeout"


def connect_args(url: sa.URL, idle_limit: float) -> dict[str, Any]:
    """For PostgreSQL: whose silence is noticed on either side; the URL's own settings win."""
    if url.get_backend_name() != "postgresql":
        return {}
    waits: dict[str, Any] = {
        "connect_timeout": 10,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    found = {name: value for name, value in waits.items() if name not in url.query}
    given = " ".join(sa.util.to_list(url.query.get("options", ())))
    if _IDLE_OPTION not in given:
        found["options"] = f"{given} -c {_IDLE_OPTION}={int(idle_limit * 1000)}".lstrip()
    return found


def prepare_mysql(idle_limit: float, connection: Any, _record: Any) -> None:
    """A new connection to MySQL or MariaDB.

    In a Galera cluster it sees what was committed on the other nodes before a transaction: whoever
    was told of a row, by a message or an answer, must find it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SHOW VARIABLES WHERE Variable_name IN ('wsrep_on', 'idle_transaction_timeout')"
        )
        found = dict(cursor.fetchall())
        if found.get("wsrep_on") == "ON":
            # 1: what reads, 2: what changes or deletes
            cursor.execute("SET SESSION wsrep_sync_wait = 3")
        # MySQL has nothing like it; there the wait for a lock ends after innodb_lock_wait_timeout
        if "idle_transaction_timeout" in found:
            seconds = max(1, round(idle_limit))
            cursor.execute(f"SET SESSION idle_transaction_timeout = {seconds}")
