"""Providers of actions (doc:language/extending#providers): where descriptors come from.

A provider is a plug-in of the group ``mistral.action.providers``, built with its name. One that
needs something of the process offers ``assemble`` and gets it once, before it is asked anything.
"""

from __future__ import annotations

import abc
import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import stevedore

from mistral.actions.descriptors import (
    ActionDescriptor,
    AdHocActionDescriptor,
    PythonActionDescriptor,
)
from mistral_lib.actions import Action

LOG = logging.getLogger(__name__)

ACTIONS_GROUP = "mistral.actions"
BUILTIN_PACKAGE = "mistral.actions."
#: The short names under which the first workflows of this service knew some actions.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "mistral_http": "std.mistral_http",
        "http": "std.http",
        "async_noop": "std.async_noop",
    }
)

PluginLoader = Callable[[], Iterable[tuple[str, Any]]]


@dataclasses.dataclass(frozen=True)
class LegacyOptions:
    """Which plug-in classes are actions (doc:configuration#legacy_action_provider)."""

    load_action_plugins: bool = True
    only_builtin_actions: bool = False
    allowlist: tuple[str, ...] = ()
    denylist: tuple[str, ...] = ()


class AdHocFinder(Protocol):
    """Looks ad-hoc actions up in the definitions that the caller may see."""

    def find(self, name: str, namespace: str) -> AdHocActionDescriptor | None:
        """The action of exactly this namespace."""

    def find_all(self, namespace: str | None) -> Sequence[AdHocActionDescriptor]:
        """All actions of a namespace; of every namespace when it is None."""


@dataclasses.dataclass(frozen=True)
class ProviderAssembly:
    """What the process has for its providers."""

    legacy: LegacyOptions = LegacyOptions()
    adhoc_finder: AdHocFinder | None = None


class ActionProvider(abc.ABC):
    """A source of actions."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abc.abstractmethod
    def find(self, action_name: str, namespace: str | None = None) -> ActionDescriptor | None:
        """The action of this name, or None."""

    @abc.abstractmethod
    def find_all(
        self,
        namespace: str | None = None,
        limit: int | None = None,
        sort_fields: Sequence[str] | None = None,
        sort_dirs: Sequence[str] | None = None,
        **filters: Any,
    ) -> Sequence[ActionDescriptor]:
        """The actions that fit; sorting and limits are the registry's work as well."""


def allowed(name: str, allowlist: Sequence[str], denylist: Sequence[str]) -> bool:
    """Whether lists of an operator admit a name; the list of what is allowed wins."""
    return name in allowlist if allowlist else name not in denylist


def load_plugins() -> Iterable[tuple[str, Any]]:
    """All classes registered as actions. A package that can't be imported is left out."""
    manager = stevedore.ExtensionManager(
        ACTIONS_GROUP, on_load_failure_callback=_report_broken_plugin
    )
    return [(extension.name, extension.plugin) for extension in manager]


class LegacyActionProvider(ActionProvider):
    """Classes registered as entry points; they exist in every namespace."""

    def __init__(self, name: str, load: PluginLoader = load_plugins) -> None:
        super().__init__(name)
        self._load = load
        self._descriptors: dict[str, PythonActionDescriptor] = {}
        self._aliases: dict[str, PythonActionDescriptor] = {}

    def assemble(self, assembly: ProviderAssembly) -> None:
        """Load the plug-ins that the operator admits."""
        options = assembly.legacy
        if not options.load_action_plugins:
            return
        for name, action_class in self._load():
            if allowed(name, options.allowlist, options.denylist):
                self._add(name, action_class, options.only_builtin_actions)
        for alias, name in ALIASES.items():
            if name in self._descriptors and alias not in self._descriptors:
                self._aliases[alias] = _described(alias, self._descriptors[name])

    def find(self, action_name: str, namespace: str | None = None) -> ActionDescriptor | None:
        return self._descriptors.get(action_name) or self._aliases.get(action_name)

    def find_all(
        self,
        namespace: str | None = None,
        limit: int | None = None,
        sort_fields: Sequence[str] | None = None,
        sort_dirs: Sequence[str] | None = None,
        **filters: Any,
    ) -> Sequence[ActionDescriptor]:
        return list(self._descriptors.values())

    def _add(self, name: str, action_class: Any, only_builtin: bool) -> None:
        if not (isinstance(action_class, type) and issubclass(action_class, Action)):
            LOG.error("Not a class of actions, left out [name=%s]", name)
            return
        builtin = action_class.__module__.startswith(BUILTIN_PACKAGE)
        if only_builtin and not builtin:
            return
        known = self._descriptors.get(name)
        if known is not None:
            LOG.warning("Two plug-ins register the same action [name=%s]", name)
            if known.is_system:
                return
        self._descriptors[name] = PythonActionDescriptor(name, action_class, is_system=builtin)


class AdHocActionProvider(ActionProvider):
    """Actions defined in YAML; the finder handed in knows where they are stored."""

    def __init__(self, name: str, finder: AdHocFinder | None = None) -> None:
        super().__init__(name)
        self._finder = finder

    def assemble(self, assembly: ProviderAssembly) -> None:
        """Use the process's finder."""
        self._finder = assembly.adhoc_finder

    def with_finder(self, finder: AdHocFinder) -> AdHocActionProvider:
        """The same provider for one caller: within its transaction, with its rights."""
        return AdHocActionProvider(self.name, finder)

    def find(self, action_name: str, namespace: str | None = None) -> ActionDescriptor | None:
        if self._finder is None:
            return None
        found = self._finder.find(action_name, namespace or "")
        if found is None and namespace:
            found = self._finder.find(action_name, "")
        return found

    def find_all(
        self,
        namespace: str | None = None,
        limit: int | None = None,
        sort_fields: Sequence[str] | None = None,
        sort_dirs: Sequence[str] | None = None,
        **filters: Any,
    ) -> Sequence[ActionDescriptor]:
        return [] if self._finder is None else list(self._finder.find_all(namespace))


def _described(alias: str, original: PythonActionDescriptor) -> PythonActionDescriptor:
    return PythonActionDescriptor(
        alias, original.action_class, description=original.description, is_system=True
    )


def _report_broken_plugin(manager: Any, entry_point: Any, error: BaseException) -> None:
    LOG.error(
        "A plug-in can't be loaded, left out [name=%s, cause=%s: %s]",
        entry_point.name,
        type(error).__name__,
        error,
    )
