"""Engines that run the scripts of `std.js` (plug-in group ``mistral.js.implementation``)."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import Any, Protocol, cast

from stevedore import driver
from stevedore.exception import NoMatches

from mistral.actions import js_pool, js_worker
from mistral.exceptions import ConfigurationError
from mistral.utils import json
from mistral_lib.actions import ActionException

GROUP = "mistral.js.implementation"
_SECTION = "[action_std_js]"


@dataclasses.dataclass(frozen=True)
class ScriptLimits:
    """What a script may take: seconds, bytes, and bytes of its result as JSON."""

    timeout: float = 10.0
    max_memory: int = 128 * 1024 * 1024
    max_result_size: int = 5 * 1024 * 1024
    max_processes: int = 4
    max_json_containers: int = 1_000_000


class JavaScriptEngine(Protocol):
    """Runs a script that is the body of a function of `$`.

    A class of the group is made without arguments, unless it is derived from ours. One that keeps
    something open has a method ``close()``.
    """

    def evaluate(self, script: str, context: Any) -> Any:
        """What the script returns, as plain data; raises ActionException."""


def load_engine(name: str, limits: ScriptLimits | None = None) -> JavaScriptEngine:
    """The engine of a name.

    :raises ConfigurationError: none is installed.
    """
    try:
        engine: Any = driver.DriverManager(GROUP, name).driver
    except NoMatches:
        raise ConfigurationError(f"There is no JavaScript engine '{name}'.") from None
    takes_limits = isinstance(engine, type) and issubclass(engine, MiniRacerEngine)
    made = engine(limits) if takes_limits else engine()
    return cast(JavaScriptEngine, made)


class MiniRacerEngine:
    """V8 by the optional package mini-racer: each script in a context of its own.

    It runs in other processes, which can be ended: V8 takes the whole process along when it runs
    out of memory, and what a script takes outside of its heap has no other limit.
    """

    def __init__(self, limits: ScriptLimits | None = None) -> None:
        self._limits = limits or ScriptLimits()
        self._containers = json.ContainerLimit(
            self._limits.max_json_containers, f"{_SECTION} max_json_containers"
        )
        self._pool = js_pool.ScriptPool(self._limits.max_processes, self._limits.max_memory)

    def evaluate(self, script: str, context: Any) -> Any:
        """Run a script, as soon as a process is free."""
        if importlib.util.find_spec("py_mini_racer") is None:
            raise ActionException(
                "JavaScriptAction failed: no JavaScript engine is installed on this executor; "
                "install the extra 'javascript'"
            )
        limits = self._limits
        code = _function(script, context, limits.max_result_size)
        kind, content = self._pool.run(code, limits.timeout, limits.max_result_size)
        if kind != js_worker.VALUE:
            raise ActionException(f"JavaScriptAction failed: {self._words(kind, content)}")
        try:
            return json.parse(content, self._containers) if content else None
        except ValueError as error:
            raise ActionException(f"JavaScriptAction failed: the result: {error}") from None

    def close(self) -> None:
        """End the processes."""
        self._pool.close()

    def _words(self, kind: bytes, content: bytes) -> str:
        limits = self._limits
        memory = f"more than {limits.max_memory >> 20} MiB ({_SECTION} max_memory_mb)"
        detail = content.decode("utf-8", "replace")
        if kind == js_worker.OUT_OF_MEMORY:
            return f"the script needs {memory}" + (f": {detail}" if detail else "")
        if kind == js_pool.DIED:
            return f"its process ended; most likely the script needs {memory}"
        if kind == js_pool.LATE:
            return f"the script took longer than {limits.timeout:g} seconds ({_SECTION} timeout)"
        if kind == js_worker.TOO_LARGE:
            return (
                f"the result is larger than {limits.max_result_size} bytes "
                f"({_SECTION} max_result_size_bytes)"
            )
        if kind == js_pool.NO_PROCESS:
            return (
                f"other scripts took all processes for {limits.timeout:g} seconds "
                f"({_SECTION} max_processes)"
            )
        return detail


def _function(script: str, context: Any, max_size: int) -> str:
    """The script in a function; its result as JSON, or a number where that is too long.

    The script begins on the second line, which its errors tell.
    """
    return (
        f"(function(found) {{ return found && found.length > {max_size} ? found.length : found }})"
        f"(JSON.stringify((function($) {{\n{script}\n}})({json.dumps(context)})))"
    )
