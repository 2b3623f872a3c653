"""Definitions for the simulated engines: the workflows of a run and a handful of actions."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from mistral import exceptions as exc
from mistral.actions.secret_inputs import Hidden, hide
from mistral.actions.vault import Vault
from mistral.definitions.catalog import Catalog
from mistral.expressions import ExpressionOptions, Expressions
from mistral.lang import AdHocActionSpec, WorkflowSpec, parse_action_list
from mistral.workflow.definitions import ActionDefinition, WorkflowDefinition
from mistral_lib.actions import Secret
from tests.simulation import extras

PARAMETERS = frozenset({"key", "fails", "end", "item", "data", "big"})


class Descriptor:
    """An action that only exists in the simulation."""

    def __init__(self, name: str, is_async: bool, is_safe: bool) -> None:
        self.name = name
        self.is_safe = is_safe
        self.is_async = is_async
        self.action_class_name = f"simulation.{name}"
        self.action_class_attributes = {"is_async": is_async, "is_safe": is_safe}

    def check_parameters(self, params: Mapping[str, Any]) -> None:
        """Refuse unexpected parameters."""
        unexpected = sorted(set(params) - PARAMETERS)
        if unexpected:
            raise exc.InputException(f"Invalid input [name={self.name}, unexpected={unexpected}]")

    def hide(self, params: Mapping[str, Any]) -> Hidden:
        """The key is secret: executors notice a message that has it masked."""
        return hide({"key": Secret()}, params)

    def instantiate(self, input_dict: Mapping[str, Any], wf_ctx: Any = None) -> Any:
        """Something that knows whether it is synchronous."""
        return SimpleNamespace(is_sync=lambda: not self.is_async)


ACTIONS = {
    found.name: found
    for found in (
        Descriptor("sim.safe", is_async=False, is_safe=True),
        Descriptor("sim.once", is_async=False, is_safe=False),
        Descriptor("sim.safe_async", is_async=True, is_safe=True),
        Descriptor("sim.async", is_async=True, is_safe=False),
        Descriptor("std.noop", is_async=False, is_safe=True),
    )
}


@functools.cache
def adhoc_actions() -> Mapping[str, AdHocActionSpec]:
    """The ad-hoc actions, by name."""
    found = parse_action_list(extras.adhoc_text(), expressions())
    return {spec.name: spec for spec in found}


def adhoc_chain(name: str) -> tuple[tuple[str, AdHocActionSpec], ...]:
    """The ad-hoc actions that stand on top of each other, the outermost first."""
    chain = []
    while name in adhoc_actions():
        chain.append((name, adhoc_actions()[name]))
        name = chain[-1][1].base
    return tuple(chain)


@functools.cache
def expressions() -> Expressions:
    """The real languages of expressions, without a limit of real time."""
    return Expressions.from_plugins(ExpressionOptions(time_limit=-1))


@functools.cache
def vault() -> Vault:
    """One key for all engines of all runs."""
    return Vault.generated()


class SimCatalog(Catalog):
    """The definitions of one run."""

    def __init__(self, specs: Mapping[str, WorkflowSpec]) -> None:
        self.expressions = expressions()
        self.vault = vault()
        self.specs = dict(specs)

    def spec(self, rows: Any, spec_hash: str) -> WorkflowSpec:
        return self.specs[spec_hash]

    def find_workflow(
        self, rows: Any, names: Sequence[str], namespace: str, project_id: str | None
    ) -> WorkflowDefinition | None:
        name = next((name for name in names if name in self.specs), None)
        return self.stored(rows, name) if name is not None else None

    def stored(self, rows: Any, row: Any) -> WorkflowDefinition:
        return WorkflowDefinition(row, row, "", row, self.specs[row])

    def find_action(
        self,
        rows: Any,
        names: Sequence[str],
        namespace: str,
        project_id: str | None,
        shown_name: str | None = None,
    ) -> ActionDefinition:
        for name in names:
            if name in ACTIONS:
                return ActionDefinition(name, ACTIONS[name])
            chain = adhoc_chain(name)
            if chain:
                return ActionDefinition(name, ACTIONS[chain[-1][1].base], chain, shown_name)
        raise exc.InvalidActionException(f"Failed to find action [action_name={names[-1]}]")

    def plugin(self, name: str) -> Any:
        return ACTIONS.get(name)
