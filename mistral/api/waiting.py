"""Tasks that wait for an executor where none is alive say so when they are shown.

Nothing is stored: the text is there as long as it is true.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mistral.api.health import Health
from mistral.db.core.database import Database
from mistral.db.execution import unclaimed_actions
from mistral.db.execution.heartbeats import Living
from mistral.utils import clock
from mistral.workflow import states

NOBODY: Final = "Waits for an executor: none is alive."


class Waiting:
    """Explains the tasks of an answer."""

    def __init__(self, database: Database, health: Health) -> None:
        self._database = database
        self._health = health

    def explain(self, tasks: Iterable[dict[str, Any]]) -> None:
        """Fill in the ``state_info`` of the tasks for which there is no executor."""
        silent = {
            task["id"]: task
            for task in tasks
            if task.get("state_info", "") is None
            and task.get("state", states.RUNNING) == states.RUNNING
        }
        if not silent:
            return
        living = self._health.living()
        if not living.is_sure:
            return
        before = clock.utc_now() - self._health.silence
        found = self._database.read(
            lambda conn: unclaimed_actions.targets(conn, sorted(silent), living.hosts, before)
        )
        for task_id, target in found.items():
            silent[task_id]["state_info"] = _text(target, living)


def _text(target: str | None, living: Living) -> str:
    if target is None or not living.hosts:
        return NOBODY
    return f"Waits for the executor '{target}' (target): it is not alive."
