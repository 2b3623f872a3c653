"""Who asks: the security context of a request, handed on explicitly with each call."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

DEFAULT_PROJECT_ID = "<default-project>"


@dataclasses.dataclass(frozen=True)
class RequestContext:
    """Identity and rights of a caller (doc:rest/conventions#visibility).

    ``deadline`` is the moment (seconds since the epoch) after which nobody waits for the answer.
    """

    project_id: str = DEFAULT_PROJECT_ID
    user_id: str | None = None
    user_name: str | None = None
    project_name: str | None = None
    roles: tuple[str, ...] = ()
    is_admin: bool = False
    auth_token: str | None = dataclasses.field(default=None, repr=False)
    region_name: str | None = None
    deadline: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """What travels in a message."""
        return {k: v for k, v in dataclasses.asdict(self).items() if v not in (None, ())}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None) -> RequestContext:
        """The opposite of :meth:`to_dict`; unknown keys are ignored."""
        known = {f.name for f in dataclasses.fields(cls)}
        kept = {k: v for k, v in (values or {}).items() if k in known}
        kept["roles"] = tuple(kept.get("roles") or ())
        return cls(**kept)


def no_auth_context() -> RequestContext:
    """The caller when authentication is off: admin of the default project."""
    return RequestContext(roles=("admin",), is_admin=True)


def system_context() -> RequestContext:
    """The service acting for itself."""
    return RequestContext(roles=("admin",), is_admin=True)
