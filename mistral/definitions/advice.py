"""What is doubtful in a definition, held against what exists now: told, never refused."""

from __future__ import annotations

import functools

from mistral import exceptions as exc
from mistral.actions.descriptors import ActionDescriptor, PythonActionDescriptor
from mistral.context import RequestContext
from mistral.db import definitions as store
from mistral.db.core.database import Connection
from mistral.definitions.common import DefinitionService
from mistral.lang import (
    Callee,
    Callees,
    InputParam,
    action_spec_from_raw,
    advise,
    of_parameters,
)


class DefinitionAdvice(DefinitionService):
    """Looks at documents before they are stored."""

    def advise(self, kind: str, text: str, ctx: RequestContext, namespace: str = "") -> list[str]:
        """What is doubtful in a document; nothing when it can't be stored at all.

        :param kind: ``workflow``, ``action`` or ``workbook``: what the document holds.
        """
        look_up = functools.partial(self._look_up, ctx, namespace)
        try:
            found = advise(kind, text, self._expressions, look_up, self._limits)
        except exc.InvalidModelException:
            return []
        most = self._limits.max_warnings
        if most < 0 or len(found) <= most:
            return found
        more = f"{len(found) - most} more of this kind ([definitions] max_warnings = {most})"
        return [*found[:most], more]

    def _look_up(
        self, ctx: RequestContext, namespace: str, actions: set[str], workflows: set[str]
    ) -> tuple[Callees, Callees]:
        def read(conn: Connection) -> tuple[Callees, Callees]:
            # what is in the namespace counts, then what is in the default one, then any
            stored = store.named(conn, store.actions, actions, ctx, namespace)
            found = store.named(conn, store.workflows, workflows, ctx, namespace)
            return (
                {
                    name: of_parameters(action_spec_from_raw(name, row["spec"]).input)
                    for name, row in stored.items()
                },
                {
                    name: of_parameters(_declared(row["interface"]), is_open=True)
                    for name, row in found.items()
                },
            )

        known_actions, known_workflows = self._database.read(read)
        plugins = {each.name: _callee(each) for each in self._action_registry.find_all()}
        return {**known_actions, **plugins}, known_workflows


def _callee(descriptor: ActionDescriptor) -> Callee:
    if not isinstance(descriptor, PythonActionDescriptor):
        # only its provider knows what it takes
        return Callee()
    signature = descriptor.signature
    declared = (InputParam(p.name, p.has_default) for p in signature.parameters)
    return of_parameters(declared, is_open=signature.is_open)


def _declared(interface: dict[str, list[object]] | None) -> list[InputParam]:
    """The inputs in a stored interface: names, or ``{name: default}``."""
    found = []
    for each in (interface or {}).get("input", []):
        if isinstance(each, dict):
            found += [InputParam(name, True) for name in each]
        else:
            found.append(InputParam(str(each)))
    return found
