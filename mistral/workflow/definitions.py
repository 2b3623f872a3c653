"""What the names of actions and workflows in a definition mean."""

from __future__ import annotations

import dataclasses
from typing import Any

from mistral.lang import AdHocActionSpec, WorkflowSpec


@dataclasses.dataclass(frozen=True)
class ActionDefinition:
    """What a name in a task means: a plug-in's descriptor or a chain of ad-hoc specifications.

    ``descriptor`` runs at the end; ``adhoc`` lists ad-hoc actions, the one that was named first.
    ``asked`` is the name as the task gives it: without that of the workbook.
    """

    name: str
    descriptor: Any
    adhoc: tuple[tuple[str, AdHocActionSpec], ...] = ()
    asked: str | None = None


@dataclasses.dataclass(frozen=True)
class WorkflowDefinition:
    """A stored workflow: identity and parsed specification."""

    id: str | None
    name: str
    namespace: str
    spec_hash: str
    spec: WorkflowSpec
    workbook_name: str | None = None
    project_id: str | None = None
    tags: tuple[str, ...] = ()
