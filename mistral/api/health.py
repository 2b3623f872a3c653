"""Whether the parts that requests need are alive, asked for by anybody as often as they like.

Engines and executors leave signs of life in the database. What was found is remembered for a
moment; while somebody asks, the others are told what was known just before.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from mistral import context
from mistral import exceptions as exc
from mistral.api.dependencies import ApiDependencies
from mistral.db.core import server_clock
from mistral.db.core.database import Connection
from mistral.db.execution import heartbeats
from mistral.utils import clock

T = TypeVar("T")

OK: Final = "OK"
_REMEMBERED: Final = 1.0
_JUST_BEFORE: Final = 10.0
_PING_TIMEOUT: Final = 3.0
_PATIENCE: Final = 10.0
"""Seconds that others wait for who asks already when what they could be told is older."""


class _Remembered(Generic[T]):
    """An answer that is asked for at most once a second, by one at a time.

    Asking takes longest when something is wrong: the others wait for that, once, rather than be
    told that all was well long ago; but none for ever.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._turn = threading.Lock()
        self._known: list[T] = []
        self._asked_at = 0.0

    def get(self) -> T:
        """The answer; what it raises is not remembered."""
        if not self._turn.acquire(timeout=self._patience()):
            return self._known[0]
        try:
            if not self._known or clock.steady() - self._asked_at >= _REMEMBERED:
                self._known[:] = [self._ask()]
                self._asked_at = clock.steady()
            return self._known[0]
        finally:
            self._turn.release()

    def _patience(self) -> float:
        """Seconds to wait for one's turn; without a limit while nothing is known."""
        if not self._known:
            return -1.0
        return 0.0 if clock.steady() - self._asked_at < _JUST_BEFORE else _PATIENCE


class Health:
    """What one API process knows of the other parts of the service."""

    def __init__(self, deps: ApiDependencies) -> None:
        self._database = deps.database
        # on the topic where nothing that takes long stands in the way
        self._engines = (deps.doorbell or deps.engine).on_behalf_of(
            context.system_context(), min(_PING_TIMEOUT, deps.options.engine_timeout)
        )
        self._silence = dt.timedelta(seconds=deps.options.silence)
        self._living = _Remembered(self._ask_living)
        self._checks = _Remembered(self._check)

    @property
    def silence(self) -> dt.timedelta:
        """After which nobody counts as alive who was not heard of."""
        return self._silence

    def living(self) -> heartbeats.Living:
        """The engines and executors that are alive.

        :raises UnavailableException: the database is away.
        """
        return self._living.get()

    def checks(self) -> dict[str, str]:
        """Each part by name: ``OK``, or what is wrong with it."""
        return self._checks.get()

    def _ask_living(self) -> heartbeats.Living:
        def read(conn: Connection) -> heartbeats.Living:
            server_clock.ask(conn, self._database.dialect_name)
            return heartbeats.living(conn, clock.utc_now() - self._silence)

        return self._database.read(read)

    def _check(self) -> dict[str, str]:
        try:
            self._database.ping()
            living = self._ask_living()
        except exc.UnavailableException:
            unknown = "not known without the database"
            return {"database": "not reachable", "engine": unknown, "executor": unknown}
        return {
            "database": OK,
            "engine": self._engine(living),
            "executor": self._executor(living),
        }

    def _engine(self, living: heartbeats.Living) -> str:
        if not living.engine:
            return f"no engine has shown a sign of life for {self._seconds()}"
        try:
            self._engines.ping()
        except exc.MistralError as error:
            return f"an engine lives but does not answer: {error}"
        return OK

    def _executor(self, living: heartbeats.Living) -> str:
        if living.hosts:
            return OK
        if not living.engine:
            return "not known without an engine, which hears of executors"
        return f"no executor has shown a sign of life for {self._seconds()}"

    def _seconds(self) -> str:
        return f"{self._silence.total_seconds():g} seconds"
