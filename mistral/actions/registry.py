"""All providers of actions behind one question: which action has this name?"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import stevedore

from mistral.actions.descriptors import ActionDescriptor, not_found
from mistral.actions.providers import (
    ActionProvider,
    AdHocActionProvider,
    AdHocFinder,
    ProviderAssembly,
    allowed,
)

LOG = logging.getLogger(__name__)

PROVIDERS_GROUP = "mistral.action.providers"
#: These come first, in this order: nothing plugged in can replace a standard action.
FIRST = ("legacy", "adhoc", "dynamic")


@dataclasses.dataclass(frozen=True)
class ProviderOptions:
    """Which providers are asked (doc:configuration#action_providers); the allow list wins."""

    allowlist: tuple[str, ...] = ()
    denylist: tuple[str, ...] = ()


class ActionProviderRegistry:
    """Asks its providers in order; the first that knows a name wins. Safe between threads."""

    def __init__(self, providers: Sequence[ActionProvider]) -> None:
        self._providers = tuple(providers)

    @classmethod
    def from_plugins(
        cls, assembly: ProviderAssembly, options: ProviderOptions | None = None
    ) -> ActionProviderRegistry:
        """The providers registered as plug-ins, as far as the operator admits them."""
        options = options or ProviderOptions()
        manager = stevedore.ExtensionManager(PROVIDERS_GROUP, on_load_failure_callback=_report)
        plugins = {
            extension.name: extension.plugin
            for extension in manager
            if allowed(extension.name, options.allowlist, options.denylist)
        }
        order = [n for n in FIRST if n in plugins] + sorted(n for n in plugins if n not in FIRST)
        providers = [plugins[name](name) for name in order]
        for provider in providers:
            assemble = getattr(provider, "assemble", None)
            if assemble is not None:
                assemble(assembly)
        return cls(providers)

    def bound(self, finder: AdHocFinder) -> ActionProviderRegistry:
        """The same registry for one caller, whose ad-hoc actions that finder knows."""
        return ActionProviderRegistry(
            [
                provider.with_finder(finder)
                if isinstance(provider, AdHocActionProvider)
                else provider
                for provider in self._providers
            ]
        )

    def find(self, action_name: str, namespace: str | None = None) -> ActionDescriptor | None:
        """The action of this name, or None."""
        for provider in self._providers:
            found = provider.find(action_name, namespace)
            if found is not None:
                return found
        return None

    def get(self, action_name: str, namespace: str | None = None) -> ActionDescriptor:
        """The action of this name; InvalidActionException where there is none."""
        found = self.find(action_name, namespace)
        if found is None:
            raise not_found(action_name, namespace or "")
        return found

    def find_all(
        self,
        namespace: str | None = None,
        limit: int | None = None,
        sort_fields: Sequence[str] | None = None,
        sort_dirs: Sequence[str] | None = None,
        **filters: Any,
    ) -> list[ActionDescriptor]:
        """The actions of all providers, filtered, sorted (by name unless told) and cut."""
        found = [
            descriptor
            for provider in self._providers
            for descriptor in provider.find_all(namespace, **filters)
            if _fits(descriptor, filters)
        ]
        directions = list(sort_dirs or [])
        keys = list(enumerate(sort_fields or ["name"]))
        for index, field in reversed(keys):
            descending = index < len(directions) and directions[index] == "desc"
            found.sort(key=lambda d, f=field: _sort_key(d, f), reverse=descending)  # type: ignore[misc]
        return found if limit is None or limit < 0 else found[:limit]


def _sort_key(descriptor: ActionDescriptor, field: str) -> tuple[bool, str]:
    value = getattr(descriptor, field, None)
    return value is not None, str(value)


def _fits(descriptor: ActionDescriptor, filters: Mapping[str, Any]) -> bool:
    return all(
        _compare(getattr(descriptor, field, None), wanted) for field, wanted in filters.items()
    )


def _compare(value: Any, wanted: Any) -> bool:
    """Equality, or the operators of the API's filters given as ``{operator: operand}``."""
    if not isinstance(wanted, Mapping):
        return bool(value == wanted)
    return all(_OPERATORS[operator](value, operand) for operator, operand in wanted.items())


_OPERATORS = {
    "eq": lambda value, operand: value == operand,
    "neq": lambda value, operand: value != operand,
    "in": lambda value, operand: value in operand,
    "nin": lambda value, operand: value not in operand,
    "has": lambda value, operand: operand in (value or ""),
}


def _report(manager: Any, entry_point: Any, error: BaseException) -> None:
    LOG.error(
        "A provider of actions can't be loaded, left out [name=%s, cause=%s: %s]",
        entry_point.name,
        type(error).__name__,
        error,
    )
