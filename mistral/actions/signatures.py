"""Parameters of an action: read from its constructor, checked against a task's input."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.utils import json
from mistral_lib.actions.secret import Secret, secret_parameters


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A parameter; one without a default must be given."""

    name: str
    has_default: bool = False
    default: Any = None
    secret: Secret | None = None

    def __str__(self) -> str:
        return f"{self.name}={_default_text(self.default)}" if self.has_default else self.name


@dataclasses.dataclass(frozen=True)
class Signature:
    """What an action accepts; an open one accepts any names."""

    parameters: tuple[Parameter, ...] = ()
    is_open: bool = False

    @classmethod
    def of_class(cls, action_class: type) -> Signature:
        """The signature of a class's constructor."""
        constructor: Callable[..., Any] = action_class.__init__  # type: ignore[misc]
        if constructor is object.__init__:
            return cls()
        found = list(inspect.signature(constructor).parameters.values())[1:]
        marks = secret_parameters(inspect.unwrap(constructor))
        named = (
            Parameter(
                p.name,
                p.default is not p.empty,
                None if p.default is p.empty else p.default,
                marks.get(p.name),
            )
            for p in found
            if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        )
        return cls(tuple(named), any(p.kind is p.VAR_KEYWORD for p in found))

    @functools.cached_property
    def secrets(self) -> Mapping[str, Secret]:
        """The parameters that are declared secret."""
        return {p.name: p.secret for p in self.parameters if p.secret is not None}

    def __str__(self) -> str:
        return ", ".join(str(parameter) for parameter in self.parameters)

    def check(self, name: str, class_name: str, given: Iterable[str]) -> None:
        """Refuse missing and unexpected parameters; the text names them, never their values."""
        if self.is_open:
            return
        names = list(given)
        known = {parameter.name for parameter in self.parameters}
        missing = [p.name for p in self.parameters if not p.has_default and p.name not in names]
        unexpected = [n for n in names if n not in known]
        if not missing and not unexpected:
            return
        facts = [f"name={name}", f"class={class_name}"]
        if missing:
            facts.append(f"missing={missing}")
        if unexpected:
            facts.append(f"unexpected={unexpected}")
        raise exc.InputException(f"Invalid input [{', '.join(facts)}]")


def _default_text(value: Any) -> str:
    try:
        return json.dumps(value)
    except TypeError:
        return "?"
