"""Engines that run the scripts of `std.js` (plug-in group ``mistral.js.implementation``)."""

from __future__ import annotations

import contextlib
import importlib
from typing import Any, Protocol, cast

from stevedore import driver
from stevedore.exception import NoMatches

from mistral.exceptions import ConfigurationError
from mistral.utils import json
from mistral_lib.actions import ActionException

GROUP = "mistral.js.implementation"


class JavaScriptEngine(Protocol):
    """Runs a script that is the body of a function of `$`."""

    def evaluate(self, script: str, context: Any) -> Any:
        """What the script returns, as plain data; raises ActionException."""


def load_engine(name: str) -> JavaScriptEngine:
    """The engine of a name.

    :raises ConfigurationError: none is installed.
    """
    try:
        engine: Any = driver.DriverManager(GROUP, name, invoke_on_load=True).driver
    except NoMatches:
        raise ConfigurationError(f"There is no JavaScript engine '{name}'.") from None
    return cast(JavaScriptEngine, engine)


class MiniRacerEngine:
    """V8 by the optional package mini-racer: each script in a context of its own."""

    def __init__(self, timeout: float = 60.0, max_memory: int = 128 * 1024 * 1024) -> None:
        self._timeout = timeout
        self._max_memory = max_memory

    def evaluate(self, script: str, context: Any) -> Any:
        library = self._library()
        code = f"JSON.stringify((function($) {{\n{script}\n}})({json.dumps(context)}))"
        vm = library.MiniRacer()
        try:
            found = vm.eval(code, timeout_sec=self._timeout, max_memory=self._max_memory)
        except library.JSTimeoutException:
            # the ended script still calls back: close only after the machine is quiet again
            with contextlib.suppress(library.JSEvalException):
                vm.eval("0", timeout_sec=1.0)
            raise ActionException("JavaScriptAction failed: the script took too long") from None
        except library.JSEvalException as exc:
            raise ActionException(f"JavaScriptAction failed: {_first_line(exc)}") from None
        finally:
            vm.close()
        return json.loads(found) if isinstance(found, str) else None

    def _library(self) -> Any:
        try:
            return importlib.import_module("py_mini_racer")
        except ImportError:
            raise ActionException(
                "JavaScriptAction failed: no JavaScript engine is installed on this executor; "
                "install the extra 'javascript'"
            ) from None


def _first_line(exc: Exception) -> str:
    """Without the lines that quote the script and its stack."""
    return str(exc).partition("\n")[0]
