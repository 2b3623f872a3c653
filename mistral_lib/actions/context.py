"""Where an action runs and for whom: what ``run(context)`` receives."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass
class SecurityContext:
    """The identity on whose behalf the action runs. Never log it."""

    auth_uri: str | None = None
    auth_cacert: str | None = None
    auth_token: str | None = dataclasses.field(default=None, repr=False)
    user_name: str | None = None
    project_name: str | None = None
    project_id: str | None = None
    region_name: str | None = None
    service_catalog: Any = dataclasses.field(default=None, repr=False)
    trust_id: str | None = dataclasses.field(default=None, repr=False)
    is_trust_scoped: bool | None = None
    is_target: bool | None = None
    expires_at: str | None = None
    insecure: bool | None = None
    redelivered: bool | None = None


@dataclasses.dataclass
class ExecutionContext:
    """The executions the action belongs to; the first two are empty for an ad-hoc run.

    ``callback_url`` is the base URL of the API (the result goes to
    ``<callback_url>/v2/action-executions/<action_execution_id>``), and ``callback_token``, where
    the service issues one, authorises exactly that delivery: send it in the header
    ``Mistral-Callback-Token``.
    """

    workflow_execution_id: str | None = None
    task_execution_id: str | None = None
    action_execution_id: str | None = None
    workflow_name: str | None = None
    callback_url: str | None = None
    callback_token: str | None = dataclasses.field(default=None, repr=False)
    with_items_index: int | None = None
    task_rerun_no: int | None = None
    task_rerun_id: str | None = None
    workflow_propagated_headers: dict[str, str] | None = dataclasses.field(default=None, repr=False)


@dataclasses.dataclass
class ActionContext:
    """Everything an action may know about its surroundings."""

    security: SecurityContext = dataclasses.field(default_factory=SecurityContext)
    execution: ExecutionContext = dataclasses.field(default_factory=ExecutionContext)

    def to_dict(self) -> dict[str, Any]:
        """The form that travels; what has no value is left out."""
        return {
            part: {
                k: v for k, v in dataclasses.asdict(getattr(self, part)).items() if v is not None
            }
            for part in ("security", "execution")
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> ActionContext:
        """The opposite of :meth:`to_dict`; unknown keys are ignored."""
        values = values or {}
        return cls(
            security=SecurityContext(**_known(SecurityContext, values.get("security"))),
            execution=ExecutionContext(**_known(ExecutionContext, values.get("execution"))),
        )


def _known(cls: type, values: Mapping[str, Any] | None) -> dict[str, Any]:
    names = {field.name for field in dataclasses.fields(cls)}
    return {key: value for key, value in (values or {}).items() if key in names}
