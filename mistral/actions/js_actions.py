"""`std.js` and `std.javascript`."""

from __future__ import annotations

from typing import Any

from mistral.actions.base import ServicedAction
from mistral_lib.actions import ActionContext


class JavaScriptAction(ServicedAction):
    """Runs a JavaScript function body; `$` in it is the given context."""

    no_outside_effect = True

    def __init__(self, script: str, context: Any = None) -> None:
        self.script = script
        self.context = context

    def run(self, context: ActionContext) -> Any:
        return self.services.javascript.evaluate(str(self.script), self.context)
