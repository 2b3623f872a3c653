"""What an expression may ask the service (law 3).

Repositories stand behind it in the service, dictionaries in tests and in the simulator.
Answers are read-only. A record is a plain dictionary, or any mapping that loads an expensive
value (a task's result) only when it is accessed; values inside are plain JSON data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Facts(Protocol):
    """Read-only questions; implementations cache within one transaction."""

    def task(self, name: str | None) -> Mapping[str, Any] | None:
        """Record of a task of this workflow execution; None asks for the current task."""

    def tasks(
        self,
        workflow_execution_id: str | None = None,
        recursive: bool = False,
        state: str | None = None,
        flat: bool = False,
    ) -> Sequence[Mapping[str, Any]]:
        """Records of tasks: of one workflow execution, or of all the project sees."""

    def execution(self) -> Mapping[str, Any]:
        """Record of the current workflow execution."""

    def executions(
        self,
        id: str | None = None,
        root_execution_id: str | None = None,
        state: str | None = None,
        from_time: str | None = None,
        to_time: str | None = None,
    ) -> Sequence[Mapping[str, Any]]:
        """Records of workflow executions; times are ``YYYY-MM-DD hh:mm:ss`` texts."""

    def env(self) -> Mapping[str, Any]:
        """Environment of the root execution."""

    def global_(self, name: str) -> Any:
        """A variable of the workflow context, or None."""
