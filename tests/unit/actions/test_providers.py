"""Where actions are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.actions import http_actions, std_actions
from mistral.actions.descriptors import AdHocActionDescriptor
from mistral.actions.providers import (
    AdHocActionProvider,
    LegacyActionProvider,
    LegacyOptions,
    ProviderAssembly,
)
from mistral.actions.registry import ActionProviderRegistry
from mistral_lib.actions import Action, ActionContext


class Plugged(Action):
    """Comes with a package of somebody else."""

    def run(self, context: ActionContext) -> str:
        return "plugged"


PLUGINS = [
    ("std.noop", std_actions.NoOpAction),
    ("std.echo", std_actions.EchoAction),
    ("std.async_noop", std_actions.AsyncNoOpAction),
    ("std.http", http_actions.HTTPAction),
    ("std.mistral_http", http_actions.MistralHTTPAction),
    ("my.action", Plugged),
]


def legacy(options: LegacyOptions | None = None, plugins: Any = None) -> LegacyActionProvider:
    provider = LegacyActionProvider("legacy", lambda: plugins or PLUGINS)
    provider.assemble(ProviderAssembly(legacy=options or LegacyOptions()))
    return provider


def names(provider: LegacyActionProvider) -> set[str]:
    return {descriptor.name for descriptor in provider.find_all()}


class Finder:
    """Knows ad-hoc actions as a database would."""

    def __init__(self, *found: AdHocActionDescriptor) -> None:
        self._found = found

    def find(self, name: str, namespace: str) -> AdHocActionDescriptor | None:
        hits = (d for d in self._found if (d.name, d.namespace) == (name, namespace))
        return next(hits, None)

    def find_all(self, namespace: str | None) -> Sequence[AdHocActionDescriptor]:
        return [d for d in self._found if namespace in (None, d.namespace)]


def adhoc(name: str, namespace: str = "") -> AdHocActionDescriptor:
    return AdHocActionDescriptor(name, None, namespace=namespace)  # type: ignore[arg-type]


def test_plugins_are_found_in_every_namespace() -> None:
    provider = legacy()
    for namespace in (None, "", "some"):
        found = provider.find("my.action", namespace)
        assert found is not None
        assert found.instantiate({}).run(ActionContext()) == "plugged"
    assert provider.find("nothing") is None


def test_only_ours_are_system_actions() -> None:
    systems = {d.name for d in legacy().find_all() if d.is_system}
    assert systems == {name for name, _ in PLUGINS} - {"my.action"}


def test_the_names_of_the_first_workflows_work_and_are_not_listed() -> None:
    provider = legacy()
    found = provider.find("mistral_http")
    assert found is not None
    assert found.name == "mistral_http"
    assert found.action_class_name == "mistral.actions.http_actions.MistralHTTPAction"
    assert provider.find("http") is not None
    assert provider.find("async_noop") is not None
    assert provider.find("echo") is None
    assert "mistral_http" not in names(provider)


def test_a_plugin_of_that_name_replaces_an_alias_but_no_standard_action() -> None:
    provider = legacy(plugins=[*PLUGINS, ("http", Plugged), ("std.noop", Plugged)])
    assert provider.find("http").action_class_name.endswith("Plugged")  # type: ignore[union-attr]
    assert provider.find("std.noop").is_system  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (LegacyOptions(load_action_plugins=False), set()),
        (LegacyOptions(allowlist=("std.noop", "my.action")), {"std.noop", "my.action"}),
        (LegacyOptions(allowlist=("std.noop",), denylist=("std.noop",)), {"std.noop"}),
        (LegacyOptions(denylist=("my.action",)), {name for name, _ in PLUGINS[:5]}),
        (LegacyOptions(only_builtin_actions=True), {name for name, _ in PLUGINS[:5]}),
    ],
)
def test_operators_choose(options: LegacyOptions, expected: set[str]) -> None:
    assert names(legacy(options)) == expected


def test_an_alias_obeys_the_lists() -> None:
    assert legacy(LegacyOptions(denylist=("std.http",))).find("http") is None


def test_what_is_no_action_is_left_out() -> None:
    assert names(legacy(plugins=[("bad", object), ("worse", 5), ("good", Plugged)])) == {"good"}


def test_adhoc_actions_fall_back_to_the_default_namespace() -> None:
    provider = AdHocActionProvider("adhoc", Finder(adhoc("a"), adhoc("a", "ns"), adhoc("b")))
    assert provider.find("a", "ns").namespace == "ns"  # type: ignore[union-attr]
    assert provider.find("b", "ns").namespace == ""  # type: ignore[union-attr]
    assert provider.find("c", "ns") is None
    assert AdHocActionProvider("adhoc").find("a") is None


def test_the_registry_asks_in_order_and_binds_a_finder() -> None:
    registry = ActionProviderRegistry([legacy(), AdHocActionProvider("adhoc")])
    bound = registry.bound(Finder(adhoc("std.noop"), adhoc("mine"), adhoc("other", "ns")))
    assert bound.get("std.noop").is_system
    assert bound.get("mine").name == "mine"
    with pytest.raises(exc.InvalidActionException, match="Failed to find action"):
        registry.get("mine")


def test_the_registry_lists() -> None:
    registry = ActionProviderRegistry([legacy(), AdHocActionProvider("adhoc")])
    bound = registry.bound(Finder(adhoc("zz"), adhoc("aa"), adhoc("other", "ns")))
    listed = [descriptor.name for descriptor in bound.find_all("")]
    assert listed == sorted(listed)
    assert {"aa", "zz", "std.noop"} <= set(listed)
    assert "other" not in listed
    descending = bound.find_all("", sort_fields=["name"], sort_dirs=["desc"], limit=1)
    assert [descriptor.name for descriptor in descending] == ["zz"]
    assert [d.name for d in bound.find_all("", name="aa")] == ["aa"]
    assert {d.name for d in bound.find_all("", is_system={"neq": True})} == {
        "aa",
        "zz",
        "my.action",
    }
