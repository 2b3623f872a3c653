"""Ad-hoc actions for the engine: found in the transaction that needs them, parsed once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence

import cachetools

from mistral.actions.descriptors import AdHocActionDescriptor
from mistral.db.definitions import FoundAction
from mistral.db.storage import DefinitionRows
from mistral.lang import action_spec_from_raw

_Version = tuple[str, dt.datetime | None]


class AdHocCache:
    """Descriptors of the last used ad-hoc actions; a changed definition has another version."""

    def __init__(self, max_size: int) -> None:
        self._lock = threading.Lock()
        self._descriptors: cachetools.LRUCache[_Version, AdHocActionDescriptor] = (
            cachetools.LRUCache(max_size)
        )

    def descriptor(self, found: FoundAction) -> AdHocActionDescriptor:
        """The descriptor of a stored definition."""
        version = (found.id, found.updated_at)
        with self._lock:
            known = self._descriptors.get(version)
        if known is None:
            known = _describe(found)
            with self._lock:
                self._descriptors[version] = known
        return known


class DefinedActions:
    """The ad-hoc actions that a project may use, as one transaction sees them."""

    def __init__(self, rows: DefinitionRows, project_id: str, cache: AdHocCache) -> None:
        self._rows = rows
        self._project_id = project_id
        self._cache = cache

    def find(self, name: str, namespace: str) -> AdHocActionDescriptor | None:
        """The action of exactly this namespace."""
        found = self._rows.find_action_definition([name], [namespace], self._project_id)
        return None if found is None else self._cache.descriptor(found)

    def find_all(self, namespace: str | None) -> Sequence[AdHocActionDescriptor]:
        """All actions of a namespace; of every namespace when it is None."""
        found = self._rows.list_action_definitions(namespace, self._project_id)
        return [self._cache.descriptor(one) for one in found]


def _describe(found: FoundAction) -> AdHocActionDescriptor:
    return AdHocActionDescriptor(
        name=found.name,
        spec=action_spec_from_raw(found.name, found.spec),
        id=found.id,
        namespace=found.namespace,
        description=found.description,
        tags=found.tags,
        project_id=found.project_id,
        scope=found.scope,
        definition=found.definition,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )
