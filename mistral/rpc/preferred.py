"""A client of a topic that not all servers know: where nobody answers there, another one is asked.

While a service is upgraded process by process, a new client may find only servers of the version
before.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from mistral.context import RequestContext
from mistral.exceptions import RPCException
from mistral.rpc.base import RPCClient

LOG = logging.getLogger(__name__)

TRUSTED_FOR = 60.0
"""Seconds after an answer in which silence means that the servers are busy, not that none is."""
AVOIDED_FOR = 15.0
"""Seconds after a vain call in which the other topic is asked at once."""


class PreferredClient(RPCClient):
    """Calls the preferred topic; only if nobody seems to serve it, the other one.

    Requests have to be repeatable: one that was not answered may have been handled.
    """

    def __init__(self, preferred: RPCClient, other: RPCClient) -> None:
        self._preferred = preferred
        self._other = other
        self._guard = threading.Lock()
        self._answered_at: float | None = None
        self._avoided_until = 0.0

    def call(
        self,
        method: str,
        ctx: RequestContext | None,
        timeout: float | None = None,
        target: str | None = None,
        **args: Any,
    ) -> Any:
        if self._is_avoided():
            return self._other.call(method, ctx, timeout, target, **args)
        try:
            answer = self._preferred.call(method, ctx, timeout, target, **args)
        except RPCException as error:
            if self._is_trusted():
                raise
            LOG.debug("%s: another topic is tried: %s", method, error)
        else:
            with self._guard:
                self._answered_at = time.monotonic()
            return answer
        answer = self._other.call(method, ctx, timeout, target, **args)
        with self._guard:
            # somebody is there, but not at the preferred topic
            self._avoided_until = time.monotonic() + AVOIDED_FOR
        return answer

    def cast(
        self, method: str, ctx: RequestContext | None, target: str | None = None, **args: Any
    ) -> None:
        """Every server knows the other topic, and nobody would notice a lost message."""
        self._other.cast(method, ctx, target, **args)

    def _is_avoided(self) -> bool:
        with self._guard:
            return time.monotonic() < self._avoided_until

    def _is_trusted(self) -> bool:
        with self._guard:
            answered = self._answered_at
        return answered is not None and time.monotonic() - answered < TRUSTED_FOR
