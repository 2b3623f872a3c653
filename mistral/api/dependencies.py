"""What the API needs of the rest of the service, handed in when it is assembled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mistral import context
from mistral.actions.descriptors import ActionDescriptor
from mistral.api.admission import Admission
from mistral.api.browsers import Hosts
from mistral.context import RequestContext
from mistral.db.core.database import Database
from mistral.definitions import Definitions
from mistral.rpc.clients import EngineClient, ExecutorClient


@dataclasses.dataclass(frozen=True)
class ApiOptions:
    """Options of the API, each with a default."""

    max_limit: int = 1000
    max_request_body_size: int = 16 * 1024 * 1024
    max_json_containers: int = 1_000_000
    engine_timeout: float = 30.0
    action_timeout: float = 60.0
    """How long a request waits for an action that it runs itself."""
    allow_action_execution_deletion: bool = False
    validation_mode: str = "mandatory"
    execution_field_size_limit_kb: int = 1024
    proxy_headers: bool = False
    silence: float = 10.0
    """After so many seconds an engine or executor that shows no sign of life is not alive."""
    info_file: str | None = None
    """The JSON file that ``/info`` answers with; without one there is no such document."""
    public_url: str | None = None
    """What links in answers begin with; without it, the address that was asked."""
    hosts: Hosts | None = None
    """The service's names, which browsers' requests are held against; None if callers show who
    they are."""
    cors: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Options of oslo.middleware's CORS, by name."""
    remarks: tuple[str, ...] = ()
    """What an operator should change, told by ``/healthcheck``."""


def no_authentication(_environ: Mapping[str, Any]) -> RequestContext:
    """Everybody is the admin of the default project (doc:rest/conventions#visibility)."""
    return context.no_auth_context()


@dataclasses.dataclass(frozen=True)
class ApiDependencies:
    """Everything the API works with.

    :param system_actions: the actions that are shipped or plugged in.
    :param doorbell: where engines are told of delivered results; with their requests if not given.
    :param authenticate: who asks, from the WSGI environment; raises UnauthorizedException.
    """

    database: Database
    engine: EngineClient
    executor: ExecutorClient
    definitions: Definitions
    system_actions: Callable[[], Iterable[ActionDescriptor]] = tuple
    options: ApiOptions = dataclasses.field(default_factory=ApiOptions)
    admission: Admission = dataclasses.field(default_factory=Admission)
    doorbell: EngineClient | None = None
    authenticate: Callable[[Mapping[str, Any]], RequestContext] = no_authentication
