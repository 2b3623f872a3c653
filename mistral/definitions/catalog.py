"""What the engine knows of definitions: parsed workflows, actions by name.

Parsed forms are kept in bounded caches by the hash or version of their content; names are looked
up in the transaction that needs them, so a change is seen at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mistral import exceptions as exc
from mistral.actions.descriptors import ActionDescriptor, base_chain, not_found
from mistral.actions.registry import ActionProviderRegistry
from mistral.actions.vault import Vault
from mistral.context import DEFAULT_PROJECT_ID
from mistral.db.storage import DefinitionRows
from mistral.definitions.adhoc import AdHocCache, DefinedActions
from mistral.definitions.specs import SpecCache
from mistral.expressions import Expressions
from mistral.lang import WorkflowSpec
from mistral.workflow.definitions import ActionDefinition, WorkflowDefinition


class Catalog:
    """Definitions for the engine, and what keeps the secrets of their actions.

    Without a vault these are lost with the process. Safe between threads.
    """

    def __init__(
        self,
        expressions: Expressions,
        actions: ActionProviderRegistry,
        specs: SpecCache | None = None,
        adhoc: AdHocCache | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.vault = vault or Vault.generated()
        self.expressions = expressions
        self.actions = actions
        self._specs = specs or SpecCache(500)
        self._adhoc = adhoc or AdHocCache(500)

    def spec(self, rows: DefinitionRows, spec_hash: str) -> WorkflowSpec:
        """A parsed workflow by the hash of its content."""
        return self._specs.get(spec_hash, rows.load_spec)

    def find_workflow(
        self, rows: DefinitionRows, names: Sequence[str], namespace: str, project_id: str | None
    ) -> WorkflowDefinition | None:
        """A workflow by the first of some names, in a namespace or else in the default one."""
        found = rows.find_workflow_spec(
            list(names), _namespaces(namespace), project_id or DEFAULT_PROJECT_ID
        )
        return self._defined(rows, found) if found is not None else None

    def stored(self, rows: DefinitionRows, row: Any) -> WorkflowDefinition:
        """The definition of a stored row."""
        return self._defined(rows, row)

    def _defined(self, rows: DefinitionRows, row: Any) -> WorkflowDefinition:
        spec = self.spec(rows, row.spec_hash)
        return WorkflowDefinition(
            row.id,
            row.name,
            row.namespace,
            row.spec_hash,
            spec,
            row.workbook_name,
            row.project_id,
            tuple(spec.tags),
        )

    def find_action(
        self,
        rows: DefinitionRows,
        names: Sequence[str],
        namespace: str,
        project_id: str | None,
        shown_name: str | None = None,
    ) -> ActionDefinition:
        """An action by the first of some names.

        :raises InvalidActionException: nothing has any of these names.
        """
        finder = DefinedActions(rows, project_id or DEFAULT_PROJECT_ID, self._adhoc)
        bound = self.actions.bound(finder)
        for name in names:
            descriptor = bound.find(name, namespace)
            if descriptor is not None:
                chain = base_chain(bound.find, descriptor)
                adhoc = tuple((layer.name, layer.spec) for layer in chain.layers)
                return ActionDefinition(name, chain.base, adhoc, shown_name or name)
        raise not_found(shown_name or names[-1], namespace)

    def plugin(self, name: str) -> ActionDescriptor | None:
        """A plug-in action by its name: what an executor runs in the end."""
        return self.actions.find(name)


def _namespaces(namespace: str) -> list[str]:
    return [namespace, ""] if namespace else [""]


def unknown_workflow(identifier: str, namespace: str) -> exc.NotFoundException:
    """The error for a workflow that nobody knows."""
    return exc.NotFoundException(
        f"Workflow not found [workflow_identifier={identifier}, namespace={namespace}]"
    )
