"""How much one root execution, with all below it, may use.

Pure. Each bound has an option of the group ``[engine]``, which whoever goes beyond it is told.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

from mistral import exceptions as exc

MEBIBYTE = 1024 * 1024

COUNTED_BYTES = 4096
"""Values with at least so many bytes are counted; smaller ones the bound of tasks holds."""


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The bounds; a negative one is lifted.

    ``items`` is that of one task, ``depth`` how many executions may lie above one.
    """

    items: int = 10_000
    depth: int = 100
    executions: int = 20_000
    tasks: int = 100_000
    actions: int = 500_000
    values_mb: int = 4096

    def items_of(self, value: Iterable[Any]) -> list[Any]:
        """What something is made of, unless that is too much; no more of it is looked at.

        :raises BoundExceededException: it is.
        """
        found = list(value if self.items < 0 else itertools.islice(value, self.items + 1))
        if 0 <= self.items < len(found):
            raise exc.BoundExceededException(
                f"'with-items' got more than {self.items} items, [engine] items_limit allows no "
                "more of one task"
            )
        return found

    def check_execution(self, depth: int, number: int) -> None:
        """Refuse a sub-workflow that lies too deep, or is one too many.

        :param number: how many executions there are with it below the root, the root included.
        :raises BoundExceededException: it is.
        """
        if 0 <= self.depth < depth:
            raise exc.BoundExceededException(
                f"Sub-workflows are nested deeper than {self.depth} levels, [engine] depth_limit "
                "allows no more"
            )
        if 0 <= self.executions < number:
            raise exc.BoundExceededException(
                _beyond(self.executions, "workflow executions", "executions_limit")
            )

    def exceeded(self, used: Used) -> str | None:
        """What to tell an execution under whose root too much was used."""
        if 0 <= self.tasks < used.tasks:
            return _beyond(self.tasks, "tasks", "tasks_limit")
        if 0 <= self.actions < used.actions:
            return _beyond(self.actions, "actions", "actions_limit")
        if 0 <= self.values_mb < used.stored / MEBIBYTE:
            return _beyond(self.values_mb, "MiB of large values", "values_limit_mb")
        return None


def _beyond(limit: int, what: str, option: str) -> str:
    return (
        f"The root execution and all below it have more than {limit} {what}, [engine] {option} "
        "allows no more"
    )


@dataclasses.dataclass(frozen=True)
class Used:
    """What has been used: workflow executions, tasks and their further attempts, actions, bytes."""

    executions: int = 0
    tasks: int = 0
    actions: int = 0
    stored: int = 0

    def __add__(self, other: Used) -> Used:
        return Used(
            self.executions + other.executions,
            self.tasks + other.tasks,
            self.actions + other.actions,
            self.stored + other.stored,
        )

    def __bool__(self) -> bool:
        return self != Used()
